"""A real rsyslogd feeds the collector: any shipper that speaks `_bulk` can.

rsyslog and its omelasticsearch come from Debian packages (rsyslog, rsyslog-elasticsearch) and run
as an ordinary process with a folder of their own.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from forensics.store.protocol import Query
from forensics.store.sqlite import SqliteStore
from tests.forensics.collect.collector_process import collector_process

pytestmark = [pytest.mark.everything, pytest.mark.slow]

LINES: Final = 1000
INDEX: Final = "afterimage-logs-2026.01.03"
WAIT_SECONDS: Final = 60.0

CONFIGURATION: Final = """
global(workDirectory="{folder}")
module(load="imfile" mode="inotify")
module(load="omelasticsearch")

template(name="document" type="list" option.jsonf="on") {{
    property(outname="@timestamp" name="timegenerated" dateFormat="rfc3339" format="jsonf")
    property(outname="message" name="msg" format="jsonf")
    property(outname="host.name" name="hostname" format="jsonf")
    property(outname="log.file.path" name="$!metadata!filename" format="jsonf")
    constant(outname="cloud.instance.id" value="i-0rsyslog" format="jsonf")
}}
template(name="id" type="string" string="offset-%$!metadata!fileoffset%")

input(type="imfile" file="{source}" tag="app" addMetadata="on" ruleset="ship")
ruleset(
    name="ship"
    queue.type="LinkedList" queue.dequeueBatchSize="20" queue.timeoutshutdown="100"
) {{
    action(
        type="omelasticsearch" server="127.0.0.1" serverport="{port}"
        template="document" searchIndex="{index}" searchType=""
        bulkmode="on" dynbulkid="on" bulkid="id" writeoperation="create"
        errorFile="{folder}/refused.json"
        action.resumeRetryCount="-1" action.resumeInterval="1"
    )
}}
"""


@pytest.fixture
def rsyslogd() -> str:
    """The program; where everything must run, its absence is a failure."""
    found = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin:/sbin")
    plugins = list(Path("/usr/lib").glob("**/rsyslog/omelasticsearch.so"))
    if found is None or not plugins:
        reason = "needs the Debian packages rsyslog and rsyslog-elasticsearch"
        if os.environ.get("AFTERIMAGE_TEST_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def line(number: int) -> str:
    """A line with what breaks careless JSON."""
    return f'line {number} "quoted" \\ back\ttab größe {number % 7}'


async def test_rsyslog_ships_every_line_once(rsyslogd: str, tmp_path: Path) -> None:
    """A thousand lines in bulk mode with ids of their own: all there, unchanged, none twice."""
    source = tmp_path / "app.log"
    store = tmp_path / "store.sqlite"
    source.write_text("".join(f"{line(number)}\n" for number in range(LINES)), encoding="utf-8")
    with (
        collector_process(store) as collector,
        running(rsyslogd, tmp_path, source, collector.url),
    ):
        wait_stored(store, LINES)
    assert_all_once(store)
    assert not (tmp_path / "refused.json").exists()
    reader = await SqliteStore.open(store)
    try:
        found = await reader.page(Query(instance_ids=frozenset(("i-0rsyslog",)), match="größe 42"))
        assert [line(42)] == [document.message for document in found.documents]
        assert str(source) == found.documents[0].path
    finally:
        await reader.close()


def test_rsyslog_ships_every_line_once_over_the_collectors_death(
    rsyslogd: str, tmp_path: Path
) -> None:
    """SIGKILL of the collector in the middle, and its restart: rsyslog resends, nothing doubles."""
    source = tmp_path / "app.log"
    store = tmp_path / "store.sqlite"
    source.write_text("".join(f"{line(number)}\n" for number in range(LINES // 2)), "utf-8")
    with collector_process(store) as first:
        url = first.url
        with running(rsyslogd, tmp_path, source, url):
            wait_stored(store, LINES // 5)
            first.kill()
            survived = stored(store)
            with source.open("a", encoding="utf-8") as file:
                file.writelines(f"{line(number)}\n" for number in range(LINES // 2, LINES))
            with collector_process(store, listen=url.removeprefix("http://")):
                wait_stored(store, LINES)
    assert survived < LINES
    assert_all_once(store)


@contextmanager
def running(rsyslogd: str, folder: Path, source: Path, url: str) -> Iterator[None]:
    """An rsyslogd that ships `source` to `url`, ended with the block."""
    configuration = folder / "rsyslog.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, source=source, port=url.rpartition(":")[2], index=INDEX)
    )
    with (folder / "rsyslog.stderr").open("wb") as errors:
        process = subprocess.Popen(
            [rsyslogd, "-n", "-f", str(configuration), "-i", str(folder / "rsyslog.pid")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def stored(path: Path) -> int:
    """How many documents the file holds, read past the store's own code."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM documents").fetchone()[0])


def wait_stored(path: Path, count: int) -> None:
    """Until so many are there; what rsyslog said where they are not in time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while stored(path) < count:
        if time.monotonic() > deadline:
            said = (path.parent / "rsyslog.stderr").read_text()
            raise AssertionError(f"{stored(path)} of {count} came; rsyslog: {said[-2000:]}")
        time.sleep(0.02)


def assert_all_once(path: Path) -> None:
    """Every line, and each once."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT json_extract(body, '$.message') FROM documents")
        assert sorted(map(line, range(LINES))) == sorted(message for (message,) in rows)
