"""`collector`, `opensearch up`, `centre`, and the commands that look, on a real OpenSearch node."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.forensics.cli.conftest import Run
from tests.forensics.cli.stored import (
    DEAD,
    DEAD_LINES,
    PATH,
    StoreFile,
    content_of,
)

TIMEOUT_SECONDS = 60


class OpenSearchFile(StoreFile):
    """The same story, sent to an OpenSearch as a shipper sends it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def load(self, *bodies: bytes) -> None:
        """Send bodies to `_bulk`, searchable when it returns."""
        for body in bodies:
            request = urllib.request.Request(  # noqa: S310 - our node
                f"{self._url}/_bulk?refresh=true&filter_path=errors",
                body,
                {"Content-Type": "application/x-ndjson"},
            )
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                assert b'{"errors":false}' == answer.read()


def _start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "forensics.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_collector_prints_its_url_and_ends_when_told(
    tmp_path: Path, end: signal.Signals
) -> None:
    """The URL is the first line of stdout, and answers; the end is clean, and without traceback."""
    process = _start("collector", "--listen", "127.0.0.1:0", "--store", str(tmp_path / "s.sqlite"))
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our process
        assert 200 == answer.status

    process.send_signal(end)
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)

    assert {signal.SIGTERM: 0, signal.SIGINT: 130}[end] == process.returncode
    assert "" == out
    assert "Traceback" not in err


def test_the_collector_keeps_only_files(run: Run) -> None:
    """An OpenSearch needs no collector; without a file there is nowhere to store."""
    assert 2 == run("collector", "--store", "https://centre.example:9200").code
    assert 2 == run("collector").code


def test_templates_are_of_an_opensearch_alone(run: Run, store: Path) -> None:
    """A SQLite file has none: refused, with what to give instead."""
    answer = run("centre", "check", "--store", store)

    assert 2 == answer.code
    assert "--store https://" in answer.err


@pytest.mark.slow
@pytest.mark.opensearch
def test_templates_are_put_once_and_compared_after(run: Run, opensearch_url: str) -> None:
    """`check` finds nothing after `install`, and what differs before; exit codes say so."""
    words = ("--store", opensearch_url)

    changed = run("centre", "check", *words, "--replicas", "3", "--json")
    assert 1 == changed.code
    assert any(template["differences"] for template in changed.json["templates"])
    assert 0 == run("centre", "install", *words).code
    after = run("centre", "check", *words)

    assert 0 == after.code
    assert "as it should be" in after.out


@pytest.mark.slow
@pytest.mark.opensearch
def test_looking_at_opensearch_is_looking_at_sqlite(
    run: Run, store: Path, opensearch_store_url: str
) -> None:
    """The same instance in both stores: the same answer, lines, bytes."""
    OpenSearchFile(opensearch_store_url).add_instance(DEAD, content_of(DEAD_LINES))
    there = ("--store", opensearch_store_url)

    for words in (
        ("logs", DEAD, "--jsonl"),
        ("logs", DEAD, "--limit", "7"),
        ("logs", DEAD, "--limit", "7", "--timeline"),
        ("logs", DEAD, "--all", "--level", "warn"),
        ("raw", DEAD, PATH),
        ("raw", DEAD, "--list"),
    ):
        here = run(*words, "--store", store)
        answer = run(*words, *there)
        assert (0, here.raw) == (answer.code, answer.raw), words

    shown = run("show", DEAD, *there, "--json").json
    assert "memory_exhausted" == shown["cause"]["name"]
    assert 0 == shown["completeness"]["missing_bytes"]
    assert "complete" == shown["completeness"]["sources"][0]["verdict"]


@pytest.mark.slow
@pytest.mark.opensearch
def test_a_local_node_runs_until_it_is_told_to_end(tmp_path: Path) -> None:
    """`opensearch up` prints a URL that answers; SIGTERM ends node and command, cleanly."""
    process = _start("opensearch", "up", "--heap", "512m", "--data", str(tmp_path / "node"))
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our process
        assert 200 == answer.status

    process.terminate()
    _, err = process.communicate(timeout=TIMEOUT_SECONDS)

    assert 0 == process.returncode, err
    assert "Traceback" not in err
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS)  # noqa: S310 - it was our process
