"""A collector in this process, and a client that posts to it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from forensics.collect.body import Limits
from forensics.collect.server import open_collector
from forensics.store.sqlite import SqliteStore

SMALL = Limits(body_bytes=4 << 20, in_flight_bytes=8 << 20, idle_seconds=1.0, disk_floor_bytes=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """A running collector, its file, and a reader of it."""

    url: str
    path: Path
    session: aiohttp.ClientSession
    store: SqliteStore

    async def post(
        self, body: bytes, path: str = "/_bulk", *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and parsed answer."""
        async with self.session.post(
            f"{self.url}{path}",
            data=io.BytesIO(body),
            headers={"Content-Type": "application/x-ndjson"} | dict(headers or {}),
        ) as response:
            answer: dict[str, Any] = json.loads(await response.text())
            return response.status, answer

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text."""
        async with self.session.get(f"{self.url}{path}") as response:
            return response.status, await response.text()

    async def health(self) -> dict[str, Any]:
        """What `/_health` says."""
        answer: dict[str, Any] = json.loads((await self.get("/_health"))[1])
        return answer

    async def wait_health(self, is_so: Callable[[dict[str, Any]], bool]) -> None:
        """Ask for the health until it is as wanted."""
        for _ in range(1000):
            if is_so(await self.health()):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"still {await self.health()}")


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    """A collector with small limits over an empty file."""
    path = tmp_path / "store.sqlite"
    async with (
        open_collector("127.0.0.1:0", path, limits=SMALL) as url,
        aiohttp.ClientSession() as session,
    ):
        store = await SqliteStore.open(path)
        try:
            yield Collector(url=url, path=path, session=session, store=store)
        finally:
            await store.close()
