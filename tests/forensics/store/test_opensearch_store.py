"""What only the OpenSearch store has to get right, on a real node; the rest is the contract's."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

import forensics.store.opensearch_streams as streams_module
from forensics.errors import ForensicsError, PartialResultError, RefusedError
from forensics.store.opensearch import OpenSearchStore
from forensics.store.opensearch_query import build_search
from forensics.store.protocol import Cursor, Document, Query
from shipper.wire.builder import RecordBuilder
from shipper.wire.framing import frame
from shipper.wire.record import Identity
from shipper.wire.records import Records
from shipper.wire.times import EARLIEST, LATEST, parse_time

pytestmark = [pytest.mark.opensearch, pytest.mark.slow]

INDEX = "afterimage-logs-2026.01.03"
AT = "2026-01-03T12:00:00.000000000Z"
STREAM = "aaaaaaaaaaaaaaaa"


@dataclass(frozen=True, slots=True)
class Centre:
    """A store on an empty node, and the node's own API beside it."""

    store: OpenSearchStore
    url: str
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The node's JSON."""
        data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        async with self.session.request(method, f"{self.url}{path}", data=data) as answer:
            return await answer.json(content_type=None)

    async def load(self, items: bytes) -> None:
        """Store `_bulk` items and make them found."""
        answer = await self.call("POST", "/_bulk?refresh=true&filter_path=errors", items)
        assert answer == {"errors": False}

    async def load_foreign(
        self, documents: Iterable[tuple[str, Mapping[str, Any]]], index: str = INDEX
    ) -> None:
        """Documents of another shipper."""
        lines = []
        for document_id, document in documents:
            action = {"create": {"_index": index, "_id": document_id}}
            lines.append(f"{json.dumps(action)}\n{json.dumps(document)}\n")
        await self.load("".join(lines).encode())


@pytest.fixture
async def centre(opensearch_store_url: str) -> AsyncIterator[Centre]:
    """An empty node and a store on it."""
    headers = {"Content-Type": "application/x-ndjson"}
    async with aiohttp.ClientSession(headers=headers) as session:
        store = await OpenSearchStore.open(opensearch_store_url)
        try:
            yield Centre(store, opensearch_store_url, session)
        finally:
            await store.close()


def record_items(
    data: bytes, *, instance: str = "i-0a", stream: str = STREAM, source: int = 1
) -> bytes:
    """The items of a file's bytes, all read at one time."""
    builder = RecordBuilder(
        identity=Identity(instance_id=instance),
        stream=stream,
        source=source,
        path="/x",
        index=INDEX,
    )
    return builder.build(Records.of(frame(data), 0), parse_time(AT)).body


async def walk(store: OpenSearchStore, limit: int, *, backward: bool) -> list[Document]:
    """Every log document, page after page."""
    found: list[Document] = []
    place: Cursor | None = Cursor(LATEST) if backward else None
    for _ in range(2000):
        if backward:
            page = await store.page(Query(), before=place, limit=limit)
            found = [*page.documents, *found]
        else:
            page = await store.page(Query(), after=place, limit=limit)
            found += page.documents
        if not page.more:
            return found
        place = page.documents[0 if backward else -1].cursor
    raise AssertionError("two thousand pages and still more")


async def test_documents_of_one_time_without_a_place_are_paged_by_id(centre: Centre) -> None:
    """A group of equal times that is larger than a page is neither repeated nor cut short."""
    ids = sorted(f"id-{n * 7919 % 1000:03d}" for n in range(300))
    await centre.load_foreign((name, {"@timestamp": AT, "message": name}) for name in ids)
    await centre.load(record_items(b"a record of the same time\n" * 20))
    for limit in (37, 299, 300):
        for backward in (False, True):
            found = [document.id for document in await walk(centre.store, limit, backward=backward)]
            assert ids == found[:300], "without a place means before those that have one"
            assert 320 == len(set(found)) == len(found)


async def test_more_documents_of_one_time_than_can_be_ordered_are_an_error(
    centre: Centre,
) -> None:
    """A page that could not be told whole from cut is refused, with the way to narrow it."""
    await centre.load_foreign((f"{n}", {"@timestamp": AT}) for n in range(10_001))
    with pytest.raises(PartialResultError, match="more than 10,000 documents"):
        await centre.store.page(Query())
    assert 10_001 == await centre.store.count(Query())


async def test_a_page_may_be_larger_than_one_search(centre: Centre) -> None:
    """A limit beyond OpenSearch's own window takes more searches, not an error."""
    await centre.load(record_items(b"".join(b"%d\n" % n for n in range(10_500))))
    page = await centre.store.page(Query(), limit=10_400)
    assert (10_400, True) == (len(page.documents), page.more)
    assert [str(n) for n in range(10_400)] == [document.message for document in page.documents]


async def test_a_document_that_lies_about_its_place_hides_no_other(centre: Centre) -> None:
    """Whoever writes a stream and an offset under another id can't make paging loop or skip."""
    lies = {"@timestamp": AT, "afterimage.stream": STREAM, "afterimage.source": 1}
    await centre.load(record_items(b"".join(b"line %d\n" % n for n in range(50))))
    await centre.load_foreign((f"lie-{n}", lies | {"log.offset": n * 90}) for n in range(5))
    for limit in (1, 3, 60):
        for backward in (False, True):
            found = await walk(centre.store, limit, backward=backward)
            honest = [document.id for document in found if document.id.startswith(STREAM)]
            assert 50 == len(honest) == len(set(honest))
            assert sorted(honest, key=lambda text: int(text.split("-")[2])) == honest


async def test_milliseconds_and_nanoseconds_keep_one_order(centre: Centre) -> None:
    """An index whose times are milliseconds is merged in, not sorted before all others."""
    mapping = {"mappings": {"properties": {"@timestamp": {"type": "date"}}}}
    await centre.call("PUT", "/afterimage-logs-other", mapping)
    times = [f"2026-01-03T12:00:00.{n:03d}Z" for n in range(20)]
    await centre.load_foreign(
        ((f"odd-{n}", {"@timestamp": times[n]}) for n in range(1, 20, 2)), "afterimage-logs-other"
    )
    await centre.load_foreign((f"even-{n}", {"@timestamp": times[n]}) for n in range(0, 20, 2))
    expected = [f"{'odd' if n % 2 else 'even'}-{n}" for n in range(20)]
    for backward in (False, True):
        found = await walk(centre.store, 3, backward=backward)
        assert expected == [document.id for document in found]
    assert 20 == sum(bar.count for bar in await centre.store.histogram(Query(), 7))
    assert 5 == await centre.store.count(Query(since=times[15]))


async def test_a_document_without_a_time_stands_first(centre: Centre) -> None:
    """A malformed time costs a document its place in time, not its being found."""
    await centre.load_foreign(
        [
            ("none", {"message": "m"}),
            ("odd", {"@timestamp": "yesterday"}),
            ("b", {"@timestamp": AT}),
        ]
    )
    for backward in (False, True):
        found = await walk(centre.store, 1, backward=backward)
        assert [("none", EARLIEST), ("odd", EARLIEST), ("b", AT)] == [
            (document.id, document.timestamp) for document in found
        ]


async def test_a_page_of_long_lines_ends_early_and_says_so(centre: Centre) -> None:
    """500 lines of a megabyte are no page: it ends at 8 MiB and the next goes on, byte for byte."""
    data = b"".join(b"%02d" % n + b"x" * 1_048_000 + b"\nshort %d\n" % n for n in range(12))
    await centre.load(record_items(data))
    page = await centre.store.page(Query(), limit=500)
    assert page.more
    assert 8 << 20 >= sum(document.fields["log.length"] for document in page.documents)
    for backward in (False, True):
        found = await walk(centre.store, 500, backward=backward)
        assert data == b"".join(document.raw_bytes() for document in found)
    pages = [page async for page in centre.store.source_records(STREAM, 1)]
    assert len(pages) > 1
    assert data == b"".join(document.raw_bytes() for page in pages for document in page)


async def test_more_streams_than_a_page_are_all_told(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of streams tile, at whatever number the last one ends."""
    monkeypatch.setattr(streams_module, "STREAMS_PER_PAGE", 3)
    for number in range(6):
        item = record_items(b"hello\n", instance=f"i-{number}", stream=f"{number:016d}")
        await centre.load(item)
        rows = await centre.store.streams()
        assert [f"i-{n}" for n in range(number + 1)] == [row.instance_id for row in rows]
        assert {"hello"} == {row.last_word for row in rows}


async def test_times_keep_their_nanoseconds_in_summaries(centre: Centre) -> None:
    """A double has no room for them: first and last sign come from documents."""
    for number, nanos in enumerate((123_456_789, 123_456_790, 123_456_791)):
        at = f"2026-01-03T12:00:00.{nanos}Z"
        fields = {"event.created": at, "@timestamp": at, "afterimage.stream": STREAM}
        await centre.load_foreign([(f"{number}", fields | {"cloud.instance.id": "i-0a"})])
    (row,) = await centre.store.streams()
    assert "2026-01-03T12:00:00.123456789Z" == row.first_at
    assert "2026-01-03T12:00:00.123456791Z" == row.last_at


async def test_info_tells_whether_stored_logs_can_be_changed(centre: Centre) -> None:
    """The newest log index decides; before the first one nothing is claimed."""
    info = await centre.store.info()
    assert (False, 1) == (info.append_only, len(info.warnings))
    assert "no log index yet" in info.warnings[0]
    await centre.load(record_items(b"one\n"))
    info = await centre.store.info()
    assert (True, (), "3.8.0", 1) == (
        info.append_only,
        info.warnings,
        info.version,
        info.documents,
    )
    open_index = {"settings": {"index.append_only.enabled": False}}
    await centre.call("PUT", "/afterimage-logs-2026.01.04", open_index)
    info = await centre.store.info()
    assert not info.append_only
    assert "afterimage-logs-2026.01.04 is not append-only" in info.warnings[0]


async def test_an_index_without_our_mapping_names_the_remedy(centre: Centre) -> None:
    """Made before the templates were, it can't be sorted; the error leads to `centre check`."""
    text = {"afterimage": {"properties": {"stream": {"type": "text"}}}}
    await centre.call("PUT", "/afterimage-logs-0", {"mappings": {"properties": text}})
    await centre.load_foreign(
        [("a", {"@timestamp": AT, "afterimage.stream": "s"})], "afterimage-logs-0"
    )
    with pytest.raises(ForensicsError, match="forensics centre check"):
        await centre.store.page(Query())
    await centre.load(record_items(b"one\n"))
    with pytest.raises(PartialResultError, match="1 of 2 shards"):
        await centre.store.page(Query())


async def test_a_closed_index_is_left_out(centre: Centre) -> None:
    """What an operator has closed is not searched and does not make the rest fail."""
    await centre.load(record_items(b"one\n"))
    await centre.load_foreign([("a", {"@timestamp": AT})], "afterimage-logs-2026.01.02")
    await centre.call("POST", "/afterimage-logs-2026.01.02/_close")
    assert 1 == await centre.store.count(Query())
    assert 1 == len((await centre.store.page(Query())).documents)


async def test_a_lifecycle_document_that_is_not_taken_raises(centre: Centre) -> None:
    """What the node refuses is an error that quotes it, not a smaller number."""
    fields = {"@timestamp": AT, "afterimage.detail": {"key": "x" * 40_000}}
    with pytest.raises(RefusedError, match="life-1"):
        await centre.store.put_lifecycle([("life-1", fields)])


async def test_cancelling_a_question_stops_the_search_on_the_node(centre: Centre) -> None:
    """The socket closes with the task, and the node's search task ends before its time."""
    await centre.load(record_items(b"".join(b"line %d\n" % n for n in range(20_000))))
    loop = "long x = 0; for (int i = 0; i < 900000; i++) { x += i % 7 } return x < 0"
    body = build_search([{"script": {"script": {"source": loop}}}], size=1)

    async def searching() -> bool:
        answer = await centre.call("GET", "/_tasks?actions=indices:data/read/search")
        return any(node["tasks"] for node in answer["nodes"].values())

    async def idle() -> bool:
        return not await searching()

    asked = asyncio.create_task(centre.store._pages.search(("logs",), body))
    await wait_until(searching)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    began = time.monotonic()
    await wait_until(idle)
    assert time.monotonic() - began < 10, "20,000 documents would take a minute"
    assert 20_000 == await centre.store.count(Query()), "the store answers on"


async def wait_until(question: Callable[[], Awaitable[bool]]) -> None:
    """Until the question is answered with yes."""
    deadline = time.monotonic() + 30
    while not await question():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
