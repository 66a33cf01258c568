"""Secrets are overwritten: same length, recorded, the same each time."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.config import MASK_NAMES
from shipper.wire import docker
from shipper.wire.formats import find_words
from shipper.wire.mask_edges import WINDOW_BYTES
from shipper.wire.masks import Masker
from shipper.wire.secret_kinds import BUILTIN

ALL = Masker(builtin=tuple(BUILTIN))
SECRETS = {
    "aws-access-key": b"key <AKIAIOSFODNN7EXAMPLE> used",
    "aws-secret-key": b'aws_secret_access_key = "<wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY>"',
    "bearer-token": b"Authorization: Bearer <mF_9.B5f-4.1JqM==>",
    "jwt": b"token <eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN-_8> end",
    "private-key": b"-----BEGIN RSA PRIVATE KEY-----\n<MIIEow>\n<IBAAKCAQEA>\n"
    b"-----END RSA PRIVATE KEY-----",
    "github-token": b"git clone with <ghp_" + b"a1B2" * 9 + b">",
    "gitlab-token": b"CI <glpat-" + b"x1_-" * 5 + b">!",
    "slack-token": b"post <xoxb-123456789012-abcdefABCDEF>",
    "google-api-key": b"maps?key=<AIza" + b"Sy_-1" * 7 + b">&q=x",
    "stripe-key": b"charge with <sk_live_" + b"4eC39HqL" * 3 + b">",
    "url-credentials": b"connecting to postgres://app:<s3cr3t!>@db.example/shop",
    "password": b"login user=a password=<hunter2>&next=/",
}


def split(marked: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """A record, and the ranges that stand between < and >."""
    record, ranges = b"", []
    for piece in marked.split(b"<")[1:] if b"<" in marked else []:
        secret, _, _ = piece.partition(b">")
        ranges.append(secret)
    plain = marked.replace(b"<", b"").replace(b">", b"")
    found, at = [], 0
    for secret in ranges:
        at = plain.index(secret, at)
        found.append((at, len(secret)))
        at += len(secret)
    record = plain + b"\n"
    return record, found


def starred(record: bytes, ranges: list[tuple[int, int]]) -> bytes:
    """The record as a mask has to leave it."""
    data = bytearray(record)
    for start, length in ranges:
        data[start : start + length] = b"*" * length
    return bytes(data)


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_each_kind_of_secret_is_overwritten_and_nothing_else(name: str) -> None:
    """The ranges are exactly the secret's."""
    record, ranges = split(SECRETS[name])
    assert (starred(record, ranges), ranges) == Masker(builtin=[name]).mask(record)


def test_each_kind_has_an_example_and_a_name_in_the_configuration() -> None:
    """A kind that can't be named, or that nothing tests, is none."""
    assert sorted(BUILTIN) == sorted(SECRETS)
    assert tuple(BUILTIN) == MASK_NAMES


@pytest.mark.parametrize(
    "record",
    [
        b"the key AKIAshort and EYJ and ghp_short\n",
        b"password reset for user 4711, pwd: \n",
        b"GET https://shop.example/login?next=/ 200\n",
        b"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n",
        b"sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
        b"bearer of bad news\n",
        b"",
    ],
)
def test_what_is_no_secret_stays(record: bytes) -> None:
    """A mask destroys: it must be sure."""
    assert (record, []) == ALL.mask(record)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b'{"password":"my long pw","n":1}\n', b'{"password":"**********","n":1}\n'),
        (b'{"api_key": "a\\u0026b\\\\c"}\n', b'{"api_key": "***********"}\n'),
        (b'{"log":"\\"password\\":\\"abc\\"\\n"}\n', b'{"log":"\\"password\\":\\"***\\"\\n"}\n'),
        (b"{'passwd': 'abc'}\n", b"{'passwd': '***'}\n"),
        ("password=grün;x\n".encode(), b"password=*****;x\n"),
    ],
)
def test_a_structured_line_stays_one(record: bytes, expected: bytes) -> None:
    """Quotes and escapes around a secret are left as they are."""
    assert expected == ALL.mask(record)[0]


def test_only_the_groups_of_a_configured_pattern_are_overwritten() -> None:
    """Where it has none, all of the match is."""
    record = b"card 4111111111111111 of Bob\n"
    assert (
        b"card ************1111 of Bob\n" == Masker(patterns=[r"\b(\d{12})\d{4}\b"]).mask(record)[0]
    )
    assert b"card **************** of Bob\n" == Masker(patterns=[r"\b\d{16}\b"]).mask(record)[0]


def test_overlapping_ranges_are_one() -> None:
    """Ranges ascend and stand apart."""
    assert (b"*****f\n", [(0, 5)]) == Masker(patterns=["abc", "cde", "ab"]).mask(b"abcdef\n")


def test_half_of_a_character_or_an_escape_is_never_left() -> None:
    """`.` is a byte: the rest of its character goes with it."""
    assert b"x***y" == Masker(patterns=["x(.)"]).mask("x€y".encode())[0]
    masked, _ = Masker(patterns=[r"x(..)"]).mask(b'{"a":"x\\u00e9y"}\n')
    assert {"a": "x******y"} == json.loads(masked)
    masked, _ = Masker(patterns=[r"(\w+)e9y"]).mask(b'{"a":"\\\\\\u00e9y"}\n')
    assert {"a": "\\******y"} == json.loads(masked)


def test_a_private_key_in_docker_lines_is_masked_within_the_words() -> None:
    """A group of wrapped lines is looked at as the application wrote it."""
    block = SECRETS["private-key"].replace(b"<", b"").replace(b">", b"").split(b"\n")
    record = b"".join(
        b'{"log":"%b\\n","stream":"stdout","time":"2026-01-03T14:05:12.1Z"}\n' % line
        for line in block
    )
    masked, ranges = Masker(builtin=["private-key"], words=find_words("docker")).mask(record)
    shaped = docker.shape(masked)
    assert shaped is not None
    assert [
        block[0].decode(),
        "******",
        "**********",
        block[-1].decode(),
    ] == shaped.message.split("\n")
    assert [6, 10] == [length for _, length in ranges]


def test_a_greedy_pattern_does_not_leave_the_words_of_a_wrapped_line() -> None:
    """What Docker wrote around them is not the application's."""
    record = b'{"log":"password=abc\\n","stream":"stdout","time":"2026-01-03T14:05:12.1Z"}\n'
    masker = Masker(patterns=[r"password=(\S+)"], words=find_words("docker"))
    assert record.replace(b"abc", b"***") == masker.mask(record)[0]


def test_a_secret_is_found_wherever_it_stands_in_a_long_line() -> None:
    """Configured patterns see a window at a time; windows overlap by half."""
    masker = Masker(patterns=[r"id-\d{600}!"])
    secret = b"id-" + b"7" * 600 + b"!"
    for at in range(0, 3 * WINDOW_BYTES, 501):
        record = b"x" * at + secret + b"y" * (4 * WINDOW_BYTES - at)
        assert [(at, len(secret))] == masker.mask(record)[1]


def test_an_unknown_kind_and_a_wrong_pattern_are_refused() -> None:
    """A mask that masks nothing must not look like one."""
    with pytest.raises(ValueError, match="'jwtt' is no kind of secret: aws-access-key"):
        Masker(builtin=["jwtt"])
    with pytest.raises(ValueError, match="is no regular expression"):
        Masker(patterns=["("])


PIECES = st.lists(
    st.sampled_from([split(marked)[0].rstrip(b"\n") for marked in SECRETS.values()])
    | st.sampled_from([b" ", b"\n", b"x", b'"', b"\\", b"{", b"=", b"password=", b"://", b":",
    b"@", b"*"])
    | st.text(max_size=4).map(lambda text: text.encode("utf-8", "replace"))
    | st.binary(max_size=3),
    max_size=8,
)  # fmt: skip
PATTERNS = st.sampled_from([(), (r"x(.)",), (r"\S{5,}",), (r"[^ ]=(\S+)", r"(?i)A")])


@given(pieces=PIECES, patterns=PATTERNS)
def test_a_mask_keeps_length_lines_and_utf8_and_finds_nothing_twice(
    pieces: list[bytes], patterns: tuple[str, ...]
) -> None:
    """Same length, same line feeds, text stays text; what is outside the ranges is untouched."""
    record = b"".join(pieces)
    masker = Masker(builtin=tuple(BUILTIN), patterns=patterns)
    masked, ranges = masker.mask(record)
    assert len(record) == len(masked)
    assert starred(record, ranges) == masked
    assert [at for at, byte in enumerate(record) if byte == 0x0A] == [
        at for at, byte in enumerate(masked) if byte == 0x0A
    ]
    assert all(start + length < following for (start, length), (following, _) in pairwise(ranges))
    if record == record.decode("utf-8", "ignore").encode():
        masked.decode()
    assert (masked, []) == masker.mask(masked)


@given(
    records=st.lists(PIECES.map(lambda pieces: b"".join(pieces) + b"\n"), max_size=8),
    patterns=PATTERNS,
)
def test_the_quick_look_misses_no_record(records: list[bytes], patterns: tuple[str, ...]) -> None:
    """A record that is passed over has no secret."""
    masker = Masker(builtin=tuple(BUILTIN), patterns=patterns)
    hits = {place for place, record in enumerate(records) if masker.mask(record)[1]}
    assert hits <= set(masker.candidates(records))


@pytest.mark.slow
def test_hostile_records_are_masked_in_bounded_time() -> None:
    """A megabyte of almost a secret takes no minutes."""
    began = time.process_time()
    for piece in (
        b"eyJ", b"eyJaaaaaaaa.", b"-----BEGIN PRIVATE KEY-----", b"password=", b"://a:", b"://",
        b"bearer ",
        b"secretkey=", b"AKIA", b"ghp_", b"xoxb-", b"\\", b'"password":"', b"a1_-",
    ):  # fmt: skip
        ALL.mask(piece * ((1 << 20) // len(piece)))
    assert time.process_time() - began < 20.0
