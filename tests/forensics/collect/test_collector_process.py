"""The collector as a process: what was answered survives SIGKILL, SIGTERM loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import random
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from forensics.store.protocol import Query
from forensics.store.sqlite import SqliteStore
from tests.forensics.collect.collector_process import collector_process

pytestmark = pytest.mark.slow

ROUNDS = 12


def batch(name: str, size: int = 50, message: str = "m" * 200) -> bytes:
    """A body of `size` documents named `name-0`, `name-1` and so on."""
    lines = []
    for number in range(size):
        lines.append(json.dumps({"create": {"_index": "logs", "_id": f"{name}-{number}"}}))
        lines.append(json.dumps({"@timestamp": "2026-01-03T12:00:00Z", "message": message}))
    return "".join(f"{line}\n" for line in lines).encode()


async def send_until_cut(url: str, name: str, answered: set[str], bodies: dict[str, bytes]) -> None:
    """Post batch after batch; remember the ids that a complete answer confirmed."""
    number = 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        while True:
            body = batch(f"{name}-{number}")
            bodies[f"{name}-{number}"] = body
            try:
                async with session.post(f"{url}/_bulk", data=io.BytesIO(body)) as response:
                    answer = await response.json()
            except aiohttp.ClientError:
                return
            answered |= {
                item["create"]["_id"]
                for item in answer["items"]
                if item["create"]["status"] in {201, 409}
            }
            number += 1


async def kill_while_sending(
    path: Path, name: str, seconds: float, answered: set[str], bodies: dict[str, bytes]
) -> None:
    """Three clients post to a collector that is killed after `seconds`."""
    with collector_process(path) as collector:
        clients = [
            asyncio.create_task(send_until_cut(collector.url, f"{name}{n}", answered, bodies))
            for n in range(3)
        ]
        await asyncio.sleep(seconds)  # the moment of death is the test's input
        collector.kill()
        await asyncio.gather(*clients)


async def test_what_was_answered_is_there_after_sigkill(tmp_path: Path) -> None:
    """Killed at random moments under load: every 201 is stored, no request is half stored."""
    path = tmp_path / "store.sqlite"
    answered: set[str] = set()
    bodies: dict[str, bytes] = {}
    for turn in range(ROUNDS):
        await kill_while_sending(path, f"r{turn}c", random.uniform(0.02, 0.4), answered, bodies)
    assert len(answered) > 1000
    stored = stored_ids(path)
    assert set() == answered - stored
    for name in bodies:
        there = sum(f"{name}-{number}" in stored for number in range(50))
        assert there in {0, 50}, f"{name}: half a request"
    with collector_process(path) as collector:
        async with aiohttp.ClientSession() as session:
            for body in bodies.values():
                async with session.post(
                    f"{collector.url}/_bulk", data=io.BytesIO(body)
                ) as response:
                    assert response.status == 200
        assert 0 == collector.terminate()
    assert 50 * len(bodies) == len(stored_ids(path))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert ("ok",) == connection.execute("PRAGMA integrity_check").fetchone()
    store = await SqliteStore.open(path)
    try:
        assert 50 * len(bodies) == await store.count(Query(match="m" * 200))
    finally:
        await store.close()


async def test_sigterm_finishes_requests_and_folds_the_wal(tmp_path: Path) -> None:
    """Exit 0, the last request answered and stored, no WAL left beside the file."""
    path = tmp_path / "store.sqlite"
    with collector_process(path) as collector:
        async with aiohttp.ClientSession() as session:
            sending = asyncio.create_task(
                _status(session, f"{collector.url}/_bulk", batch("big", 4000))
            )
            while (await _health(session, collector.url))["waiting_bytes"] == 0:
                if sending.done():
                    break
            assert 0 == await asyncio.to_thread(collector.terminate)
            assert 200 == await sending
        assert "" == collector.close()
    assert 4000 == len(stored_ids(path))
    wal = path.with_name("store.sqlite-wal")
    assert not wal.exists() or wal.stat().st_size == 0


async def test_a_full_disk_is_503_and_nothing_is_half_written(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow: shippers are told to retry, the rest stays whole."""
    path = tmp_path / "store.sqlite"
    full: set[int] = set()
    statuses = []
    with collector_process(path, file_limit_bytes=3 << 20) as collector:
        async with aiohttp.ClientSession() as session:
            for number in range(40):
                status = await _status(session, f"{collector.url}/_bulk", batch(f"b{number}", 500))
                statuses.append(status)
                if status != 200:
                    full.add(number)
            health = await _health(session, collector.url)
    assert {200, 503} == set(statuses)
    stored = stored_ids(path)
    assert len(stored) == health["documents"] == 500 * (40 - len(full))
    for number in range(40):
        assert (number not in full) == (f"b{number}-0" in stored) == (f"b{number}-499" in stored)
    with collector_process(path) as collector:
        async with aiohttp.ClientSession() as session:
            for number in sorted(full):
                body = batch(f"b{number}", 500)
                assert 200 == await _status(session, f"{collector.url}/_bulk", body)
    assert 500 * 40 == len(stored_ids(path))


async def test_a_second_process_on_the_file_says_who_has_it(tmp_path: Path) -> None:
    """Exit 8 with the reason; after the first one's SIGKILL the file is free at once."""
    path = tmp_path / "store.sqlite"
    with collector_process(path) as first:
        with pytest.raises(AssertionError, match="another collector"), collector_process(path):
            pass
        first.kill()
        with collector_process(path) as second:
            assert 0 == second.terminate()


def stored_ids(path: Path) -> set[str]:
    """Every id in the file, read past the store's own code."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {document_id for (document_id,) in connection.execute("SELECT id FROM documents")}


async def _status(session: aiohttp.ClientSession, url: str, body: bytes) -> int:
    async with session.post(url, data=io.BytesIO(body)) as response:
        await response.read()
        return response.status


async def _health(session: aiohttp.ClientSession, url: str) -> dict[str, int]:
    async with session.get(f"{url}/_health") as response:
        answer: dict[str, int] = await response.json()
        return answer
