"""shipper.sources.journald on real journal files: each entry once, as journalctl has it."""

from __future__ import annotations

import base64
import json
import random
import select
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shipper.sources.journald import Batch, Entry, JournalReader
from shipper.wire.journal_entries import VALUE_LIMIT_BYTES
from tests.shipper.sources.journal_files import (
    BOOT,
    FIRST_MICROS,
    HAS_TOOLS,
    Written,
    build_message,
    load_with_journalctl,
    save_journal,
)

pytestmark = [
    pytest.mark.everything,
    pytest.mark.skipif(not HAS_TOOLS, reason="needs systemd-journal-remote and journalctl"),
]

EVERYTHING = 1 << 30
LATER_BOOT = "ffffffffffffffffffffffffffffffff"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[JournalReader]:
    """Reads the journal files in the test's folder."""
    made = JournalReader(tmp_path, own_unit="afterimage-shipper.service")
    yield made
    made.close()


def _read_all(reader: JournalReader, limit_bytes: int = EVERYTHING) -> list[Batch]:
    return list(iter(lambda: reader.read(limit_bytes), None))


def _entries(batches: Sequence[Batch]) -> list[Entry]:
    return [entry for batch in batches for entry in batch.entries]


def _messages(batches: Sequence[Batch]) -> list[str]:
    return [json.loads(entry.data)["MESSAGE"] for entry in _entries(batches)]


def _said(*numbers: int) -> list[str]:
    return [f"message {number}" for number in numbers]


def _bytes(value: Any) -> bytes:
    """A value of ours or of journalctl's: text, base64 object, or a list of bytes."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return bytes(value)


def _values(value: Any) -> list[bytes]:
    several = isinstance(value, list) and not all(isinstance(one, int) for one in value)
    return sorted(_bytes(one) for one in (value if several else [value]))


def test_every_entry_is_as_journalctl_has_it(tmp_path: Path, reader: JournalReader) -> None:
    """Field by field: texts, bytes, several values of a name, empty ones, long compressed ones."""
    seed = random.Random(4)
    contents = (
        lambda: seed.randbytes(seed.randrange(40)),
        lambda: "".join(chr(seed.randrange(32, 0x2FF)) for _ in range(20)).encode(),
        lambda: b"compressible " * seed.randrange(2000),
        lambda: b"two\nlines",
        lambda: b"",
    )
    names = ("A", "B", "PRIORITY", "_COMM", "_SYSTEMD_UNIT", "_PID")
    entries = [
        build_message(
            number, *((name, seed.choice(contents)()) for name in seed.choices(names, k=6))
        )
        for number in range(200)
    ]
    save_journal(tmp_path / "a.journal", entries)
    reader.open()
    expected = load_with_journalctl(tmp_path)
    found = [json.loads(entry.data) for entry in _entries(_read_all(reader))]
    assert 200 == len(expected) == len(found)
    for theirs, ours in zip(expected, found, strict=True):
        assert theirs.pop("__MONOTONIC_TIMESTAMP")
        assert f"i={int(ours.pop('__SEQNUM')):x};" in theirs["__CURSOR"]
        theirs.pop("__SEQNUM", None)  # newer versions say it, too
        theirs.pop("__SEQNUM_ID", None)
        assert {name: _values(value) for name, value in theirs.items()} == {
            name: _values(value) for name, value in ours.items()
        }


def test_a_later_reader_goes_on_behind_a_cursor(tmp_path: Path, reader: JournalReader) -> None:
    """At every place: no entry twice, none left out, each the same bytes."""
    save_journal(tmp_path / "a.journal", [build_message(number) for number in range(30)])
    reader.open()
    entries = _entries(_read_all(reader))
    for place, entry in enumerate(entries):
        reader.open(entry.cursor)
        batches = _read_all(reader)
        assert entries[place + 1 :] == _entries(batches)
        assert [] == [gap for batch in batches for gap in batch.gaps]


def test_batches_are_bounded_in_bytes(tmp_path: Path, reader: JournalReader) -> None:
    """By the entry that passes the bound; the next batch goes on with the next number."""
    save_journal(tmp_path / "a.journal", [build_message(number) for number in range(20)])
    reader.open()
    batches = _read_all(reader, limit_bytes=1000)
    assert _said(*range(20)) == _messages(batches)
    assert 1 < len(batches) < 20
    for batch in batches:
        assert sum(len(entry.data) for entry in batch.entries[:-1]) < 1000
    for before, after in pairwise(batches):
        assert (before.end, before.cursor) == (after.start, before.entries[-1].cursor)


def test_the_first_read_begins_with_the_newest_boot(tmp_path: Path, reader: JournalReader) -> None:
    """What was there before the machine became this one is not its story."""
    save_journal(
        tmp_path / "a.journal",
        [
            *(build_message(number) for number in range(5)),
            *(build_message(number, boot=LATER_BOOT) for number in range(5, 9)),
        ],
    )
    reader.open()
    assert _said(5, 6, 7, 8) == _messages(_read_all(reader))


def test_a_cursor_of_an_earlier_boot_reads_that_boots_last_words(
    tmp_path: Path, reader: JournalReader
) -> None:
    """The shipper may not have got to send them before the machine went down."""
    save_journal(
        tmp_path / "a.journal",
        [build_message(number, boot=BOOT if number < 5 else LATER_BOOT) for number in range(8)],
    )
    first = load_with_journalctl(tmp_path)[2]
    reader.open(first["__CURSOR"])
    assert _said(3, 4, 5, 6, 7) == _messages(_read_all(reader))


def test_numberings_are_told_apart(tmp_path: Path, reader: JournalReader) -> None:
    """Two files with numberings of their own whose entries alternate: a batch has one of them."""
    save_journal(tmp_path / "a.journal", [build_message(number) for number in (0, 1, 4)])
    save_journal(tmp_path / "b.journal", [build_message(number) for number in (2, 3, 5)])
    reader.open()
    batches = _read_all(reader)
    assert _said(*range(6)) == _messages(batches)
    assert [(1, 3), (1, 3), (3, 4), (3, 4)] == [(batch.start, batch.end) for batch in batches]
    ids = [batch.sequence_id for batch in batches]
    assert ids == [ids[0], ids[1], ids[0], ids[1]]
    assert 2 == len(set(ids))


def test_its_own_entries_are_counted_and_not_shipped(tmp_path: Path, reader: JournalReader) -> None:
    """What the shipper says of its troubles would be shipped, and cause the next."""
    own = ("_SYSTEMD_UNIT", b"afterimage-shipper.service")
    save_journal(
        tmp_path / "a.journal",
        [build_message(number, *[own] * (number in {1, 2, 4})) for number in range(6)],
    )
    reader.open()
    (batch,) = _read_all(reader)
    assert _said(0, 3, 5) == _messages([batch])
    assert [(2, 4, 2), (5, 6, 1)] == [(drop.start, drop.end, drop.count) for drop in batch.drops]


def test_a_message_about_the_shipper_is_shipped(tmp_path: Path, reader: JournalReader) -> None:
    """What systemd says of its unit is another's word."""
    about = (("UNIT", b"afterimage-shipper.service"), ("_SYSTEMD_UNIT", b"init.scope"))
    save_journal(tmp_path / "a.journal", [build_message(0, *about)])
    reader.open()
    assert _said(0) == _messages(_read_all(reader))


def test_a_core_dump_is_cut(tmp_path: Path, reader: JournalReader) -> None:
    """Also where the file holds it compressed; nothing of its size is ever in memory twice."""
    dump = b"\x00core" * VALUE_LIMIT_BYTES
    save_journal(tmp_path / "a.journal", [build_message(0, ("COREDUMP", dump))])
    reader.open()
    (entry,) = _entries(_read_all(reader))
    value = json.loads(entry.data)["COREDUMP"]
    assert {"cut": True, "text": dump[:VALUE_LIMIT_BYTES].decode()} == value


def test_entries_that_come_later_wake_the_reader(tmp_path: Path, reader: JournalReader) -> None:
    """A new file in the folder, found through the descriptor."""
    reader.open()
    assert reader.read(EVERYTHING) is None
    save_journal(tmp_path / "a.journal", [build_message(0)])
    assert [reader] == select.select([reader], [], [], 5.0)[0]
    reader.process()
    assert _said(0) == _messages(_read_all(reader))


def test_a_reader_whose_entry_is_gone_says_so(tmp_path: Path, reader: JournalReader) -> None:
    """Under another numbering nobody knows which ones are missing."""
    first = save_journal(tmp_path / "a.journal", [build_message(number) for number in range(5)])
    reader.open()
    (batch,) = _read_all(reader)
    first.unlink()
    save_journal(tmp_path / "b.journal", [build_message(number) for number in range(9, 12)])
    reader.open(batch.cursor)
    (after,) = _read_all(reader)
    assert _said(9, 10, 11) == _messages([after])
    assert [(batch.sequence_id, 6, 6)] == [
        (gap.sequence_id, gap.start, gap.end) for gap in after.gaps
    ]


def test_an_entry_that_was_moved_to_another_numbering_is_known(
    tmp_path: Path, reader: JournalReader
) -> None:
    """The first entries are moved from memory to disk by journald, which numbers them anew."""
    entries = [build_message(number) for number in range(1, 6)]
    first = save_journal(tmp_path / "a.journal", entries)
    reader.open()
    (batch,) = _read_all(reader)
    first.unlink()
    save_journal(tmp_path / "b.journal", [build_message(0), *entries, build_message(6)])
    reader.open(batch.entries[2].cursor)
    (after,) = _read_all(reader)
    assert (_said(4, 5, 6), []) == (_messages([after]), list(after.gaps))
    assert batch.sequence_id != after.sequence_id


def test_a_damaged_file_costs_its_entries_alone_and_they_are_named(
    tmp_path: Path, reader: JournalReader
) -> None:
    """Bytes overwritten anywhere: what can be read comes in order, numbers between are declared."""
    whole = save_journal(tmp_path / "a.journal", [build_message(number) for number in range(50)])
    original = whole.read_bytes()
    used = original.rstrip(b"\x00")
    seed = random.Random(4)
    for _ in range(40):
        at = seed.randrange(1024, len(used))
        whole.write_bytes(original[:at] + seed.randbytes(64) + original[at + 64 :])
        reader.open()
        batches = _read_all(reader)
        numbers = [entry.sequence for entry in _entries(batches)]
        missing = {
            number
            for batch in batches
            for gap in batch.gaps
            for number in range(gap.start, gap.end)
        }
        assert numbers == sorted(set(numbers))
        assert missing.isdisjoint(numbers)
        if numbers:
            assert set(range(numbers[0], numbers[-1] + 1)) == {*numbers, *missing}


def test_a_cursor_of_no_known_form_is_no_cursor(tmp_path: Path, reader: JournalReader) -> None:
    """Everything is read again, and has the same ids."""
    save_journal(tmp_path / "a.journal", [build_message(0)])
    reader.open("i=1")
    assert _said(0) == _messages(_read_all(reader))


def test_times_are_journalds(tmp_path: Path, reader: JournalReader) -> None:
    """In the line as text, as journalctl has it."""
    save_journal(tmp_path / "a.journal", [Written(values=[("MESSAGE", b"x")], micros=7)])
    reader.open()
    (entry,) = _entries(_read_all(reader))
    assert str(FIRST_MICROS + 7) == json.loads(entry.data)["__REALTIME_TIMESTAMP"]
