"""Standard input into a spool: the same bytes, soon, and no more than fit."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shipper.errors import StateError
from shipper.sources.spool import Spool, SpoolBudget
from shipper.sources.stdin import StdinReader
from tests.faults.bulk_server import wait_until


@dataclass(slots=True)
class Piped:
    """A reader of a pipe, and the pipe's other end."""

    reader: StdinReader
    spool: Spool
    write_end: int

    def content(self) -> bytes:
        """What is in the spool."""
        return b"".join(path.read_bytes() for path in self.spool.segments())

    def end(self) -> None:
        """The writer is done."""
        os.close(self.write_end)
        self.write_end = -1


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Piped]:
    """A started reader with a spool of 100 kB."""
    read_end, write_end = os.pipe()
    spool = Spool(tmp_path, budget=SpoolBudget(100_000), segment_bytes=10_000, keeps_torn=True)
    made = Piped(StdinReader(spool, fd=read_end), spool, write_end)
    made.reader.start()
    yield made
    if made.write_end >= 0:
        made.end()
    made.reader.stop(5)
    os.close(read_end)
    spool.close()


def test_what_comes_in_is_there_and_is_ended(piped: Piped) -> None:
    """Every byte as it was, whatever the pieces; the last segment is sealed."""
    chance = random.Random(3)
    data = b"".join(
        chance.randbytes(chance.randrange(200)).replace(b"\0", b"") + b"\n" for _ in range(500)
    )
    at = 0
    while at < len(data):
        size = chance.randrange(1, 5000)
        os.write(piped.write_end, data[at : at + size])
        at += size
    assert not piped.reader.is_ended
    piped.end()
    wait_until(lambda: piped.reader.is_ended)
    assert data == piped.content()
    assert all(map(piped.spool.is_sealed, piped.spool.segments()))
    assert all(path.read_bytes().endswith(b"\n") for path in piped.spool.segments())


def test_a_last_line_without_a_line_feed_stays_without(piped: Piped) -> None:
    """No byte is added."""
    os.write(piped.write_end, b"one\ntwo")
    piped.end()
    wait_until(lambda: piped.reader.is_ended)
    assert b"one\ntwo" == piped.content()


def test_a_line_is_durable_soon_although_nothing_follows(piped: Piped) -> None:
    """A quiet writer does not wait for a full buffer."""
    os.write(piped.write_end, b"alone\n")
    wait_until(lambda: piped.content() == b"alone\n", timeout_seconds=2)
    assert not piped.reader.is_ended


@pytest.mark.slow
def test_at_the_cap_the_writer_waits_and_nothing_is_lost(piped: Piped) -> None:
    """The pipe fills; when segments are shipped it goes on."""
    data = b"".join(b"%06d %b\n" % (number, b"x" * 92) for number in range(20_000))

    def write() -> None:
        at = 0
        while at < len(data):
            at += os.write(piped.write_end, data[at : at + 4096])
        piped.end()

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: "full" in piped.reader.error)
    assert writer.is_alive()
    found = b""
    deadline = time.monotonic() + 30
    while not piped.reader.is_ended and time.monotonic() < deadline:
        for path in piped.spool.segments():
            if piped.spool.is_sealed(path):
                found += path.read_bytes()
                piped.spool.remove(path)
        threading.Event().wait(0.005)
    writer.join(10)
    assert data == found + piped.content()
    assert len(data) == piped.reader.bytes_received


def test_a_full_disk_is_waited_out(piped: Piped, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason can be read meanwhile."""
    with monkeypatch.context() as patched:

        def refuse(*_: object, **__: object) -> None:
            raise StateError("the spool can't be used", why="No space left on device")

        patched.setattr(Spool, "append", refuse)
        os.write(piped.write_end, b"line\n")
        wait_until(lambda: "No space" in piped.reader.error)
    wait_until(lambda: piped.content() == b"line\n")
    wait_until(lambda: piped.reader.error == "")


def test_a_stop_takes_what_is_in_the_pipe(piped: Piped) -> None:
    """It is not lost, and the input has not ended."""
    os.write(piped.write_end, b"x" * 60_000 + b"\n")
    piped.reader.stop(5)
    assert b"x" * 60_000 + b"\n" == piped.content()
    assert not piped.reader.is_ended


def test_a_stop_at_the_cap_ends_in_time(tmp_path: Path) -> None:
    """What could not be kept is told."""
    read_end, write_end = os.pipe()
    spool = Spool(tmp_path, budget=SpoolBudget(10), keeps_torn=True)
    spool.append([b"x" * 20])
    reader = StdinReader(spool, fd=read_end)
    reader.start()
    os.write(write_end, b"more\n")
    wait_until(lambda: "full" in reader.error)
    began = time.monotonic()
    reader.stop(0.3)
    assert 3 > time.monotonic() - began
    os.close(read_end)
    os.close(write_end)
    spool.close()


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    """`shipper run < file` works as a pipe does."""
    path = tmp_path / "input"
    path.write_bytes(b"a\nb\nc")
    spool = Spool(tmp_path / "spool", budget=SpoolBudget(1000), keeps_torn=True)
    with path.open("rb") as file:
        reader = StdinReader(spool, fd=file.fileno())
        reader.start()
        wait_until(lambda: reader.is_ended)
        reader.stop(5)
    assert b"a\nb\nc" == b"".join(one.read_bytes() for one in spool.segments())
