"""The whole story as a user starts it, on both stores, and what an interruption leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

DEMO = (sys.executable, "-m", "forensics.cli.main", "demo", "--headless", "--json")
TIMEOUT_SECONDS = 170


def run_demo(folder: Path, *options: str) -> dict[str, Any]:
    """Run the demo headless; its document."""
    done = subprocess.run(
        (*DEMO, "--directory", str(folder), *options),
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def raw(store: str, instance_id: str, path: str) -> bytes:
    """What `forensics raw` prints."""
    done = subprocess.run(
        (sys.executable, "-m", "forensics.cli.main", "--store", store, "raw", instance_id, path),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def check_story(document: dict[str, Any]) -> None:
    """What must be true of every run, whatever the store."""
    assert document["missing_bytes"] == 0
    assert document["repeated_records"] == 0
    assert document["written_bytes"] == document["stored_bytes"]
    assert len({file["instance_id"] for file in document["files"]}) == 6
    assert document["dead_instance"] == document["quarantined_instance"]
    assert document["dead_instance"] != document["terminated_instance"]
    for file in document["files"]:
        on_disk = b"".join(Path(name).read_bytes() for name in file["files"])
        assert len(on_disk) == file["written_bytes"]
        assert raw(document["store"], file["instance_id"], file["path"]) == on_disk
    check_records(document)
    reports = [Path(path) for path in document["reports"]]
    assert {path.suffix for path in reports} == {".html", ".md"}
    dead = [path for path in reports if document["dead_instance"] in path.read_text()]
    assert any("MemoryError" in path.read_text() for path in dead)


def check_records(document: dict[str, Any]) -> None:
    """What was logged to a socket came whole and in order; a stack trace came as one record."""
    (events,) = document["events"]
    assert events["instance_id"] == document["terminated_instance"]
    assert events["written_bytes"] == events["stored_bytes"] > 0
    lines = raw(document["store"], events["instance_id"], events["name"]).splitlines()
    assert events["events"] == len(lines)
    traces = [
        message
        for message in messages(document["store"], document["dead_instance"])
        if message.startswith("Traceback")
    ]
    assert [True] == [trace.endswith("\nMemoryError") for trace in traces]


def messages(store: str, instance_id: str) -> list[str]:
    """The messages that `forensics logs` knows."""
    done = subprocess.run(
        (
            *(sys.executable, "-m", "forensics.cli.main", "--store", store),
            *("logs", instance_id, "--jsonl", "--all"),
        ),
        capture_output=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line)["message"] for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_byte_of_living_and_dead_comes_back_from_sqlite(tmp_path: Path) -> None:
    """`forensics raw` equals the services' own files, byte for byte, on the embedded store."""
    document = run_demo(tmp_path / "demo")
    check_story(document)
    store = Path(document["store"].removeprefix("sqlite:"))
    assert store.exists()


@pytest.mark.slow
@pytest.mark.opensearch
@pytest.mark.timeout(240)
def test_every_byte_of_living_and_dead_comes_back_from_opensearch(
    tmp_path: Path, opensearch_store_url: str
) -> None:
    """The same on the real OpenSearch node."""
    check_story(run_demo(tmp_path / "demo", "--store", opensearch_store_url))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.timeout(120)
def test_an_interrupted_demo_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    """Ctrl-C in the middle ends every child and removes the demo's folder."""
    folder = tmp_path / "demo"
    demo = subprocess.Popen(
        (*DEMO, "--directory", str(folder)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stderr is not None
        for line in demo.stderr:
            if "load:" in line:
                break
        assert processes_naming(folder)
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    finally:
        demo.kill()
        demo.wait(10)
    assert demo.returncode == 130
    deadline = time.monotonic() + 10
    while processes_naming(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_naming(folder) == []
    assert not folder.exists()


def processes_naming(folder: Path) -> list[int]:
    """Processes whose command line names a path in the demo's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in command and b"--headless" not in command:
                found.append(int(entry.name))
    return found
