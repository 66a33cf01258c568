"""A Forward server killed at each step of a commit: every acknowledged chunk once, none twice."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shipper.sources.forward.dying_server import STEPS
from tests.shipper.sources.forward.forward_messages import entries, messages, pack, packed
from tests.shipper.sources.forward.served import receive

_ROOT = Path(__file__).parents[4]


class Process:
    """A server's process."""

    def __init__(self, folder: Path, step: str = "", count: int = 0) -> None:
        self.path = str(folder / "s")
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.shipper.sources.forward.dying_server",
                *(f"unix://{self.path}", str(folder / "spool"), step, str(count)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
        )
        assert self._process.stdout is not None
        assert b"ready\n" == self._process.stdout.readline()

    def end(self) -> int:
        """Close its input if it lives; its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait(20)


def _send(path: str, message: bytes) -> bool:
    """Whether the chunk was acknowledged."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        try:
            client.connect(path)
            client.sendall(message)
            return "ack" in receive(client)
        except (OSError, AssertionError):
            return False


def _stored(folder: Path) -> list[str]:
    paths = sorted((folder / "spool").glob("*.seg"))
    return messages(b"".join(path.read_bytes() for path in paths).splitlines(keepends=True))


def _chunk(number: int) -> tuple[bytes, list[str]]:
    """A chunk, the same each time, and what it says."""
    lines = range(1 + number * 7 % 40)
    texts = [f"{number} {line} " + "x" * (line % 7) * 10 for line in lines]
    return pack(["t", packed(entries(*texts)), {"chunk": f"c{number}"}]), texts


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_chunk_is_stored_once_whichever_step_the_server_died_at(
    step: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The client sends it again to the next server, which acknowledges it."""
    first, second = _chunk(1), _chunk(2)
    # its first commit also begins a segment, which takes writes of its own
    server = Process(tmp_path, step, 4 if "lines" in step else 2)
    acknowledged = [_send(server.path, message) for message, _ in (first, second)]
    for number in range(3, 9):
        if not _send(server.path, _chunk(number)[0]):
            break
        acknowledged.append(True)
    assert -9 == server.end()
    record_property("kills", 1)
    again = Process(tmp_path)
    sent = [_chunk(number) for number in range(1, len(acknowledged) + 2)]
    assert all(_send(again.path, message) for message, _ in sent)
    assert 0 == again.end()
    assert sorted(text for _, texts in sent for text in texts) == sorted(_stored(tmp_path))


@pytest.mark.slow
def test_chunks_are_stored_once_through_kills_at_random(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A client that sends each chunk until it is acknowledged; servers that die ever again."""
    chance = random.Random(11)
    number = 0
    deadline = time.monotonic() + 90
    expected: list[str] = []
    record_property("kills", 12)
    for _ in range(12):
        assert time.monotonic() < deadline
        server = Process(tmp_path, chance.choice(STEPS), chance.randrange(2, 12))
        while _send(server.path, _chunk(number)[0]):
            expected += _chunk(number)[1]
            number += 1
        assert -9 == server.end()
    last = Process(tmp_path)
    assert _send(last.path, _chunk(number)[0])
    assert 0 == last.end()
    assert expected + _chunk(number)[1] == _stored(tmp_path)
