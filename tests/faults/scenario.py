"""A plan of steps, carried out on real files, a real shipper and a centre that fails.

In: steps, as values: a test draws them, the soak rolls them, a failure prints them. Out: an
`Outcome` whose account must have no fault. The model is small: what was written is owed. What may
go with its file is marked at the moment it is put at risk, and at no other.
"""

from __future__ import annotations

import gzip
import os
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from tests.faults.bulk_server import BulkServer, wait_until
from tests.faults.fault_plan import Faults, make_mix
from tests.faults.oracle import Account, Ledger, Life, judge
from tests.faults.shipper_process import ShipperProcess

NAMES: Final = (
    "chain.log",  # renamed: .1 → .2 → …
    "dated.log",  # renamed to a date
    "gone.log",  # deleted and created again, on the same inode where the disk gives it
    "cut.log",  # copied and truncated
    "link.log",  # a link that is switched to the next file
    "zip.log",  # renamed, and what was renamed before is compressed
)
"""The application's files; how each rotates is in its name."""

SHIPPER_STEPS: Final = ("kill", "kill", "kill", "terminate", "stop", "start", "start", "clock")
CENTRE_STEPS: Final = ("storm", "away", "well")
_SEEN_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 1.0
_CLOCK_STEPS: Final = (-86_400.0, -3600.0, 0.0, 59.0, 86_400.0, 400 * 86_400.0)


class Step(NamedTuple):
    """One step. `number` says how much, how long, or which."""

    kind: str
    name: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a plan ended."""

    account: Account
    kills: int
    words: str

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        return self.account.faults

    def __str__(self) -> str:
        return f"{self.kills} kills, {self.account}"


def roll_plan(seed: int, length: int) -> list[Step]:
    """A plan by chance, the same for the same seed."""
    dice = random.Random(seed)
    plan = []
    for _ in range(length):
        kind = dice.choices(
            ("write", "half", "rotate", "shipper", "centre"), weights=(40, 8, 20, 24, 8)
        )[0]
        if kind == "shipper":
            kind = dice.choice(SHIPPER_STEPS)
        elif kind == "centre":
            kind = dice.choice(CENTRE_STEPS)
        plan.append(Step(kind, dice.choice(NAMES), dice.randrange(100)))
    return plan


def run_plan(folder: Path, plan: Sequence[Step], *, seed: int = 0) -> Outcome:
    """Carry out a plan from an empty folder on, let the shipper finish, and take the account."""
    with BulkServer(seed=seed) as server, Machine(folder, server, seed=seed) as machine:
        for step in plan:
            machine.do(step)
        return machine.finish()


class Machine:
    """A folder with an application, its rotation and its shipper. A context manager."""

    def __init__(self, folder: Path, server: BulkServer, *, seed: int) -> None:
        self.ledger = Ledger()
        self.kills = 0
        self._server = server
        self._seed = seed
        self._dice = random.Random(seed)
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True)
        self._files: dict[str, _File] = {}
        self._unlinked: list[Life] = []
        """Lives that only the shipper's descriptor keeps."""
        self._counter = 0
        self._shipper = ShipperProcess(
            folder,
            patterns=[str(self._logs / "*.log")],
            url=server.url,
            instance_id=f"i-{seed:017x}",
            socket_seconds=2.0,
            has_own_clock=True,
        )

    def __enter__(self) -> Self:
        """The files are there, and followed, before anything goes wrong."""
        for name in NAMES:
            self._write(name, 1)
        self._shipper.start()
        for file in list(self._files.values()):
            assert self._wait_stored(file.life), self._shipper.words.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._shipper.__exit__()
        for file in self._files.values():
            os.close(file.descriptor)

    def do(self, step: Step) -> None:
        """Carry out one step."""
        match step.kind:
            case "write":
                self._write(step.name, 1 + step.number)
            case "half":
                self._write_half(step.name)
            case "rotate":
                getattr(self, "_rotate_" + step.name.partition(".")[0])(step)
            case "wait":
                time.sleep(step.number / 100)
            case "storm":
                self._server.faults = make_mix(self._seed + step.number)
            case "away" if not self._server.is_away:
                self._server.go_away()
            case "well":
                self._make_centre_well()
            case _:
                self._do_to_shipper(step)

    def finish(self) -> Outcome:
        """Centre and shipper are well again; when it has drained, every line is judged."""
        for name in list(self._files):
            self._finish_half(name)
        self._make_centre_well()
        if not self._shipper.is_running:
            self._shipper.start()
        code = self._shipper.terminate()
        assert code in {0, -15}, self._shipper.words.read_text()
        if code:  # it was told to stop before it could hear it
            pid = self._shipper.start()
            wait_until(lambda: self._shipper.status_pid() == pid)
            assert self._shipper.terminate() == 0, self._shipper.words.read_text()
        oracle = self._server.oracle
        account = judge(self.ledger, oracle.logs(), oracle.vitals("gap"))
        account.altered += oracle.altered
        words = self._shipper.words.read_text(errors="replace")
        if "Traceback" in words:
            account.altered.append(f"the shipper's words: {words[-2000:]}")
        return Outcome(account=account, kills=self.kills, words=words)

    # ---- the application

    def _file(self, name: str) -> _File:
        if name not in self._files:
            path = self._logs / name
            if name == "link.log":
                path = self._point_link()
            life = self.ledger.begin(str(self._logs / name))
            self._files[name] = _File(life, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        return self._files[name]

    def _write(self, name: str, count: int) -> None:
        self._finish_half(name)
        file = self._file(name)
        lines = b"".join(self._make_line(file.life) for _ in range(count))
        file.write(lines)

    def _excuse(self, life: Life, from_byte: int) -> None:
        """What is not stored from here on may be lost, and declared if the file was ever seen."""
        life.excuse(from_byte, is_unseen=not self._count_stored(life))

    def _make_line(self, life: Life) -> bytes:
        kind = self._dice.random()
        payload = b"INFO order %d priced" % life.lines
        if kind < 0.1:
            payload = self._dice.randbytes(self._dice.randrange(300)).replace(b"\n", b"\r")
        elif kind < 0.2:
            payload = b'{"level":"error","x":"[/red] \\u001b \\ud800","\xe2\x80\xa6":null}\r'
        elif kind < 0.21:
            payload = b"x" * self._dice.randrange(200_000)
        return self.ledger.make_line(life, payload)

    def _write_half(self, name: str) -> None:
        self._finish_half(name)
        file = self._file(name)
        line = self._make_line(file.life)
        place = self._dice.randrange(24, len(line))
        file.write(line[:place])
        file.rest = line[place:]

    def _finish_half(self, name: str) -> None:
        file = self._files.get(name)
        if file is not None and file.rest:
            file.write(file.rest)
            file.rest = b""

    # ---- rotation

    def _rotate_chain(self, step: Step) -> None:
        if step.name not in self._files:
            return
        number = 1
        while (self._logs / f"{step.name}.{number}").exists():
            number += 1
        for older in range(number, 1, -1):
            (self._logs / f"{step.name}.{older - 1}").rename(self._logs / f"{step.name}.{older}")
        self._rename(step, f"{step.name}.1")

    def _rotate_dated(self, step: Step) -> None:
        self._counter += 1
        self._rename(step, f"{step.name}-20260103-{self._counter:06d}")

    def _rename(self, step: Step, name: str) -> None:
        """With an odd number the application goes on writing to the renamed file for a while."""
        if step.name not in self._files:
            return
        (self._logs / step.name).rename(self._logs / name)
        if step.number % 2:
            self._write(step.name, 3)
        self._finish_half(step.name)
        os.close(self._files.pop(step.name).descriptor)
        self._file(step.name)

    def _rotate_gone(self, step: Step) -> None:
        """Deleted while the shipper has it open: what only its descriptor keeps is owed still."""
        if step.name not in self._files:
            return
        file, seen = self._files[step.name], self._make_seen(step.name)
        life = file.life
        if seen is None:
            self._excuse(life, 0)
        self._write(step.name, 1 + step.number % 20)
        (self._logs / step.name).unlink()
        self._unlinked.append(life)
        self._finish_half(step.name)
        os.close(self._files.pop(step.name).descriptor)
        if step.number % 2:
            self._write(step.name, 5)

    def _rotate_cut(self, step: Step) -> None:
        """copytruncate: what is written after the last byte that the centre has is in a race."""
        if step.name not in self._files:
            return
        seen = self._make_seen(step.name)
        file = self._files[step.name]
        self._excuse(file.life, seen or 0)
        if step.number % 2:
            self._write(step.name, 1 + step.number % 20)
        shutil.copyfile(self._logs / step.name, self._logs / f"{step.name}.1")
        os.ftruncate(file.descriptor, 0)
        file.rest = b""
        file.life = self.ledger.begin(file.life.path)
        if step.number % 3:
            self._write(step.name, 1 + step.number)

    def _rotate_link(self, step: Step) -> None:
        """The link points elsewhere: what it pointed to is known by its inode, if it was seen."""
        if step.name in self._files:
            self._finish_half(step.name)
            file = self._files.pop(step.name)
            os.close(file.descriptor)
            if not self._count_stored(file.life):
                self._excuse(file.life, 0)
            self._file(step.name)

    def _point_link(self) -> Path:
        self._counter += 1
        target = self._logs / f"link-{self._counter}.data"
        target.touch()
        new = self._logs / "link.new"
        new.symlink_to(target)
        new.replace(self._logs / "link.log")
        return target

    def _rotate_zip(self, step: Step) -> None:
        """As logrotate's delaycompress: the file before this one is compressed and removed."""
        if step.name not in self._files:
            return
        before = self._logs / f"{step.name}.1"
        if before.exists():
            life = self._files[step.name].before
            if life is not None and not self._wait_stored(life):
                self._excuse(life, 0)
            self._counter += 1
            with gzip.open(self._logs / f"{step.name}.{self._counter}.gz", "wb") as file:
                file.write(before.read_bytes())
            before.unlink()
        life = self._files[step.name].life
        self._rename(step, f"{step.name}.1")
        self._file(step.name).before = life

    # ---- the shipper and the centre

    def _do_to_shipper(self, step: Step) -> None:
        if step.kind == "clock":
            self._shipper.set_clock(_CLOCK_STEPS[step.number % len(_CLOCK_STEPS)])
        elif step.kind == "start":
            if not self._shipper.is_running:
                self._shipper.start()
        elif step.kind in {"kill", "terminate", "stop"} and self._shipper.is_running:
            time.sleep(step.number / 200)
            is_kill = step.kind == "kill"
            code = (
                self._shipper.kill() if is_kill else self._shipper.terminate_or_kill(_STOP_SECONDS)
            )
            assert code in {-9, -15, 0, 3}, self._shipper.words.read_text()
            self.kills += code == -9
            if code != 0:
                for life in self._unlinked:
                    if not self._is_stored(life):
                        self._excuse(life, 0)
            self._unlinked.clear()
            if step.kind != "stop":
                self._shipper.start()

    def _make_centre_well(self) -> None:
        self._server.faults = Faults()
        if self._server.is_away:
            self._server.come_back()

    def _make_seen(self, name: str) -> int | None:
        """Write a line and wait until it is stored: its file is open now. Its end; None: it isn't.

        Everything before it is owed without any excuse.
        """
        self._write(name, 1)
        life = self._files[name].life
        if not self._shipper.is_running or self._server.is_away:
            return None
        return len(life.data) if self._wait_stored(life) else None

    def _wait_stored(self, life: Life) -> bool:
        if not self._shipper.is_running or self._server.is_away:
            return self._is_stored(life)
        try:
            wait_until(lambda: self._is_stored(life), timeout_seconds=_SEEN_SECONDS)
        except AssertionError:
            return False
        return True

    def _is_stored(self, life: Life) -> bool:
        return self._count_stored(life) >= len(life.pieces())

    def _count_stored(self, life: Life) -> int:
        messages = (str(fields["message"]) for *_, fields in self._server.oracle.logs())
        mark = f"{life.number:05d}-"
        return len({message[:13] for message in messages if message.startswith(mark)})


@dataclass(slots=True)
class _File:
    """What the application has open."""

    life: Life
    descriptor: int
    rest: bytes = b""
    """What is still to come of a line that was begun."""
    before: Life | None = None
    """Of the file that it replaced."""

    def write(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            at += os.write(self.descriptor, data[at:])
        Ledger.note(self.life, data)
