"""A spool damaged at every byte: what was acknowledged is there, or was destroyed by the damage.

In process for all bytes of segment, `chunks` and `next`; with real shippers, whose Forward client
had its acknowledgements, for a sample.
"""

from __future__ import annotations

import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shipper.sources.spool import Chunk, Spool, SpoolBudget
from shipper.wire.record import stored_bytes
from tests.everything import ALL
from tests.faults.bulk_server import BulkServer, wait_until
from tests.faults.forward_client import send_chunk
from tests.faults.shipper_process import ShipperProcess
from tests.faults.test_state_damage import DAMAGES
from tests.faults.zygote import open_zygotes

SEED = 20260103
SAMPLES = 400 if ALL else 60
CHUNKS = 10
LINES_A_CHUNK = 3
SEGMENT_BYTES = 150
"""Two chunks a segment: the last one is in doubt after a restart, the others are not."""


@dataclass(frozen=True)
class Line:
    """An acknowledged line, and where it stands."""

    segment: str
    start: int
    end: int
    data: bytes
    is_last_chunk: bool

    def is_hit(self, file: str, destroyed: range) -> bool:
        """Whether damage took some of its bytes."""
        return file == self.segment and self.start < destroyed.stop and destroyed.start < self.end


def find_lines(folder: Path, last_lines: int) -> list[Line]:
    """Every line of a spool; the `last_lines` at its end were written by the last chunk."""
    lines = []
    for path in sorted(folder.glob("*.seg")):
        at = 0
        for data in path.read_bytes().splitlines(keepends=True):
            lines.append(Line(path.name, at, at + len(data), data, is_last_chunk=False))
            at += len(data)
    return lines[:-last_lines] + [
        Line(one.segment, one.start, one.end, one.data, is_last_chunk=True)
        for one in lines[-last_lines:]
    ]


def destroyed_bytes(kind: str, at: int, size: int) -> range:
    """What a damage takes."""
    return range(at, size if kind in {"cut", "zero"} else at + 1)


def owed(lines: list[Line], file: str, kind: str, destroyed: range) -> list[Line]:
    """What must still be there, byte for byte.

    Of the last chunk nobody can tell whether a power cut left it half written, before it was
    acknowledged: what is short, or zeros to the end, is taken for that.
    """
    is_torn = kind in {"cut", "zero"}
    is_last_hit = is_torn and any(
        one.is_last_chunk and one.is_hit(file, destroyed) for one in lines
    )
    return [
        one
        for one in lines
        if not one.is_hit(file, destroyed) and not (is_last_hit and one.is_last_chunk)
    ]


@pytest.fixture
def good(memory_path: Path) -> Path:
    """A spool whose every line was acknowledged, and which was left as a kill leaves it."""
    folder = memory_path / "good"
    spool = Spool(folder, budget=SpoolBudget(1 << 20), segment_bytes=SEGMENT_BYTES)
    for number in range(CHUNKS):
        lines = [b'{"chunk":%d,"line":%d}\n' % (number, line) for line in range(LINES_A_CHUNK)]
        spool.append(lines, chunks=[Chunk(b"key %d" % number, 0, LINES_A_CHUNK)])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGES)
def test_a_spool_damaged_at_any_byte_keeps_what_was_acknowledged(
    memory_path: Path, good: Path, kind: str
) -> None:
    """It opens, keeps every line that was not hit, knows what it has, and takes new lines."""
    lines = find_lines(good, LINES_A_CHUNK)
    assert CHUNKS * LINES_A_CHUNK == len(lines)
    folder = memory_path / "spool"
    count = 0
    for file in sorted(path.name for path in good.iterdir()):
        data = (good / file).read_bytes()
        for at in range(len(data)):
            shutil.copytree(good, folder)
            (folder / file).write_bytes(DAMAGES[kind](data, at))
            destroyed = destroyed_bytes(kind, at, len(data))
            _check_opened(folder, owed(lines, file, kind, destroyed), f"{file} {kind} at {at}")
            shutil.rmtree(folder)
            count += 1
    assert count > 1000


def _check_opened(folder: Path, wanted: list[Line], what: str) -> None:
    used = {path.name for path in folder.glob("*.seg")}
    spool = Spool(folder, budget=SpoolBudget(1 << 20), segment_bytes=SEGMENT_BYTES)
    content = {path.name: path.read_bytes() for path in spool.segments()}
    lost = [one for one in wanted if content[one.segment][one.start : one.end] != one.data]
    assert [] == lost, what
    for number in range(CHUNKS):  # a client that sends a chunk again is told "known" only if it is
        mine = [one for one in wanted if b'"chunk":%d,' % number in one.data]
        if spool.is_known(b"key %d" % number) and len(mine) == LINES_A_CHUNK:
            assert all(one.data in content[one.segment] for one in mine), what
    spool.append([b"new\n"], chunks=[Chunk(b"new key", 0, 1)])
    new = [path for path in spool.segments() if path.name not in used]
    assert [b"new\n"] == [path.read_bytes() for path in new], what
    spool.close()


@dataclass(frozen=True)
class Damage:
    """One thing that went wrong with a spool."""

    file: str
    kind: str
    share: float
    """Where in the file."""


class Sender:
    """A machine whose Forward client was acknowledged while the centre was away."""

    def __init__(self, folder: Path, server: BulkServer) -> None:
        self.folder = folder
        self.server = server
        self.socket = folder / "f.sock"
        self.shipper = ShipperProcess(
            folder,
            patterns=[str(folder / "none.log")],
            url=server.url,
            instance_id="i-1",
            more=f'[[sources.forward]]\nlisten = "unix://{self.socket}"\n',
        )

    def send_all(self) -> None:
        """Every chunk is acknowledged, then the shipper is killed: all is in the spool alone."""
        self.server.go_away()
        with self.shipper as shipper:
            shipper.start()
            wait_until(self.socket.exists)
            for number in range(CHUNKS):
                texts = [f"chunk {number} line {line}" for line in range(LINES_A_CHUNK)]
                assert send_chunk(self.socket, f"c{number}", texts), "no acknowledgement"
            journal = self.shipper.state / "sources"
            wait_until(lambda: b'"source":0' in journal.read_bytes())
            assert -9 == shipper.kill()
        self.server.come_back()


@pytest.mark.slow
@pytest.mark.everything
@pytest.mark.timeout(600)
def test_a_shipper_with_a_damaged_spool_ships_what_it_acknowledged(
    capsys: pytest.CaptureFixture[str], short_path: Path
) -> None:
    """Every line that was not hit is stored, those that were as they are; it ends as it should."""
    dice = random.Random(SEED)
    with BulkServer() as server, open_zygotes(1) as zygotes:
        sender = Sender(short_path, server)
        sender.send_all()
        state, good = sender.shipper.state, short_path / "good"
        state.rename(good)
        (spool,) = {path.parent.relative_to(good) for path in good.rglob("*.seg")}
        lines = find_lines(good / spool, LINES_A_CHUNK)
        assert CHUNKS * LINES_A_CHUNK == len(lines)
        files = sorted(path.name for path in (good / spool).iterdir())
        zygote = zygotes.get()
        hit = 0
        for number in range(SAMPLES):
            damage = Damage(files[number % len(files)], dice.choice([*DAMAGES]), dice.random())
            shutil.copytree(good, state)
            path = state / spool / damage.file
            data = path.read_bytes()
            at = int(damage.share * len(data))
            path.write_bytes(DAMAGES[damage.kind](data, at))
            server.oracle.documents.clear()
            words = ship(zygote, sender)
            stored = [stored_bytes(one, fields) for _, one, fields in server.oracle.logs()]
            destroyed = destroyed_bytes(damage.kind, at, len(data))
            wanted = owed(lines, damage.file, damage.kind, destroyed)
            missing = [line.data for line in wanted if stored.count(line.data) != 1]
            assert [] == missing, f"{damage}: {words}"
            known = {line.data for line in lines}
            strange = [
                one
                for one in stored
                if one not in known and one not in path_bytes(damage, data, at)
            ]
            assert [] == strange, f"{damage}: {words}"
            hit += len(wanted) < len(lines)
            shutil.rmtree(state)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{SAMPLES} damaged spools, {hit} of which lost acknowledged bytes to the damage:"
            " every other acknowledged line is stored once\n"
        )


def path_bytes(damage: Damage, data: bytes, at: int) -> bytes:
    """What the damaged file held: what was hit is shipped as it is."""
    return DAMAGES[damage.kind](data, at)


def ship(zygote: Any, sender: Sender) -> str:
    """One real run to its end; what it said."""
    words = sender.folder / "words"
    words.unlink(missing_ok=True)
    order = {
        "config": str(sender.folder / "shipper.toml"),
        "words": str(words),
        "calls": str(sender.folder / "calls"),
        "at": 0,
        "torn": False,
    }
    code = zygote.run(order)
    text = words.read_text(errors="replace")
    assert (0, False) == (code, "Traceback" in text), text
    return text


def test_what_a_crash_left_unfinished_is_not_called_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only acknowledged bytes that are gone are told as gone, with their number."""
    folder = tmp_path / "spool"
    budget = SpoolBudget(1 << 20)
    spool = Spool(folder, budget=budget)
    for number in range(3):
        spool.append([b"line %d\n" % number], chunks=[Chunk(b"%d" % number, 0, 1)])
    (path,) = spool.segments()
    data = path.read_bytes()
    for size, gone in ((20, 0), (14, 0), (10, 7), (0, 14)):
        path.write_bytes(data[:size])
        capsys.readouterr()
        Spool(folder, budget=budget).close()
        said = capsys.readouterr().err
        assert (f"{gone} acknowledged bytes are gone" in said) == bool(gone), said
        shutil.rmtree(folder)
        spool = Spool(folder, budget=budget)
        for number in range(3):
            spool.append([b"line %d\n" % number], chunks=[Chunk(b"%d" % number, 0, 1)])
