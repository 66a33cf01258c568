"""Every state file damaged at every byte: it costs at most a re-read, and says so.

In process for all bytes, with real shipper runs for a sample of them.
"""

from __future__ import annotations

import json
import queue
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shipper.state_folder import StateFolder
from shipper.wire.state import (
    Checkpoint,
    Closed,
    Cut,
    Progress,
    Run,
    SourceRow,
    format_line,
    parse_line,
)
from tests.everything import ALL
from tests.faults.bulk_server import BulkServer
from tests.faults.oracle import Account, Ledger, judge
from tests.faults.zygote import Zygote, open_zygotes

SEED = 20260103
SAMPLES = 1500 if ALL else 120
WORKERS = 4
NOW = "2026-01-03T14:05:12.000000000Z"
FILES = ("stream", "sources", "checkpoint", "status.json", "dead-letters.jsonl")

DAMAGES: dict[str, Callable[[bytes, int], bytes]] = {
    "flip": lambda data, at: data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :],
    "cut": lambda data, at: data[:at],
    "zero": lambda data, at: data[:at] + bytes(len(data) - at),
    "newline": lambda data, at: data[:at] + b"\n" + data[at + 1 :],
}


def make_rows(count: int) -> list[SourceRow]:
    """Rows of some files."""
    return [
        SourceRow(
            source=number,
            path=f"/var/log/{number}.log",
            device=1,
            inode=100 + number,
            fingerprint="ab" * 32,
            fingerprint_bytes=10,
            day="2026-01-03",
            from_offset=0,
            at=NOW,
        )
        for number in range(count)
    ]


@contextmanager
def open_state(folder: Path) -> Iterator[StateFolder]:
    """The folder, as a start finds it."""
    state = StateFolder(folder, instance_id="i-1", now=NOW)
    try:
        yield state
    finally:
        state.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("damage", DAMAGES)
def test_any_damaged_byte_costs_at_most_a_reread(memory_path: Path, damage: str) -> None:
    """Opening never fails; what is known is what was written, or the stream is another one."""
    rows = make_rows(4)
    progress = {row.source: Progress(acked=50 + row.source, size=90) for row in rows[:3]}
    folder, good = memory_path / "state", memory_path / "good"
    with open_state(folder) as state:
        state.append([Run(run=1, at=NOW), *rows, Cut(source=1, offset=7)])
        state.append([Closed(source=3, end=90)])
        stream = state.stream.stream
        state.save_checkpoint(Checkpoint(stream=stream, saved_at=NOW, sources=progress))
    shutil.copytree(folder, good)
    for name in ("stream", "sources", "checkpoint"):
        data = (good / name).read_bytes()
        for at in range(len(data)):
            (folder / name).write_bytes(DAMAGES[damage](data, at))
            _check_opened(folder, stream, rows, progress)
            for other in good.iterdir():
                shutil.copyfile(other, folder / other.name)


def _check_opened(
    folder: Path, stream: str, rows: list[SourceRow], progress: dict[int, Progress]
) -> None:
    with open_state(folder) as state:
        checkpoint = state.load_checkpoint()
        if state.stream.stream != stream:
            assert {} == state.journal.rows
            assert {} == checkpoint.sources
            assert [] != state.notices
            return
        known = [row for found in state.journal.rows.values() for row in found]
        assert rows[: len(known)] == known
        assert checkpoint.sources in ({}, progress)
        assert state.journal.next_source >= len(known)
        # a number that the checkpoint knows is never free again
        assert state.journal.next_source > max(checkpoint.sources, default=-1)


@dataclass(frozen=True)
class Damage:
    """One thing that went wrong with a state folder."""

    file: str
    kind: str
    share: float
    """Where in the file."""


class DamagedMachine:
    """Logs and a state folder whose good state can be brought back; one worker's."""

    def __init__(self, folder: Path, zygote: Zygote, server: BulkServer) -> None:
        self._folder = folder
        self._zygote = zygote
        self._server = server
        self._ledger = Ledger()
        self._state, self._good = folder / "state", folder / "good"
        self._words = folder / "shipper.stderr"
        self._lives = {
            name: self._ledger.begin(str(folder / name)) for name in ("a.log", "b.log", "c.log")
        }
        (folder / "shipper.toml").write_text(
            f'[identity]\ninstance_id = "i-1"\n[state]\ndirectory = "{self._state}"\n'
            f'[[sources.tail]]\npaths = ["{folder}/*.log"]\n'
            f'[output.opensearch]\nurls = ["{server.url}"]\n'
        )
        server.judge = _refuse_poison
        for number, name in enumerate(self._lives):
            self._write(name, *[b"line"] * (3 * number + 1))
        (folder / "poison.log").write_bytes(b"poison\n")
        self.ship()
        (folder / "poison.log").unlink()
        self._write("b.log", b"once more")
        self.ship()
        shutil.copytree(self._state, self._good)
        self._documents = dict(server.oracle.documents)

    def damage_and_ship(self, damage: Damage) -> Account:
        """Damage the good state, ship what is new, and take the account."""
        shutil.rmtree(self._state)
        shutil.copytree(self._good, self._state)
        self._server.oracle.documents = dict(self._documents)
        self._words.unlink()
        path = self._state / damage.file
        data = path.read_bytes()
        at = min(int(damage.share * len(data)), len(data) - 1)
        path.write_bytes(DAMAGES[damage.kind](data, at))
        for name in self._lives:
            self._write(name, b"after the damage")
        self.ship()
        oracle = self._server.oracle
        account = judge(self._ledger, oracle.logs(), oracle.vitals("gap"))
        account.altered += oracle.altered
        births = oracle.vitals("birth")
        if account.declared and len({birth["afterimage.stream"] for birth in births}) == 1:
            account.repeated.append("again under the same stream")
        if account.declared and "new stream begins" not in self._words.read_text():
            account.repeated.append("again, and nothing was said")
        return account

    def ship(self) -> None:
        """Run to the end, a second time where the first one began a new stream."""
        order: dict[str, Any] = {
            "config": str(self._folder / "shipper.toml"),
            "words": str(self._words),
            "calls": str(self._folder / "calls"),
            "at": 0,
            "torn": False,
        }
        code = self._zygote.run(order)
        if code == 3:
            code = self._zygote.run(order)
        words = self._words.read_text()
        assert (0, False) == (code, "Traceback" in words), words

    def _write(self, name: str, *payloads: bytes) -> None:
        life = self._lives[name]
        data = b"".join(self._ledger.make_line(life, payload) for payload in payloads)
        with (self._folder / name).open("ab") as file:
            file.write(data)
        self._ledger.note(life, data)


def _refuse_poison(_index: str, document: dict[str, Any]) -> dict[str, Any] | None:
    if str(document.get("log.file.path", "")).endswith("poison.log"):
        return {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "no"}}
    return None


@contextmanager
def open_machines(count: int) -> Iterator[queue.SimpleQueue[DamagedMachine]]:
    """Machines that shipped something, each with a centre of its own."""
    free: queue.SimpleQueue[DamagedMachine] = queue.SimpleQueue()
    servers = [BulkServer() for _ in range(count)]
    with (
        tempfile.TemporaryDirectory(prefix="afterimage-damage-") as root,
        open_zygotes(count) as zygotes,
    ):
        for number, server in enumerate(servers):
            server.__enter__()
            folder = Path(root) / str(number)
            folder.mkdir()
            free.put(DamagedMachine(folder, zygotes.get(), server))
        try:
            yield free
        finally:
            for server in servers:
                server.__exit__()


@pytest.mark.slow
@pytest.mark.everything
@pytest.mark.timeout(900)
def test_a_shipper_on_damaged_state_loses_nothing_and_repeats_only_what_it_declares(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each file flipped, cut, zeroed at bytes by chance: again at most under another stream."""
    dice = random.Random(SEED)
    damages = [
        Damage(dice.choice(FILES), dice.choice(tuple(DAMAGES)), dice.random())
        for _ in range(SAMPLES)
    ]
    with open_machines(WORKERS) as free:

        def run(damage: Damage) -> tuple[Damage, Account]:
            machine = free.get()
            try:
                return damage, machine.damage_and_ship(damage)
            finally:
                free.put(machine)

        with ThreadPoolExecutor(WORKERS) as pool:
            done = list(pool.map(run, damages))
    wrong = [(damage, account.faults) for damage, account in done if account.faults]
    again = sum(bool(account.declared) for _, account in done)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(done)} damaged state folders, {again} of them read again under another stream:"
            f" {len(wrong)} with loss, undeclared repeats or altered bytes\n"
        )
    assert [] == wrong


def test_a_state_of_a_later_version_is_not_guessed_at(tmp_path: Path) -> None:
    """It is said which version wrote it, and another stream begins."""
    with open_state(tmp_path) as state:
        stream = state.stream.stream
    path = tmp_path / "stream"
    path.write_bytes(format_line({**parse_line(path.read_bytes()), "version": 99}))
    with open_state(tmp_path) as state:
        assert stream != state.stream.stream
        assert any("version 99" in notice for notice in state.notices), state.notices
    head = (tmp_path / "sources").read_bytes()
    assert json.loads(head.partition(b" ")[2])["stream"] == state.stream.stream
