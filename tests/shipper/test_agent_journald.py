"""The real shipper reads a real journal into a real store: the entries come back, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from shipper.wire.record import stored_bytes
from tests.forensics.collect.collector_process import collector_process
from tests.shipper.sources.journal_files import HAS_TOOLS, build_message, save_journal

pytestmark = [
    pytest.mark.everything,
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_TOOLS, reason="needs systemd-journal-remote and journalctl"),
]

ENTRIES = 500
WAIT_SECONDS = 30.0


def _messages(store: Path) -> list[str]:
    """What the store has of the journal, each document's bytes checked against its id."""
    with closing(sqlite3.connect(store)) as database:
        try:
            rows = database.execute(
                "SELECT id, body FROM documents WHERE family = 'logs' ORDER BY offset"
            ).fetchall()
        except sqlite3.OperationalError:  # no table yet
            return []
    entries = [json.loads(stored_bytes(name, json.loads(body))) for name, body in rows]
    return [str(entry["MESSAGE"]) for entry in entries]


def _run_until(config: Path, store: Path, wanted: int, stop: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "shipper", "run", "-c", config], stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + WAIT_SECONDS
    while len(_messages(store)) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, stop)
    _, words = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == (0 if stop is signal.SIGTERM else -stop), words.decode()


def test_a_journal_comes_to_the_store_once_over_a_kill(tmp_path: Path) -> None:
    """Killed in the middle, started again, and told to drain."""
    journal = tmp_path / "journal"
    save_journal(journal / "a.journal", [build_message(number) for number in range(ENTRIES)])
    store = tmp_path / "store.db"
    with collector_process(store) as collector:
        config = tmp_path / "shipper.toml"
        config.write_text(
            f"""
[identity]
instance_id = "i-0journal"
[state]
directory = "{tmp_path}/state"
[[sources.tail]]
paths = ["{tmp_path}/none/*.log"]
[sources.journald]
directory = "{journal}"
[output.opensearch]
urls = ["{collector.url}"]
"""
        )
        (tmp_path / "state").mkdir()
        _run_until(config, store, 1, signal.SIGKILL)
        save_journal(journal / "b.journal", [build_message(ENTRIES)])
        _run_until(config, store, ENTRIES + 1, signal.SIGTERM)
    messages = [f"message {number}" for number in range(ENTRIES + 1)]
    assert sorted(messages) == sorted(_messages(store))
