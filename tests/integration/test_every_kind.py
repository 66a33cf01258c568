"""Every kind of source through a real shipper and collector, and back through forensics."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from forensics.collect.server import open_collector
from forensics.ledger.load import find_row, load_ledger
from forensics.proof.pieces import Bytes
from forensics.proof.raw import read_path
from forensics.report.completeness import read_completeness
from forensics.report.model import PathRow, Verdict
from forensics.store.open import open_store
from forensics.store.protocol import Cursor, Document, Query, Store
from shipper.logging_handler import ForwardHandler
from shipper.wire.times import LATEST
from tests.faults.shipper_process import ShipperProcess
from tests.shipper.sources.journal_files import HAS_TOOLS, build_message, save_journal

INSTANCE = "i-0123456789abcdef0"
DOCKER = (
    b'{"log":"caf\\u00e9 \\u003cready\\u003e\\n","stream":"stdout","time":"2026-01-03T12:00:00.1Z"'
    b'}\n{"log":"half a ","stream":"stderr","time":"2026-01-03T12:00:00.2Z"}\n'
    b'{"log":"line\\n","stream":"stderr","time":"2026-01-03T12:00:00.3Z"}\n'
    b"not Docker's\n"
)
CRI = (
    b"2026-01-03T12:00:00.1Z stdout F ready\n"
    b"2026-01-03T12:00:00.2Z stderr P half a \n2026-01-03T12:00:00.3Z stderr F line\n"
)
TRACE = b'Traceback (most recent call last):\n  File "app.py", line 1\nValueError: no\n'
PLAIN = (
    b"2026-01-03T12:00:00Z INFO started\n"
    b"2026-01-03T12:00:01Z DEBUG noise 1\n2026-01-03T12:00:02Z DEBUG noise 2\n"
    b"2026-01-03T12:00:03Z INFO password=hunter2 was used\n"
    + TRACE
    + b"2026-01-03T12:00:04Z DEBUG noise 3\n"
    + b'{"time":"2026-01-03T12:00:05Z","level":"error","user":{"id":7}}\n\xff no text\n'
)
SHIPPED = PLAIN.replace(b"hunter2", b"*******")
CONFIGURATION = """
multiline = "python"
multiline_seconds = 0.2
[[sources.tail]]
paths = ["{folder}/docker-json.log"]
format = "docker"
[[sources.tail]]
paths = ["{folder}/cri.log"]
format = "cri"
[[sources.forward]]
listen = "unix://{socket}"
{journald}
[[transforms.mask]]
patterns = ["password=([a-z0-9]+)"]
[[transforms.drop]]
reason = "debug noise"
pattern = " DEBUG "
[output.opensearch]
urls = ["{url}"]
"""


def configure(shipper: ShipperProcess, folder: Path, socket: Path, url: str) -> None:
    """The shipper's tail of app.log goes on with further tables."""
    journald = f'[sources.journald]\ndirectory = "{folder}/journal"' if HAS_TOOLS else ""
    path = shipper.folder / "shipper.toml"
    head = path.read_text(encoding="utf-8").partition("[output")[0]
    more = CONFIGURATION.format(folder=folder, socket=socket, journald=journald, url=url)
    path.write_text(head + more.lstrip(), encoding="utf-8")


async def read_bytes(store: Store, name: str) -> bytes:
    """What `raw` gives."""
    pieces = [piece async for piece in read_path(store, INSTANCE, name)]
    return b"".join(piece.data for piece in pieces if isinstance(piece, Bytes))


async def read_documents(store: Store, name: str) -> Sequence[Document]:
    """The records of one path or name."""
    query = Query(instance_ids=frozenset((INSTANCE,)), paths=frozenset((name,)))
    return (await store.page(query, before=Cursor(LATEST))).documents


def log_to(socket: Path) -> None:
    """An application's last words, handed to the shipper."""
    handler = ForwardHandler("shop", f"unix://{socket}", exit_seconds=20)
    logger = logging.getLogger("test of every kind")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.info("order %d paid\n  in two lines, password=swordfish", 7, extra={"order": {"id": 7}})
    logger.removeHandler(handler)
    handler.flush()
    assert 0 == handler.dropped
    handler.close()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_every_kind_of_source_comes_back_whole(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Files, containers, stack traces, Forward and journal: all bytes but what rules declare."""
    folder = tmp_path / "log"
    folder.mkdir()
    socket = tmp_path_factory.mktemp("s") / "f.sock"
    for name, data in (("app.log", PLAIN), ("docker-json.log", DOCKER), ("cri.log", CRI)):
        (folder / name).write_bytes(data)
    if HAS_TOOLS:
        entries = [build_message(n, ("PRIORITY", b"3")) for n in range(1, 6)]
        save_journal(folder / "journal" / "system.journal", entries)
    path = tmp_path / "logs.sqlite"
    async with open_collector("127.0.0.1:0", path) as url:
        with ShipperProcess(
            tmp_path, patterns=[f"{folder}/app.log"], url=url, instance_id=INSTANCE
        ) as shipper:
            configure(shipper, folder, socket, url)
            shipper.start()
            await asyncio.to_thread(log_to, socket)
            code = await asyncio.to_thread(shipper.terminate)
            assert (0, True) == (code, "everything" in shipper.words.read_text()), code
        store = await open_store(f"sqlite:{path}")
        try:
            row = find_row(await load_ledger(store, None), INSTANCE)
            found = {one.path: one for one in await read_completeness(store, row)}
            await check_files(store, folder, found)
            await check_forward(store, f"forward:unix://{socket}", found)
            if HAS_TOOLS:
                await check_journal(store, found["journald"])
        finally:
            await store.close()


async def check_files(store: Store, folder: Path, found: dict[str, PathRow]) -> None:
    """Plain, Docker's and CRI's lines."""
    app = str(folder / "app.log")
    kept = b"".join(line for line in SHIPPED.splitlines(keepends=True) if b" DEBUG " not in line)
    assert kept == await read_bytes(store, app)
    assert (Verdict.COMPLETE, "file", 7, 1) == (
        *(found[app].verdict, found[app].kind),
        *(found[app].masked_bytes, found[app].masked_records),
    )
    assert [("debug noise", 3, len(PLAIN) - len(kept), 2)] == [
        (one.reason, one.records, one.size_bytes, one.places) for one in found[app].dropped
    ]
    documents = await read_documents(store, app)
    assert TRACE.decode().rstrip("\n") in [one.message for one in documents]
    assert [{"id": 7}] == [
        one.fields["fields"]["user"] for one in documents if "fields" in one.fields
    ]
    for name, data, kind in (("docker-json.log", DOCKER, "docker"), ("cri.log", CRI, "cri")):
        wrapped = str(folder / name)
        assert data == await read_bytes(store, wrapped)
        assert (Verdict.COMPLETE, kind) == (found[wrapped].verdict, found[wrapped].kind)
        messages = [one.message for one in await read_documents(store, wrapped)]
        assert any("ready" in message for message in messages)
        assert "half a line" in messages


async def check_forward(store: Store, name: str, found: dict[str, PathRow]) -> None:
    """The event's line, its message, its structure."""
    assert (Verdict.COMPLETE, "forward") == (found[name].verdict, found[name].kind)
    assert len("swordfish") == found[name].masked_bytes
    (line,) = (await read_bytes(store, name)).splitlines()
    (document,) = await read_documents(store, name)
    said = "order 7 paid\n  in two lines, password=*********"
    assert said == json.loads(line)["record"]["message"] == document.message
    assert {"id": 7} == document.fields["fields"]["order"]


async def check_journal(store: Store, found: PathRow) -> None:
    """Entries as canonical lines by number; the claim is the weaker one."""
    lines = (await read_bytes(store, "journald")).splitlines()
    assert [f"message {n}" for n in range(1, 6)] == [json.loads(one)["MESSAGE"] for one in lines]
    assert (Verdict.NUMBERED, "journald") == (found.verdict, found.kind)
    assert found.journal is not None
    assert (5, 4) == (found.journal.count, found.journal.last - found.journal.first)
    assert ["error"] * 5 == [one.level for one in await read_documents(store, "journald")]
