"""shipper.agent: the whole shipper in a thread, against a real `_bulk` server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from shipper.agent import Agent
from shipper.config import Config, OutputConfig, TailConfig
from shipper.errors import StateError
from shipper.goodbye import NOT_DRAINED
from shipper.wire.framing import Framed, Framer, frame_chunk
from shipper.wire.record import Identity
from tests.faults.accounts import take_account
from tests.faults.bulk_server import BulkServer, Faults, wait_until

IDENTITY = Identity(instance_id="i-0123456789abcdef0", image_id="ami-1", region="eu-west-1")


class RunningAgent:
    """An agent in a thread; its exit code when it has ended."""

    def __init__(self, folder: Path, url: str, *, drain_seconds: float = 60.0) -> None:
        config = Config(
            output=OutputConfig(urls=(url,)),
            state_directory=folder / "state",
            tails=(TailConfig(paths=(str(folder / "*.log"),)),),
        )
        self.agent = Agent(config, IDENTITY, drain_seconds=drain_seconds)
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.code = self.agent.run()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, reason: str = "SIGTERM") -> int | None:
        """Stop it and wait."""
        if self._thread.is_alive():
            self.agent.stop(reason)
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.code


Start = Callable[..., RunningAgent]


@pytest.fixture
def server() -> Iterator[BulkServer]:
    """A centre that takes everything."""
    with BulkServer() as running:
        yield running


def status(folder: Path) -> dict[str, Any]:
    """What `status.json` says."""
    loaded: dict[str, Any] = json.loads((folder / "state" / "status.json").read_bytes())
    return loaded


def test_a_streams_story_is_birth_source_and_closing(tmp_path: Path, server: BulkServer) -> None:
    """In this order, with the identity on each, and ends that say that all is stored."""
    (tmp_path / "a.log").write_bytes(b"one\ntwo")
    with RunningAgent(tmp_path, server.url) as running:
        wait_until(lambda: len(server.oracle.vitals("source")) == 1)
        assert 0 == running.stop()
    story = server.oracle.vitals()
    assert ["birth", "source", "closing"] == [vital["event.action"] for vital in story]
    for vital in story:
        assert "i-0123456789abcdef0" == vital["cloud.instance.id"]
        assert "ami-1" == vital["host.image.id"]
        assert "afterimage.vitals" == vital["event.dataset"]
        assert 1 == vital["afterimage.run"]
    closing = story[-1]
    assert "SIGTERM" == closing["afterimage.reason"]
    assert [{"source": 0, "read": 7, "acked": 7, "size": 7}] == closing["afterimage.sources"]
    assert (7, 7, 0, 0, 0) == tuple(
        closing[f"afterimage.counters.{name}_bytes"]
        for name in ("read", "acked", "pending", "dropped", "dead_lettered")
    )
    assert ["one", "two"] == [fields["message"] for _, _, fields in server.oracle.logs()]


def test_vitals_have_ids_that_tell_their_place(tmp_path: Path, server: BulkServer) -> None:
    """Run and number; a source's row has its own, the same in every run."""
    (tmp_path / "a.log").write_bytes(b"one\n")
    for _ in range(2):
        with RunningAgent(tmp_path, server.url) as running:
            wait_until(lambda: len(server.oracle.vitals("source")) == 1)
            running.stop()
    stream = server.oracle.vitals("birth")[0]["afterimage.stream"]
    ids = [document_id for _, document_id in server.oracle.documents if "-v-" in document_id]
    assert [f"{stream}-v-{tail}" for tail in ("1-1", "source-0-0", "1-2", "2-1", "2-2")] == ids


def test_the_last_words_before_a_stop_are_shipped(tmp_path: Path, server: BulkServer) -> None:
    """Lines written and files created right before the signal, partial ones too."""
    with RunningAgent(tmp_path, server.url) as running:
        wait_until(lambda: bool(server.oracle.vitals("birth")))
        (tmp_path / "new.log").write_bytes(b"never seen before\nand half a li")
        assert 0 == running.stop()
    account = take_account(
        [tmp_path / "new.log"], server.oracle.logs(), server.oracle.vitals("source")
    )
    assert [] == account.faults


def test_a_drain_that_can_not_reach_the_centre_ends_and_loses_nothing(tmp_path: Path) -> None:
    """Exit code 3, no closing; the next start ships it."""
    (tmp_path / "a.log").write_bytes(b"one\n")
    with BulkServer(faults=Faults(unavailable=1.0)) as failing:
        running = RunningAgent(tmp_path, failing.url, drain_seconds=0.5)
        with running:
            wait_until(lambda: failing.oracle.requests > 1)
            assert 3 == running.stop()
        assert 4 == status(tmp_path)["counters"]["pending_bytes"]
        assert "503" in status(tmp_path)["last_error"]
    with BulkServer() as server, RunningAgent(tmp_path, server.url) as running:
        assert 0 == running.stop()
        assert ["one"] == [fields["message"] for _, _, fields in server.oracle.logs()]
        assert [2] == [vital["afterimage.run"] for vital in server.oracle.vitals("birth")]


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """However long the drain may take."""
    (tmp_path / "a.log").write_bytes(b"one\n")
    with (
        BulkServer(faults=Faults(unavailable=1.0)) as failing,
        RunningAgent(tmp_path, failing.url) as running,
    ):
        wait_until(lambda: failing.oracle.requests > 1)
        running.agent.stop("SIGTERM")
        assert 3 == running.stop("SIGTERM")


def test_a_second_shipper_on_the_same_state_is_refused(tmp_path: Path, server: BulkServer) -> None:
    """It ends with an error and touches nothing."""
    with RunningAgent(tmp_path, server.url) as running:
        with pytest.raises(StateError, match="in use"):
            RunningAgent(tmp_path, server.url)
        assert 0 == running.stop()


def test_status_says_what_was_done(tmp_path: Path, server: BulkServer) -> None:
    """Read = acked + pending + dropped + dead-lettered, and each source's place."""

    def judge(_index: str, document: dict[str, Any]) -> dict[str, Any] | None:
        if document.get("log.offset") != 4:
            return None
        error = {"type": "mapper_parsing_exception", "reason": "no"}
        return {"status": 400, "error": error}

    server.judge = judge
    (tmp_path / "a.log").write_bytes(b"one\npoison\nthree\n")
    with RunningAgent(tmp_path, server.url) as running:
        wait_until((tmp_path / "state" / "dead-letters.jsonl").exists)
        running.stop()
    found = status(tmp_path)
    assert ("afterimage.shipper.status", 1, "stopped", "ok") == (
        found["schema"],
        found["version"],
        found["state"],
        found["output"],
    )
    assert {
        "read_bytes": 17,
        "acked_bytes": 10,
        "pending_bytes": 0,
        "dropped_bytes": 0,
        "dead_lettered_bytes": 7,
    } == found["counters"]
    assert [(0, str(tmp_path / "a.log"), 17, 17, 17)] == [
        (s["source"], s["path"], s["size"], s["read"], s["acked"]) for s in found["sources"]
    ]


@pytest.mark.slow
def test_a_blocked_log_index_does_not_hold_up_vitals(tmp_path: Path, server: BulkServer) -> None:
    """The centre hears that bytes are pending, while it takes none."""
    blocked = {"status": 403, "error": {"type": "cluster_block_exception", "reason": "read-only"}}
    server.judge = lambda index, _: blocked if "-logs-" in index else None
    (tmp_path / "a.log").write_bytes(b"one\n")
    with RunningAgent(tmp_path, server.url) as running:
        wait_until(lambda: bool(server.oracle.vitals("heartbeat")))
        beat = server.oracle.vitals("heartbeat")[0]
        assert 4 == beat["afterimage.counters.pending_bytes"]
        server.judge = None
        assert 0 == running.stop()


@pytest.mark.slow
def test_memory_in_flight_is_bounded_while_the_centre_is_away(tmp_path: Path) -> None:
    """A file larger than the budget, and a centre that takes nothing."""
    line = b"x" * 999 + b"\n"
    (tmp_path / "big.log").write_bytes(line * 40_000)
    with BulkServer(faults=Faults(unavailable=1.0)) as failing:
        with RunningAgent(tmp_path, failing.url, drain_seconds=0.1) as running:
            wait_until(lambda: failing.oracle.requests > 4)
            running.stop()
        assert 0 < status(tmp_path)["counters"]["pending_bytes"] <= 16 << 20


def test_its_own_state_is_never_shipped(tmp_path: Path, server: BulkServer) -> None:
    """Not even under a pattern that names everything."""
    config = Config(
        output=OutputConfig(urls=(server.url,)),
        state_directory=tmp_path / "state",
        tails=(TailConfig(paths=(f"{tmp_path}/**",)),),
    )
    (tmp_path / "a.log").write_bytes(b"one\n")
    agent = Agent(config, IDENTITY)
    thread = threading.Thread(target=agent.run)
    thread.start()
    wait_until(lambda: bool(server.oracle.vitals("source")))
    agent.stop("SIGTERM")
    thread.join(30)
    assert [str(tmp_path / "a.log")] == [
        vital["log.file.path"] for vital in server.oracle.vitals("source")
    ]


@pytest.mark.parametrize("failure", [IndexError("beyond the end"), OSError(5, "I/O error")])
def test_a_file_that_can_not_be_read_to_its_end_is_named_at_the_end(
    tmp_path: Path,
    server: BulkServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failure: Exception,
) -> None:
    """A bad sector, or a bug: the others are stored, and nobody claims that all is."""

    def fail_on_a(
        chunk: bytes, offset: int, cuts: Sequence[int], framer: Framer | None
    ) -> Framed | None:
        if chunk.startswith(b"a"):
            raise failure
        return frame_chunk(chunk, offset, cuts, framer)

    monkeypatch.setattr("shipper.sources.source.frame_chunk", fail_on_a)
    (tmp_path / "a.log").write_bytes(b"a line\n")
    (tmp_path / "b.log").write_bytes(b"other line\n")
    with RunningAgent(tmp_path, server.url) as running:
        wait_until(lambda: bool(server.oracle.logs()))
        assert NOT_DRAINED == running.stop()
    assert ["other line"] == [fields["message"] for _, _, fields in server.oracle.logs()]
    words = capsys.readouterr().err
    assert f"not read: {tmp_path / 'a.log'}" in words
    assert "everything that was written is stored" not in words
