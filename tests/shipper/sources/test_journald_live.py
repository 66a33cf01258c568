"""A real journald is written to, flushed, rotated, vacuumed and killed while it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shipper.sources.private_journald import CAN_RUN, PrivateJournald

pytestmark = [
    pytest.mark.everything,
    pytest.mark.slow,
    pytest.mark.skipif(not CAN_RUN, reason="needs root, unshare and systemd-journald"),
]


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[PrivateJournald]:
    """One that runs."""
    made = PrivateJournald(tmp_path)
    yield made
    made.close()


def _said(*numbers: int) -> list[str]:
    return [f"test {number}" for number in numbers]


def test_a_message_wakes_the_reader(journald: PrivateJournald) -> None:
    """Within the time that a select takes, message by message, from the boot's start on."""
    with journald.probe() as probe:
        journald.send("test 0")
        probe.open()
        probe.wait_for("test 0")
        for number in range(1, 20):
            assert not probe.is_awake(0.0) or probe.read() == 0
            journald.send(f"test {number}")
            assert probe.is_awake(5.0)
            probe.wait_for(f"test {number}")
    assert (_said(*range(20)), []) == (probe.messages, probe.gaps)


def test_nothing_is_lost_or_repeated_while_the_journal_moves(journald: PrivateJournald) -> None:
    """From memory to disk, from file to file, and over a kill of journald itself."""
    with journald.probe() as probe:
        probe.open()
        number = 0
        ids = 0
        for change in ("none", "flush", "none", "rotate", "kill", "rotate", "kill", "kill"):
            journald.send(*_said(*range(number, number + 50)))
            number += 50
            probe.wait_for(f"test {number - 1}")
            if change == "flush":
                journald.flush()
            elif change == "rotate":
                journald.rotate()
            elif change == "kill":
                journald.kill()
                journald.start()
            ids = max(ids, len(probe.sequence_ids))
        journald.send(f"test {number}")
        probe.wait_for(f"test {number}")
    assert (_said(*range(number + 1)), []) == (probe.messages, probe.gaps)
    assert ids > 1  # the move to disk, at least, begins another numbering


def test_a_restarted_reader_goes_on_where_the_journal_was_moved(journald: PrivateJournald) -> None:
    """Its cursor names a place in memory that is not there any more; the entry is, on disk."""
    journald.flush()
    journald.reboot()  # from now on memory and disk have numberings of their own
    with journald.probe() as probe:
        probe.open()
        journald.send(*_said(0, 1, 2))
        probe.wait_for("test 2")
    journald.send(*_said(3, 4))
    journald.flush()
    journald.send("test 5")
    with journald.probe() as later:
        later.open(probe.cursor)
        later.wait_for("test 5")
    assert (_said(3, 4, 5), []) == (later.messages, later.gaps)
    assert probe.sequence_ids[-1] not in later.sequence_ids


def test_entries_that_were_vacuumed_are_named(journald: PrivateJournald) -> None:
    """By a reader that was away, and by one that was there and did not get to read."""
    journald.flush()
    with journald.probe() as away, journald.probe() as late, journald.probe() as punctual:
        for probe in (away, late, punctual):
            probe.open()
            journald.send("test 0")
            probe.wait_for("test 0")
        for number in range(1, 6):
            journald.send(f"test {number}")
            punctual.wait_for(f"test {number}")  # it is written
            journald.rotate()
        journald.send("test 6")
        punctual.wait_for("test 6")
        journald.journalctl("--vacuum-files=2")
        late.wait_for("test 6")
        away.open(away.cursor)
        away.wait_for("test 6")
    assert [] == punctual.gaps
    for probe in (away, late):
        assert "test 6" == probe.messages[-1]
        assert len(probe.messages) < len(punctual.messages)
        assert set(probe.numbers).isdisjoint(probe.missing)
        assert punctual.numbers[-1] == probe.numbers[-1]
        # what it has not read, it has named
        seen = {*probe.numbers, *probe.missing}
        assert set(range(probe.numbers[0], punctual.numbers[-1] + 1)) == seen
