"""The collector: the `_bulk` endpoint of a SQLite store, for any shipper that speaks OpenSearch.

In: requests. Out: answers in OpenSearch's shape, each after its documents are on disk. One process
owns one file. It has no authentication: it must never listen beyond loopback without saying so.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from forensics.collect.answers import (
    RequestRefusedError,
    build_bulk_answer,
    build_error,
    filter_answer,
    parse_filter_path,
)
from forensics.collect.body import Budget, Limits, read_body
from forensics.collect.bulk import BulkSyntaxError
from forensics.collect.writer import Writer
from forensics.errors import ForensicsError, UnreachableError, UsageError
from forensics.safe_text import safe_text

DISTRIBUTION: Final = "afterimage-collector"

_SUMMARY_SECONDS: Final = 60.0
_SHUTDOWN_SECONDS: Final = 20.0
_HEADER_LIMIT_BYTES: Final = 16_384


async def run_collector(
    listen: str,
    store_path: Path,
    *,
    ready: Callable[[str], None],
    limits: Limits | None = None,
) -> None:
    """Serve until SIGTERM or cancelled; `ready` gets the URL once requests are answered."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    async with open_collector(listen, store_path, limits=limits) as url:
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        try:
            ready(url)
            await stopped.wait()
        finally:
            loop.remove_signal_handler(signal.SIGTERM)


@contextlib.asynccontextmanager
async def open_collector(
    listen: str, store_path: Path, *, limits: Limits | None = None
) -> AsyncIterator[str]:
    """A collector that serves inside the block; gives its URL.

    Raises:
        UsageError: `listen` is no address, or the file is no store.
        RefusedError: another collector has the file.
        UnreachableError: the address or the file can't be used.
    """
    host, port = parse_listen(listen)
    limits = limits or Limits()
    writer = Writer(store_path, disk_floor_bytes=limits.disk_floor_bytes)
    await asyncio.to_thread(writer.start)
    runner = web.AppRunner(
        build_app(writer, limits),
        access_log=None,
        auto_decompress=False,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        max_line_size=_HEADER_LIMIT_BYTES,
        max_field_size=_HEADER_LIMIT_BYTES,
    )
    try:
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise UnreachableError(
                f"the collector can't listen on {listen}",
                why=error.strerror or str(error),
                next_step="choose another port, or stop the program that has it",
            ) from error
        if not _is_loopback(host):
            _say(f"warning: {listen} is reachable by others, and there is no authentication")
        address = runner.addresses[0]
        shown = f"[{host}]" if ":" in host else host
        summary = asyncio.create_task(_summarise(writer))
        try:
            yield f"http://{shown}:{address[1]}"
        finally:
            summary.cancel()
    finally:
        await runner.cleanup()  # stops accepting, lets requests finish
        await asyncio.to_thread(writer.stop)


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[IPV6]:PORT`."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - TCP's
        raise UsageError(
            f"{listen!r} is no address to listen on",
            next_step="give HOST:PORT, e.g. 127.0.0.1:9200 (port 0: any free one)",
        )
    return host, int(port)


def build_app(writer: Writer, limits: Limits) -> web.Application:
    """The routes; nothing here touches the file but through the writer."""
    budget = Budget(limits.in_flight_bytes)

    async def bulk(request: web.Request) -> web.Response:
        started = time.monotonic()
        with budget.lease() as lease:
            body = await read_body(request, limits, lease)
            stored = await asyncio.wrap_future(
                writer.submit(body, request.match_info.get("index", ""))
            )
        took = int((time.monotonic() - started) * 1000)
        return _json(build_bulk_answer(stored.items, stored.seqs, took), request)

    async def health(request: web.Request) -> web.Response:
        statistics = writer.statistics()
        accepting = statistics.disk_free_bytes >= limits.disk_floor_bytes
        answer = {
            "status": "green" if accepting else "red",
            "documents": statistics.documents,
            "waiting_requests": statistics.waiting,
            "waiting_bytes": budget.used_bytes,
            "lag_seconds": round(statistics.oldest_seconds, 3),
            "disk_free_bytes": statistics.disk_free_bytes,
            "disk_floor_bytes": limits.disk_floor_bytes,
        }
        return _json(answer, request, status=200 if accepting else 503)

    async def cluster_health(request: web.Request) -> web.Response:
        return _json(_cluster_health(), request)

    async def cat_health(_request: web.Request) -> web.Response:
        return web.Response(text=f"{int(time.time())} {DISTRIBUTION} green 1 1\n")

    async def root(request: web.Request) -> web.Response:
        return _json(_greeting(), request)

    # The body is read in `bulk` within `limits`; aiohttp's own limit counts in other readers only.
    app = web.Application(middlewares=[_build_refusals()], client_max_size=limits.body_bytes)
    app.router.add_get("/", root)
    app.router.add_get("/_health", health)
    app.router.add_get("/_cluster/health", cluster_health)
    app.router.add_get("/_cat/health", cat_health)
    for method in ("POST", "PUT"):
        app.router.add_route(method, "/_bulk", bulk)
        app.router.add_route(method, "/{index}/_bulk", bulk)
    return app


class _Complaints:
    """Says what is wrong once a minute, however many requests meet it."""

    def __init__(self) -> None:
        self._said_at: dict[str, float] = {}

    def say(self, what: str, why: str) -> None:
        now = time.monotonic()
        if now - self._said_at.get(what, -_SUMMARY_SECONDS) >= _SUMMARY_SECONDS:
            self._said_at[what] = now
            _say(f"{what}: {why}")


def _build_refusals() -> Middleware:
    """Every refusal as JSON that a shipper can tell apart by status and type."""
    complaints = _Complaints()

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RequestRefusedError as error:
            refused = error
        except BulkSyntaxError as error:
            refused = RequestRefusedError(400, "illegal_argument_exception", str(error))
        except ForensicsError as error:  # the disk or the file: shippers keep their lines and retry
            complaints.say(error.what, error.why)
            refused = RequestRefusedError(503, "cluster_block_exception", error.why or error.what)
        except web.HTTPException as error:
            refused = RequestRefusedError(error.status, "illegal_argument_exception", error.reason)
        except (ConnectionError, web.RequestPayloadError):
            raise  # half a request: nobody is there to answer
        except Exception as error:  # noqa: BLE001 - server boundary: a bug is one request's 500
            complaints.say(f"bug: {type(error).__name__}", str(error))
            reason = f"{type(error).__name__} in the collector"
            refused = RequestRefusedError(500, "exception", reason)
        answer = build_error(refused.status, refused.kind, refused.reason)
        return _json(answer, status=refused.status)

    return refuse


def _json(answer: Any, request: web.Request | None = None, *, status: int = 200) -> web.Response:
    if request is not None and (
        patterns := parse_filter_path(request.query.get("filter_path", ""))
    ):
        answer = filter_answer(answer, patterns) or {}
    body = json.dumps(answer, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, content_type="application/json")


def _greeting() -> dict[str, Any]:
    return {
        "name": DISTRIBUTION,
        "cluster_name": DISTRIBUTION,
        "version": {
            "distribution": DISTRIBUTION,
            "number": metadata.version("afterimage-forensics"),
        },
        "tagline": "What remains of it: forensics",
    }


def _cluster_health() -> dict[str, Any]:
    return {
        "cluster_name": DISTRIBUTION,
        "status": "green",
        "timed_out": False,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
    }


async def _summarise(writer: Writer) -> None:
    """At most one line a minute, and none where nothing came."""
    last = writer.statistics()
    while True:
        await asyncio.sleep(_SUMMARY_SECONDS)
        now = writer.statistics()
        new = now.created - last.created
        if (now.created, now.conflicts, now.refused) != (
            last.created,
            last.conflicts,
            last.refused,
        ):
            _say(
                f"{new:,} new documents in the last minute, {now.documents:,} in all;"
                f" {now.conflicts - last.conflicts:,} already there,"
                f" {now.refused - last.refused:,} refused;"
                f" {now.disk_free_bytes >> 20:,} MiB free"
            )
        last = now


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _say(text: str) -> None:
    sys.stderr.write(f"collector: {safe_text(text)}\n")
    sys.stderr.flush()
