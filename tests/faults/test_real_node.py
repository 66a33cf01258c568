"""A real OpenSearch node that dies, chokes, is blocked and full under load: nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from forensics.centre import node_configuration
from forensics.centre.install import install_templates
from forensics.centre.node import Node, start_node
from tests.conftest import delete_indices
from tests.faults.bulk_server import wait_until
from tests.faults.centre_reader import ask, judge_store
from tests.faults.oracle import Ledger
from tests.faults.shipper_process import ShipperProcess
from tests.faults.steady_writer import SteadyWriter

pytestmark = [pytest.mark.slow, pytest.mark.opensearch, pytest.mark.timeout(300)]

_SMALL = "indexing_pressure.memory.limit: 6mb\nthread_pool.write.size: 1\n"
"""A node that has enough of a few bodies."""
_WAIT_SECONDS = 60.0
_LOAD_THREADS = 6
_LOAD_BYTES = 2_000_000


class OwnNode:
    """A small node that may be killed: nobody else's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._node: Node | None = None
        self._port: int | None = None

    @property
    def url(self) -> str:
        """Where it listens, or will again."""
        assert self._node is not None
        return self._node.url

    def start(self) -> None:
        """Start it, always at the same port."""
        self._node = start_node(self._folder, heap="512m", port=self._port)
        self._port = int(self._node.url.rpartition(":")[2])

    def end(self, number: signal.Signals) -> None:
        """End it by a signal."""
        assert self._node is not None
        os.kill(self._node.pid, number)
        self._node.process.wait(60)
        self._node.stop()

    def stop(self) -> None:
        """End it in order."""
        if self._node is not None:
            self._node.stop()


@pytest.fixture(scope="module")
def module_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnNode]:
    """A node for this file, with templates."""
    with pytest.MonkeyPatch.context() as patch:
        settings = node_configuration._SETTINGS + _SMALL
        patch.setattr(node_configuration, "_SETTINGS", settings)
        node = OwnNode(tmp_path_factory.mktemp("own-node") / "node")
        node.start()
        try:
            with ThreadPoolExecutor(1) as worker:  # asyncio.run here would replace pytest's loop
                worker.submit(asyncio.run, install_templates(node.url)).result(60)
            yield node
        finally:
            node.stop()


@pytest.fixture
def node(module_node: OwnNode) -> OwnNode:
    """The node without an index."""
    delete_indices(module_node.url)
    return module_node


class Load:
    """A writer and a shipper that are at work on a node."""

    def __init__(self, folder: Path, node: OwnNode) -> None:
        self.ledger = Ledger()
        self.node = node
        self.writer = SteadyWriter(folder / "app.log", self.ledger)
        self.shipper = ShipperProcess(
            folder, patterns=[f"{folder}/app.log"], url=node.url, instance_id="i-1"
        )

    def wait_words(self, words: bytes) -> None:
        """Until the shipper has said so."""
        wait_until(lambda: words in self.shipper.words.read_bytes(), timeout_seconds=_WAIT_SECONDS)

    def wait_more_stored(self, count: int = 500) -> None:
        """Until the node has taken more records."""
        at = self._count()
        wait_until(lambda: self._count() >= at + count, timeout_seconds=_WAIT_SECONDS)

    def _count(self) -> int:
        try:
            ask(f"{self.node.url}/_refresh", "POST")
            count: int = ask(f"{self.node.url}/afterimage-logs-*/_count")["count"]
        except (OSError, urllib.error.HTTPError):
            return 0
        return count


@contextmanager
def under_load(
    folder: Path, node: OwnNode, capsys: pytest.CaptureFixture[str], what: str
) -> Iterator[Load]:
    """Lines are written and shipped during the block, and judged after it."""
    load = Load(folder, node)
    with load.shipper:
        with load.writer:
            load.shipper.start()
            load.wait_more_stored()
            yield load
            load.wait_more_stored()
        assert 0 == load.shipper.terminate(), load.shipper.words.read_text()
    ask(f"{node.url}/_refresh", "POST")
    account = judge_store(load.ledger, node.url)
    with capsys.disabled():
        sys.stdout.write(f"\nreal node {what}: {account}\n")
    assert [] == account.faults
    assert load.writer.line_count == account.lines
    assert not (load.shipper.state / "dead-letters.jsonl").exists()


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.everything)]
)
def test_a_node_that_is_restarted_loses_nothing(
    tmp_path: Path, node: OwnNode, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """It dies with requests under way, and comes back: every line is there once."""
    with under_load(tmp_path, node, capsys, f"restarted by {number.name}") as load:
        node.end(number)
        load.wait_words(b"trying again")
        node.start()


def test_a_node_under_pressure_loses_nothing(
    tmp_path: Path, node: OwnNode, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others fill its memory limit, so that it answers 429: every line is there once."""
    stop = threading.Event()
    with (
        under_load(tmp_path, node, capsys, "under back-pressure") as load,
        ThreadPoolExecutor(_LOAD_THREADS) as pool,
    ):
        refused = [pool.submit(press, node.url, stop) for _ in range(_LOAD_THREADS)]
        try:
            load.wait_words(b"429")
        finally:
            stop.set()
        assert 0 < sum(one.result() for one in refused)


def press(url: str, stop: threading.Event) -> int:
    """Send bodies until told to stop; how many were refused."""
    action = b'{"index":{"_index":"others"}}\n{"message":"%b"}\n' % (b"x " * 500)
    body = action * (_LOAD_BYTES // len(action))
    refused = 0
    deadline = time.monotonic() + _WAIT_SECONDS
    while not stop.is_set() and time.monotonic() < deadline:
        request = urllib.request.Request(f"{url}/_bulk", data=body, method="POST")  # noqa: S310
        request.add_header("Content-Type", "application/x-ndjson")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our node
                refused += bool(json.load(answer)["errors"])
        except urllib.error.HTTPError as error:
            refused += error.code == 429
            error.close()
    return refused


@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
def test_an_index_that_is_blocked_for_a_while_loses_nothing(
    tmp_path: Path, node: OwnNode, block: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator, or a disk that is nearly full: no dead letter, and all follows later."""
    with under_load(tmp_path, node, capsys, f"blocked: {block}") as load:
        settings = f"{node.url}/afterimage-logs-*/_settings"
        ask(settings, "PUT", {f"index.blocks.{block}": True})
        load.wait_words(b"cluster_block_exception")
        ask(settings, "PUT", {f"index.blocks.{block}": None})


def test_a_cluster_without_a_free_shard_loses_nothing(
    tmp_path: Path, node: OwnNode, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 400 that is not the record's fault: no new index fits until there is room."""
    limit = f"{node.url}/_cluster/settings"
    ask(f"{node.url}/others", "PUT")
    ask(limit, "PUT", {"persistent": {"cluster.max_shards_per_node": 1}})
    released = threading.Thread(target=_release_when_said, args=(tmp_path, limit))
    released.start()
    with under_load(tmp_path, node, capsys, "at its shard limit"):
        released.join(_WAIT_SECONDS)
    assert b"validation_exception" in (tmp_path / "shipper.stderr").read_bytes()


def _release_when_said(folder: Path, limit: str) -> None:
    words = folder / "shipper.stderr"
    try:
        wait_until(
            lambda: words.exists() and b"validation_exception" in words.read_bytes(),
            timeout_seconds=_WAIT_SECONDS,
        )
    finally:
        ask(limit, "PUT", {"persistent": {"cluster.max_shards_per_node": None}})
