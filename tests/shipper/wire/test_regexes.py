"""Regular expressions of the configuration: what is refused, in words, and what is not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.mask_edges import WINDOW_BYTES
from shipper.wire.regexes import compile_pattern, compile_problem, find_literal

EXPLOSIVE = [
    r"(a+)+b", r"((a+))+b", r"(a|a)+b", r"(a?a)+b", r"([a-z]+ ?)+$", r"(\w+\s*)+:", r"(.*,)*x",
    r"(.*?,){11}P", r"(?:a{1,20}){1,20}b", r"(a{1,5000}){1,5000}b", r"(?i)(x+x+)+y",
    r"(?:(?:ab)*a?b?)+c",
]  # fmt: skip
SLOW = [r".*a.*b.*c.*d", r"\d*\d*\d*\d*x", r"\S+\S+\S+\S+ x", r"[a-z]+\w+[0-9a-z]+\w+!"]
COSTLY = [
    r"\w+\w+!", r"(.*)(.*)q", r"\S+\S+ x",
    r"\d{1,30}[\d.]{1,30}[\d.,]{1,30}[\d]{1,30}%", r"a{0,30}a{0,30}a{0,30}a{0,30}a{0,30}b",
    r"(?:a{1,31}){2}(?:a{1,31}){2}b", r"(?:(a{1,31})(a{1,31})(a{1,31})(a{1,31}))b",
    "a?" * 30 + "a" * 30, r"(a)\1*\1*b", r"(a{2})?" * 25 + "b", "(?:a|aa)" * 25 + "b",
    r"(?:ab?a?){2}" * 12 + "q", r"(a|ab|b){2}" * 15 + "z",
    r"(?:(?:(?:a{1,2}){1,2}){1,2}){1,2}" * 6 + "b", r"\w+\w+\w{1,20}!",
    r"[A-Za-z0-9]{8,32}[A-Za-z0-9._-]{1,32}[A-Za-z0-9-]{1,32}[a-z]{1,32}@",
]  # fmt: skip
FINE = [
    r"ERROR.*user=.*id=\d{1,9} ms", r"(?i)(?:password|passwd|pass|secret|api[_-]?key)\s*[:=]\s*\S+",
    r"\b(?:\d[ -]?){13,16}\b", r"\b\d{1,3}(?:,\d{3})*(?:\.\d+)?\b",
    r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?",
    r"user=.{0,30}host=.{0,30}pass=(.{0,30}) end", r"(?:INFO|WARN|WARNING|ERROR|ERR|FATAL) .*ms$",
    r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", r"(\S+\s+){3}\d{3} ",
    r"\d{1,30}+[\d.]{1,30}+[\d.,]{1,30}%", r"<(\w+)[^>]*>", r"iban[ :]*([A-Z]{2}\d{2}[ \d]{10,30})",
    r"password=(\S+)", r"^(\S+) (\S+) (\S+) (\S+) ERROR", r"(foo|bar)+ baz", r"(?:[^,]*,)*x",
    r"(?:[^,]*+,)*x", r"(?>a+)+b", r"([0-9a-f]{1,4}:){7}x", r"(\d{1,3}\.){3}\d{1,3}", r"(a|b)+c",
    r"[\w.+-]+@[\w-]+\.[\w.-]+", r"\d{4}-\d\d-\d\d", r"(?i)health.?check", r"(?<=a)b|(?<!c)d",
    r"a.*b.*c", "Straße", r"(?:ä|ö)+x", r"(x)(?(1)y|z)", r"(['\"]).*?\1",
    r"\bGET /(?:health|ready)\b",
]  # fmt: skip


@pytest.mark.parametrize("text", EXPLOSIVE)
def test_a_pattern_that_can_explode_is_refused(text: str) -> None:
    """Python's engine has no timeout: one line could stop the shipper for ever."""
    assert compile_problem(text).startswith("repeats what can match one text in several ways")


@pytest.mark.parametrize("text", SLOW)
def test_many_repetitions_of_the_same_text_are_refused(text: str) -> None:
    """Each is a factor of the line's length."""
    assert compile_problem(text).startswith("has more than 2 repetitions")


@pytest.mark.parametrize("text", COSTLY)
def test_bounded_repetitions_that_multiply_are_refused(text: str) -> None:
    """Each bound alone is small; one line of a few kilobytes would stop the shipper for seconds."""
    assert compile_problem(text).startswith(
        (
            "has repetitions or alternatives in a row that can share one text in too many ways",
            "has more than 2 repetitions",
        )
    )


@pytest.mark.parametrize("text", FINE)
def test_a_pattern_that_is_bounded_is_taken(text: str) -> None:
    """Refusing what is usual would send people away from masks."""
    assert "" == compile_problem(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(", "is no regular expression (missing ), unterminated subpattern"),
        ("a*", "matches the empty text, so everything"),
        ("", "matches the empty text, so everything"),
        ("x" * 1025, "has 1025 bytes, at most 1024 are allowed"),
        ("[äö]x", "has a character beyond ASCII in [...]"),
        ("xé+", "has a character beyond ASCII in [...]"),
        ("\ud800", "is no regular expression"),
        ("(" * 500 + "x" + ")" * 500, "is no regular expression"),
    ],
)
def test_what_is_wrong_is_said_in_words(text: str, problem: str) -> None:
    """The words follow the key's name."""
    assert compile_problem(text).startswith(problem), compile_problem(text)


def test_a_wrong_pattern_does_not_compile() -> None:
    """Nobody gets around the check."""
    with pytest.raises(ValueError, match=r"regular expression '\(a\+\)\+' repeats"):
        compile_pattern("(a+)+")


def test_bytes_beyond_ascii_are_matched_as_text_says_them() -> None:
    """A word in another language is found in a record."""
    assert compile_pattern("Straße (ä|ö)+x$").search("nur Straße äöäx\n".encode()) is not None


@pytest.mark.parametrize("text", FINE)
def test_a_taken_pattern_is_done_with_a_hostile_window_in_time(text: str) -> None:
    """The worst of what is let through is bounded by what it is shown."""
    pattern = compile_pattern(text)
    began = time.process_time()
    for piece in (
        b"a",
        b"a,",
        b"aab",
        b"1.",
        b"x ",
        b"foo",
        b"\xc3\xa4",
        b"password=",
        b"a@",
        b"ab c",
    ):
        pattern.search(piece * (WINDOW_BYTES // len(piece)))
    assert time.process_time() - began < 10.0


@given(text=st.text(alphabet="ab.*+?|()[]{}1,\\^$ä", max_size=14))
def test_any_text_gets_an_answer(text: str) -> None:
    """No configuration makes the check raise; what it takes, compiles, and needs its literal."""
    if compile_problem(text):
        return
    pattern = compile_pattern(text)
    literal = find_literal(text)
    for sample in (
        b"a",
        b"ab",
        b"aabb1",
        b"ba,b",
        b"\xc3\xa4b",
        b"a.b\nb",
        b"aaaaaaaaaaaaaaaaaaaab",
    ):
        assert literal in sample or pattern.search(sample) is None


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        (r"password=(\S+)", b"password="),
        (r"^GET /health", b"GET /health"),
        (r"a|b", b""),
        (r"(?i)abc", b""),
        (r"(?:ab)?cd(?P<x>ef)", b"cdef"),
    ],
)
def test_the_text_that_a_match_needs_is_known(text: str, literal: bytes) -> None:
    """Most records are passed over by it."""
    assert literal == find_literal(text)
