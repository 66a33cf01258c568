"""The chain of entries: what it finds out, and what it can't."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import IntegrityError
from forensics.evidence.chain import Entry, build_entry, encode_entry, start_digest, verify_chain

NAME = "cases/case-1/custody"
AT = "2026-01-03T14:05:12.000000000Z"

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def build_chain(bodies: Sequence[dict[str, object]], name: str = NAME) -> list[bytes]:
    """Stored entries of a log that holds `bodies`."""
    stored: list[bytes] = []
    previous: Entry | None = None
    for body in bodies:
        previous = build_entry(name, previous, AT, body)
        stored.append(encode_entry(previous))
    return stored


def five() -> list[bytes]:
    """A chain of five entries."""
    return build_chain([{"action": f"step {n}"} for n in range(1, 6)])


def altered_body(stored: list[bytes]) -> list[bytes]:
    """Entry 3 tells another story."""
    stored[2] = stored[2].replace(b"step 3", b"step X")
    return stored


def altered_with_new_digest(stored: list[bytes]) -> list[bytes]:
    """Entry 3 tells another story, with a digest that fits it."""
    before = Entry(**json.loads(stored[1]))
    stored[2] = encode_entry(build_entry(NAME, before, AT, {"action": "another story"}))
    return stored


def reordered(stored: list[bytes]) -> list[bytes]:
    """Entries 3 and 4 change places."""
    stored[2], stored[3] = stored[3], stored[2]
    return stored


CASES: list[tuple[str, Callable[[list[bytes]], list[bytes]], int, str]] = [
    ("altered", altered_body, 3, "altered"),
    ("altered with a fitting digest", altered_with_new_digest, 4, "entry 3 is"),
    ("missing in the middle", lambda stored: stored[:2] + stored[3:], 3, "missing"),
    ("first missing", lambda stored: stored[1:], 1, "missing"),
    ("reordered", reordered, 3, "missing: entry 4"),
    ("one twice", lambda stored: [*stored[:3], *stored[2:]], 4, "moved: entry 3"),
    ("torn", lambda stored: [*stored[:4], stored[4][:20]], 5, "not an entry"),
    ("not an object", lambda stored: [*stored[:4], b"[]\n"], 5, "not an entry"),
    ("a number for a text", lambda stored: [stored[0].replace(b'"at":"', b'"at":1,"x":"')], 1, ""),
    ("spaced", lambda stored: [stored[0].replace(b":", b": ", 1)], 1, "canonical"),
    ("a field twice", lambda stored: [stored[0].replace(b'"n":1', b'"n":1,"n":1')], 1, "canonical"),
    (
        "another log's",
        lambda _: build_chain([{"action": "step 1"}], "cases/case-2/custody"),
        1,
        "another log",
    ),
]


def test_an_untouched_chain_verifies_and_gives_its_bodies_back() -> None:
    """What was appended is what is read, in order."""
    bodies = [dict(entry.body) for entry in verify_chain(NAME, five(), count=5)]
    assert [{"action": f"step {n}"} for n in range(1, 6)] == bodies


@pytest.mark.parametrize(
    ("damage", "place", "how"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_first_broken_entry_is_named(
    damage: Callable[[list[bytes]], list[bytes]], place: int, how: str
) -> None:
    """Altered, missing, reordered or brought from elsewhere: the error says which entry and how."""
    with pytest.raises(IntegrityError) as caught:
        verify_chain(NAME, damage(five()))
    assert f"entry {place} is broken" in caught.value.what
    assert how in caught.value.why


def test_a_cut_tail_is_found_only_against_a_remembered_count() -> None:
    """The chain alone can't know of entries after its end; a count that others keep can."""
    cut = five()[:3]
    assert 3 == len(verify_chain(NAME, cut))
    with pytest.raises(IntegrityError, match="entry 4 is broken"):
        verify_chain(NAME, cut, count=5)


def test_a_chain_written_anew_is_found_against_a_remembered_head() -> None:
    """Whoever can write can forge a whole log, but not its remembered head digest."""
    head = verify_chain(NAME, five())[-1].digest
    forged = build_chain([{"action": "nothing happened"}] * 5)
    assert head == verify_chain(NAME, five(), count=5, head=head)[-1].digest
    with pytest.raises(IntegrityError, match="written anew"):
        verify_chain(NAME, forged, count=5, head=head)


@given(st.lists(st.dictionaries(st.text(), JSON_VALUES, max_size=4), max_size=5))
def test_every_json_body_survives(bodies: list[dict[str, object]]) -> None:
    """Hostile texts, lone surrogates and big numbers included."""
    assert bodies == [dict(entry.body) for entry in verify_chain(NAME, build_chain(bodies))]


@given(st.data())
def test_no_single_changed_byte_passes(data: st.DataObject) -> None:
    """Flip any byte of any entry: verification fails."""
    stored = five()
    place = data.draw(st.integers(0, 4))
    at = data.draw(st.integers(0, len(stored[place]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != stored[place][at]))
    stored[place] = stored[place][:at] + bytes([byte]) + stored[place][at + 1 :]
    with pytest.raises(IntegrityError):
        verify_chain(NAME, stored)


def test_the_first_entry_is_bound_to_its_log() -> None:
    """Two logs with the same content have different chains."""
    assert start_digest("cases/a/custody") != start_digest("cases/b/custody")
