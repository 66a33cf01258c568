"""shipper.sources.journald: a single missing number is told; so is a file that is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.sources.journal_access import find_damaged
from shipper.sources.journald import JournalGap, JournalReader

NUMBERING, BOOT = "a" * 32, "b" * 32


class ListHandle:
    """As JournalHandle, over sequence numbers."""

    numbers: tuple[int, ...] = ()

    def __init__(self, _folder: Path | None, *, library: object) -> None:
        del library
        self._at = -1

    def seek_head(self) -> None:
        """Before the first."""
        self._at = -1

    def seek_tail(self) -> None:
        """Behind the last."""
        self._at = len(self.numbers)

    def seek_cursor(self, cursor: str) -> None:
        """Before that entry."""
        self._at = [self._name(number) for number in self.numbers].index(cursor) - 1

    def match_boot(self, boot: str) -> None:
        """All are of one boot."""
        assert boot == BOOT

    def next(self) -> bool:
        """Whether there is one more."""
        self._at += 1
        return self._at < len(self.numbers)

    def previous(self) -> bool:
        """Whether there is one before."""
        self._at -= 1
        return self._at >= 0

    def process(self) -> bool:
        """Nothing came."""
        return False

    def cursor(self) -> str:
        """Where it stands."""
        return self._name(self.numbers[self._at])

    def values(self) -> Iterator[bytes]:
        """One field."""
        yield b"MESSAGE=%d" % self.numbers[self._at]

    def realtime_micros(self) -> int:
        """Any time."""
        return 10**15

    def close(self) -> None:
        """Nothing is held."""

    @staticmethod
    def _name(number: int) -> str:
        return f"s={NUMBERING};i={number:x};b={BOOT};m={number:x};t={number:x};x={number:x}"


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ((4, 5, 6), []),
        ((4, 6), [(5, 6)]),
        ((4, 7), [(5, 7)]),
        ((4, 8), [(5, 8)]),
        ((4, 6, 7, 9, 12), [(5, 6), (8, 9), (10, 12)]),
    ],
)
@pytest.mark.parametrize("resumes", [False, True])
def test_every_number_that_is_missing_is_in_a_gap(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    numbers: tuple[int, ...],
    missing: list[tuple[int, int]],
    *,
    resumes: bool,
) -> None:
    """One entry that journald removed is as lost as a thousand; within a run and over a restart."""
    monkeypatch.setattr("shipper.sources.journald.JournalHandle", ListHandle)
    monkeypatch.setattr("shipper.sources.journald.Libsystemd", lambda _name: None)
    monkeypatch.setattr(ListHandle, "numbers", numbers)
    reader = JournalReader(tmp_path)
    reader.open(ListHandle._name(4) if resumes else "")
    batch = reader.read(1 << 20)
    assert batch is not None
    assert list(numbers[1:] if resumes else numbers) == [one.sequence for one in batch.entries]
    expected = [
        JournalGap(
            sequence_id=NUMBERING,
            start=start,
            end=end,
            reason="removed from the journal before they were read, or never written whole",
        )
        for start, end in missing
    ]
    assert expected == list(batch.gaps)


def test_a_file_that_is_no_journal_is_found_by_its_first_bytes(tmp_path: Path) -> None:
    """In the folder and in a machine's below it; one that has just begun is none of them."""
    machine = tmp_path / BOOT
    machine.mkdir()
    (tmp_path / "good.journal").write_bytes(b"LPKSHHRH" + bytes(200))
    (tmp_path / "new.journal").write_bytes(b"")
    (tmp_path / "other.txt").write_bytes(b"what not else")
    (machine / "bad.journal").write_bytes(b"\x00\xff random")
    assert [str(machine / "bad.journal")] == list(find_damaged(tmp_path))
    assert [str(machine / "bad.journal")] == list(find_damaged(None, system=(tmp_path,)))
