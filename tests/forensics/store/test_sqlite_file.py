"""The store's file: made once, refused where another's, read as evidence, told damaged."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forensics.collect.writer import Writer
from forensics.errors import IntegrityError, NotFoundError, UnreachableError, UsageError
from forensics.store.open import open_store
from forensics.store.protocol import Query
from forensics.store.sqlite import SqliteStore
from forensics.store.sqlite_schema import SCHEMA_VERSION, open_for_appending, open_for_writing
from tests.forensics.store.filling import fill, lines

READ_AS_EVIDENCE = """
import asyncio, json, os, sys
from pathlib import Path
from forensics.errors import RefusedError
from forensics.store.protocol import Query
from forensics.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    info = await store.info()
    try:
        await store.put_lifecycle([("x", {"@timestamp": "2026-01-03T12:00:00.000000000Z"})])
        refused = ""
    except RefusedError as error:
        refused = str(error)
    print(json.dumps([await store.count(Query()), list(info.warnings), refused]))
    await store.close()

if os.geteuid() == 0:  # root may write everything: ask as somebody who may not
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main())
"""


async def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    """NotFoundError, and no file is made by asking."""
    path = tmp_path / "none.sqlite"
    for location in (str(path), f"sqlite:{path}"):
        with pytest.raises(NotFoundError, match="forensics collector"):
            await open_store(location)
    assert not path.exists()


@pytest.mark.parametrize("location", ["", "sqlite:", "ftp://host/x", "sqlite://x"])
async def test_a_wrong_location_names_the_forms(location: str) -> None:
    """UsageError or a missing file, never a guess."""
    with pytest.raises((UsageError, NotFoundError)):
        await open_store(location)


async def test_another_programs_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A foreign SQLite file, text, an empty file: neither read nor made into a store."""
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE documents (id)")
    connection.close()
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to have a header of its own\n" * 10)
    for path in (foreign, text):
        before = path.read_bytes()
        with pytest.raises(UsageError, match="not an Afterimage store"):
            await SqliteStore.open(path)
        with pytest.raises(UsageError, match="not an Afterimage store"):
            open_for_writing(path)
        assert before == path.read_bytes()
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(UsageError, match="not an Afterimage store"):
        await SqliteStore.open(empty)


async def test_a_newer_schema_asks_for_an_upgrade(tmp_path: Path) -> None:
    """`user_version` above ours: nothing is read by guess."""
    path = tmp_path / "store.sqlite"
    connection = open_for_writing(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(UsageError, match="newer Afterimage"):
        await SqliteStore.open(path)
    with pytest.raises(UsageError, match="newer Afterimage"):
        open_for_writing(path)


def test_only_its_owner_reads_a_new_file(tmp_path: Path) -> None:
    """Logs hold secrets: 0600 for the file, its WAL and its index."""
    path = tmp_path / "store.sqlite"
    connection = open_for_writing(path)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
    for file in tmp_path.iterdir():
        assert 0o600 == stat.S_IMODE(file.stat().st_mode), file.name
    connection.close()


async def test_a_damaged_file_is_an_integrity_error(tmp_path: Path) -> None:
    """Pages overwritten in the middle: said so, with what to do next, and not half an answer."""
    path = tmp_path / "store.sqlite"
    fill(path, 2000)
    data = bytearray(path.read_bytes())
    for start in range(8192, len(data) - 4096, 4096):
        data[start : start + 200] = b"\xa5" * 200
    path.write_bytes(data)
    store = await SqliteStore.open(path)
    try:
        with pytest.raises(IntegrityError, match="damaged") as caught:
            await store.page(Query())
        assert "recover" in str(caught.value)
    finally:
        await store.close()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """Not a crash of the thread that is gone."""
    path = tmp_path / "store.sqlite"
    fill(path, 1)
    store = await SqliteStore.open(path)
    await store.close()
    with pytest.raises(UnreachableError, match="closed"):
        await store.info()


@pytest.fixture
def evidence_folder() -> Iterator[Path]:
    """A folder that another user can look into."""
    folder = Path(tempfile.mkdtemp(prefix="evidence-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("with_wal", [False, True])
def test_evidence_that_can_not_be_written_is_read_as_it_lies(
    evidence_folder: Path, *, with_wal: bool
) -> None:
    """A read-only file in a read-only folder opens; what is not seen is in the warnings."""
    path = evidence_folder / "store.sqlite"
    fill(path, 10)
    if with_wal:
        path.with_name("store.sqlite-wal").write_bytes(b"\0" * 100)
    for file in evidence_folder.iterdir():
        file.chmod(0o444)
    before = sorted(evidence_folder.iterdir())
    evidence_folder.chmod(0o555)
    count, warnings, refused = ask_as_another(path)
    assert 10 == count
    assert "read-only" in warnings[0]
    assert with_wal == any("store.sqlite-wal" in warning for warning in warnings)
    assert "can't be written" in refused
    assert before == sorted(evidence_folder.iterdir())


def test_a_file_that_may_only_be_read_shows_what_its_collector_writes(
    evidence_folder: Path,
) -> None:
    """Beside a running collector even a reader without rights sees the WAL, and no warning."""
    path = evidence_folder / "store.sqlite"
    writer = Writer(path, disk_floor_bytes=0)
    writer.start()
    try:
        for count in (10, 20):
            writer.submit(lines(10, stream=f"{count:016}"), "").result(30)
            for file in evidence_folder.glob("store.sqlite*"):
                file.chmod(0o444)
            seen, warnings, refused = ask_as_another(path)
            assert (count, []) == (seen, warnings)
            assert "can't be written" in refused
    finally:
        writer.stop()


def ask_as_another(path: Path) -> tuple[int, list[str], str]:
    """Count, warnings and the refusal to write, as a process sees them that may only read."""
    answer = subprocess.run(
        [sys.executable, "-c", READ_AS_EVIDENCE, str(path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "" == answer.stderr
    count, warnings, refused = json.loads(answer.stdout)
    return count, warnings, refused


@pytest.mark.parametrize("opens", [open_for_writing, open_for_appending])
def test_a_commit_waits_for_the_disk(
    tmp_path: Path, opens: Callable[[Path], sqlite3.Connection]
) -> None:
    """SQLite's `synchronous` is FULL (2) on what writes: no test here can cut the power."""
    path = tmp_path / "store.sqlite"
    open_for_writing(path).close()
    connection = opens(path)
    try:
        assert (2,) == connection.execute("PRAGMA synchronous").fetchone()
        assert ("wal",) == connection.execute("PRAGMA journal_mode").fetchone()
    finally:
        connection.close()
