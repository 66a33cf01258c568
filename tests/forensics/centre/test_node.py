"""The local node, as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from forensics.centre.jars import OPENSEARCH_VERSION
from forensics.centre.node import start_node
from forensics.errors import ForensicsError, UsageError

DEADLINE_SECONDS = 60.0


def fetch(url: str, method: str = "GET") -> Any:
    """The JSON that the node answers."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own node
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - same
        return json.load(answer)


def is_alive(pid: int) -> bool:
    """Whether a process of that id exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_gone(pid: int) -> None:
    """Until the process has ended."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.05)


def java_children(pid: int) -> list[int]:
    """The processes that `pid` started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


@pytest.fixture
def up(tmp_path: Path) -> subprocess.Popen[str]:
    """`forensics opensearch up` as a user runs it."""
    command = ("-m", "forensics.cli.main", "opensearch", "up", "--heap", "256m", "--data")
    return subprocess.Popen(
        [sys.executable, *command, str(tmp_path / "node")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.opensearch
@pytest.mark.slow
def test_the_node_answers_on_loopback_with_its_templates(opensearch_url: str) -> None:
    """What `opensearch up` prints is a real OpenSearch that knows our indices."""
    assert fetch(f"{opensearch_url}/")["version"]["number"] == OPENSEARCH_VERSION
    rows = fetch(f"{opensearch_url}/_index_template/afterimage-*")["index_templates"]
    names = {row["name"] for row in rows}
    assert names == {"afterimage-logs", "afterimage-vitals", "afterimage-lifecycle"}


@pytest.mark.opensearch
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_signal_ends_the_node_in_order(up: subprocess.Popen[str], number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM leave no Java process; stdout has the URL alone."""
    assert up.stdout is not None
    assert up.stdout.readline().startswith("http://127.0.0.1:")
    (java,) = java_children(up.pid)
    up.send_signal(number)
    rest, narration = up.communicate(timeout=DEADLINE_SECONDS)
    assert (0, "") == (up.returncode, rest)
    assert "Traceback" not in narration
    assert not is_alive(java)


@pytest.mark.opensearch
@pytest.mark.slow
def test_a_signal_while_the_node_starts_leaves_nothing(up: subprocess.Popen[str]) -> None:
    """Impatience costs no orphan: a start that is interrupted ends the Java process too."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (children := java_children(up.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    up.send_signal(signal.SIGINT)
    _, narration = up.communicate(timeout=DEADLINE_SECONDS)
    assert 130 == up.returncode
    assert "Traceback" not in narration
    wait_gone(children[0])


@pytest.mark.opensearch
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_killed_parent_takes_the_node_with_it(up: subprocess.Popen[str]) -> None:
    """SIGKILL leaves no time to clean up; the kernel does it."""
    assert up.stdout is not None
    assert up.stdout.readline().startswith("http://127.0.0.1:")
    (java,) = java_children(up.pid)
    os.kill(up.pid, signal.SIGKILL)
    up.communicate(timeout=DEADLINE_SECONDS)
    wait_gone(java)


@pytest.mark.opensearch
@pytest.mark.slow
def test_data_outlive_the_node_and_a_folder_has_one_owner(tmp_path: Path) -> None:
    """A restart on the same folder finds its indices; a second node on it is refused."""
    with start_node(tmp_path, heap="256m") as node:
        fetch(f"{node.url}/kept", method="PUT")
        with pytest.raises(UsageError, match=f"process {os.getpid()} holds it"):
            start_node(tmp_path, heap="256m")
    with start_node(tmp_path, heap="256m") as node:
        assert fetch(f"{node.url}/kept/_count")["count"] == 0
    assert not node.is_running()


def test_a_node_that_can_not_start_names_its_log(tmp_path: Path) -> None:
    """The error says why in Java's own words, and where to read on."""
    with pytest.raises(ForensicsError) as caught:
        start_node(tmp_path, heap="1m")
    assert str(tmp_path / "opensearch.log") in caught.value.next_step
    assert "Too small maximum heap" in caught.value.why


@pytest.mark.parametrize("heap", ["", "1", "0m", "-1g", "1t", "1g -version"])
def test_a_heap_that_java_would_not_take_is_refused(tmp_path: Path, heap: str) -> None:
    """Nothing but a size reaches Java's command line."""
    with pytest.raises(UsageError, match="is no size"):
        start_node(tmp_path, heap=heap)


@pytest.mark.parametrize("port", [80, 9300, 65_536])
def test_a_port_that_the_node_can_not_take_is_refused(tmp_path: Path, port: int) -> None:
    """The range is said before Java is started."""
    with pytest.raises(UsageError, match=r"1024 to 9299"):
        start_node(tmp_path, port=port)


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    """A chosen port is that port or an error, never another one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        if port > 9299:  # the kernel's range lies above ours: take one of ours instead
            taken.close()
            port = next(candidate for candidate in range(9000, 9200) if _can_bind(candidate))
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", port))
            holder.listen()
            with pytest.raises(UsageError, match=f"port {port} is taken"):
                start_node(tmp_path, port=port)


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
