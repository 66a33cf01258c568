"""What a document becomes for reading: flat names, one form of time, the words of a match."""

from __future__ import annotations

import pytest

from forensics.store.documents import (
    flatten,
    index_text,
    parse_document,
    read_fields,
    split_words,
    time_nanos,
)

NOON = 1_767_441_600_000_000_000
assert NOON % 1_000_000_000 == 0


@pytest.mark.parametrize(
    ("value", "nanos"),
    [
        ("2026-01-03T12:00:00.000000000Z", NOON),
        ("2026-01-03T12:00:00.000000001Z", NOON + 1),
        ("2026-01-03T12:00:00Z", NOON),
        ("2026-01-03T13:00:00+01:00", NOON),
        ("2026-01-03T13:00:00.5+0100", NOON + 500_000_000),
        ("2026-01-03 12:00:00,123", NOON + 123_000_000),
        ("2026-01-03T12:00Z", NOON),
        ("2026-01-03", NOON - 12 * 3_600_000_000_000),
        (NOON // 1_000_000, NOON),
        (str(NOON // 1_000_000), NOON),
        (float(NOON // 1_000_000), NOON),
        (NOON / 1_000_000, NOON),
        (None, None),
        (True, None),
        ("", None),
        ("yesterday", None),
        ("2026-01-03T12:00:00.00000000xZ", None),
        ("2026-13-03T12:00:00.000000000Z", None),
        ("1969-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59.000000000Z", None),
        (float("inf"), None),
        (1e300, None),
        (-1, None),
        (10**30, None),
        ({"a": 1}, None),
    ],
)
def test_times_of_any_shipper_are_nanoseconds_or_nothing(value: object, nanos: int | None) -> None:
    """ISO 8601 of any precision and zone, milliseconds as number or digits; the rest is None."""
    assert nanos == time_nanos(value)


def test_nested_objects_become_dotted_names() -> None:
    """Lists and the object in `fields` stay whole; a name that is dotted already stays."""
    document = {
        "a": {"b": {"c": 1}, "d.e": 2},
        "f.g": 3,
        "h": [{"i": 4}],
        "fields": {"j": {"k": 5}},
        "l": {},
    }
    assert {
        "a.b.c": 1,
        "a.d.e": 2,
        "f.g": 3,
        "h": [{"i": 4}],
        "fields": {"j": {"k": 5}},
    } == flatten(document)


@pytest.mark.parametrize("text", ['"text"', "[]", "1", "", "{", "{} {}", '{"a":Infinity}'])
def test_what_is_no_object_is_refused(text: str) -> None:
    """One JSON object, and nothing that JSON does not have."""
    with pytest.raises(ValueError, match=r"document|JSON|line 1"):
        parse_document(text)


@pytest.mark.parametrize("opening", ['{"a":', "[", '{"fields":'])
@pytest.mark.parametrize("depth", [101, 2_000, 200_000])
def test_nesting_without_end_is_refused_and_kills_nothing(opening: str, depth: int) -> None:
    """Objects and lists alike, at any depth that a body can hold."""
    closing = "]" if opening == "[" else "}"
    text = '{"x":' + opening * depth + "1" + closing * depth + "}"
    with pytest.raises(ValueError, match="nested deeper"):
        parse_document(text)


def test_times_read_as_thirty_characters() -> None:
    """Both times are normalised; one that is none gives way to the time of receipt, if known."""
    fields = read_fields({"@timestamp": "2026-01-03T13:00:00+01:00", "event": {"created": 0}})
    assert "2026-01-03T12:00:00.000000000Z" == fields["@timestamp"]
    assert "1970-01-01T00:00:00.000000000Z" == fields["event.created"]
    assert "odd" == read_fields({"@timestamp": "odd"})["@timestamp"]
    assert (
        "2026-01-03T12:00:00.000000000Z"
        == (read_fields({"@timestamp": "odd"}, received_at_nanos=NOON)["@timestamp"])
    )
    assert "@timestamp" not in read_fields({})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Connection refused!", ["connection", "refused"]),
        ("a a A", ["a"]),
        ("10.0.0.1:80", ["10", "0", "1", "80"]),
        ("naïve Größe", ["naïve", "größe"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("日本語 テスト", ["日", "本", "語", "テスト"]),
        ("\x1b[31m\x00\u202e", ["31m"]),
        ("\ud800", []),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_and_digits(text: str, words: list[str]) -> None:
    """Combining marks belong to their letter; Han and Hiragana are words of one character."""
    assert words == split_words(text)


def test_indexed_text_cuts_into_the_same_words() -> None:
    """What is indexed and what is asked for meet; ASCII is not touched."""
    assert "ASCII stays, as it is" == index_text("ASCII stays, as it is")
    for text in ("Größe: 日本語—ОШИБКА", "a\u2028b", "ﬁn ①"):
        assert split_words(text) == list(dict.fromkeys(index_text(text).split()))
