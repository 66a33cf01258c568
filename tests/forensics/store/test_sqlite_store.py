"""The SQLite store beyond the contract: threads, time-outs, the collector's peace, its indexes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from forensics.collect.writer import Writer
from forensics.errors import TimedOutError
from forensics.store.protocol import Cursor, Query
from forensics.store.sqlite import SqliteStore
from forensics.store.sqlite_query import build_page
from shipper.wire.times import LATEST, format_time
from tests.forensics.store.filling import START, fill, lines, put

ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def run_endless(connection: sqlite3.Connection) -> None:
    """A query that ends only when it is interrupted."""
    connection.execute(ENDLESS).fetchone()


async def test_a_cancelled_question_stops_its_query(tmp_path: Path) -> None:
    """The thread is free again at once, and the next question gets its answer."""
    fill(tmp_path / "s", 3)
    store = await SqliteStore.open(tmp_path / "s")
    try:
        endless = asyncio.create_task(store._ask(run_endless))
        waiting = asyncio.create_task(store.count(Query()))
        await asyncio.sleep(0.05)  # let it reach the thread; right either way
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        assert 3 == await asyncio.wait_for(waiting, 10)
    finally:
        await store.close()


@pytest.mark.slow
async def test_cancelling_one_that_waits_leaves_the_running_one_alone(tmp_path: Path) -> None:
    """An interrupt hits only the query of the task that was cancelled."""
    fill(tmp_path / "s", 20_000)
    store = await SqliteStore.open(tmp_path / "s")
    try:
        for _ in range(20):
            first = asyncio.create_task(store.histogram(Query(match="word"), 50))
            second = asyncio.create_task(store.count(Query()))
            await asyncio.sleep(0)
            second.cancel()
            assert 20_000 == sum(bar.count for bar in await first)
    finally:
        await store.close()


async def test_an_answer_that_takes_too_long_is_timed_out(tmp_path: Path) -> None:
    """TimedOutError with a next step; the store goes on."""
    fill(tmp_path / "s", 3)
    store = await SqliteStore.open(tmp_path / "s", timeout_seconds=0.2)
    try:
        with pytest.raises(TimedOutError, match="narrow"):
            await store._ask(run_endless)
        assert 3 == await store.count(Query())
    finally:
        await store.close()


async def test_readers_that_stay_neither_block_the_collector_nor_keep_its_wal(
    tmp_path: Path,
) -> None:
    """Between two pages there is no transaction: the WAL can be folded in and starts anew."""
    path = tmp_path / "s"
    writer = Writer(path, disk_floor_bytes=0)
    writer.start()
    try:
        writer.submit(lines(3000), "").result(30)
        store = await SqliteStore.open(path)
        try:
            pages = store.source_records("a" * 16, 1)
            assert 1000 == len(await anext(pages))
            page = await store.page(Query(), limit=10)
            assert page.more
            other = sqlite3.connect(path)
            busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            other.close()
            assert 0 == busy
            assert 0 == path.with_name("s-wal").stat().st_size
            writer.submit(lines(10, stream="b" * 16), "").result(30)
            assert 2000 == sum([len(page) async for page in pages])
        finally:
            await store.close()
    finally:
        writer.stop()


@pytest.mark.slow
async def test_lifecycle_is_put_while_the_collector_writes(tmp_path: Path) -> None:
    """Two writers of one file wait for each other; neither loses anything."""
    path = tmp_path / "s"
    writer = Writer(path, disk_floor_bytes=0)
    writer.start()
    try:
        store = await SqliteStore.open(path)
        try:
            for turn in range(20):
                pending = writer.submit(lines(500, stream=f"{turn:016}"), "")
                fields = {"@timestamp": format_time(START), "event.action": "stop"}
                assert 1 == await store.put_lifecycle([(f"case-{turn}", fields)])
                assert 500 == len(pending.result(30).seqs)
            assert 20 == await store.count(Query(families=frozenset(("lifecycle",))))
            assert 10_000 == await store.count(Query())
        finally:
            await store.close()
    finally:
        writer.stop()


async def test_a_document_without_a_time_has_the_time_it_came(tmp_path: Path) -> None:
    """Missing and nonsensical `@timestamp`: kept, and ordered by when it was received."""
    before = format_time(time.time_ns())
    put(
        tmp_path / "s",
        b'{"create":{"_index":"x","_id":"1"}}\n{"message":"none"}\n'
        b'{"create":{"_index":"x","_id":"2"}}\n{"message":"odd","@timestamp":"teatime"}\n',
    )
    store = await SqliteStore.open(tmp_path / "s")
    try:
        documents = (await store.page(Query(since=before))).documents
        assert ["none", "odd"] == [document.message for document in documents]
        for document in documents:
            assert before <= document.timestamp <= format_time(time.time_ns())
        after = await store.page(Query(), after=documents[0].cursor)
        assert ["odd"] == [document.message for document in after.documents]
    finally:
        await store.close()


@pytest.mark.slow
async def test_a_page_of_very_long_lines_is_cut_short(tmp_path: Path) -> None:
    """Memory is bounded by bytes, not only by documents; walking still gives every one."""
    put(tmp_path / "s", lines(30, text="x" * 1_000_000))
    store = await SqliteStore.open(tmp_path / "s")
    try:
        page = await store.page(Query(), limit=500)
        assert 0 < len(page.documents) < 30
        assert page.more
        sizes = [len(found) async for found in store.source_records("a" * 16, 1)]
        assert 30 == sum(sizes)
        assert max(sizes) < 30
        before = await store.page(Query(), before=Cursor(LATEST), limit=500)
        assert before.more
        assert "29 1" == before.documents[-1].message[-4:]
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(), "documents_by_time"),
        (Query(instance_ids=frozenset(("i-0a",))), "documents_by_instance"),
        (Query(families=frozenset(("vitals",))), "story_by_time"),
        (
            Query(families=frozenset(("vitals",)), instance_ids=frozenset(("i-0a",))),
            "story_by_instance",
        ),
    ],
)
@pytest.mark.parametrize("backward", [False, True])
def test_a_page_walks_its_index_from_the_place_on(
    tmp_path: Path, query: Query, index: str, *, backward: bool
) -> None:
    """Keyset paging: the index is searched at the cursor, and no whole result is sorted."""
    fill(tmp_path / "s", 10)
    selection = build_page(query, Cursor(format_time(START), "a", 1, 0, "x"), backward=backward)
    connection = sqlite3.connect(tmp_path / "s")
    plan = [
        row[3]
        for row in connection.execute(f"EXPLAIN QUERY PLAN {selection.sql}", selection.parameters)
    ]
    connection.close()
    assert plan[0].startswith(f"SEARCH documents USING INDEX {index} ("), plan
    assert "timestamp" in plan[0]
    assert not any("TEMP B-TREE FOR ORDER BY" in step for step in plan), plan
