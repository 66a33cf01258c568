"""The contract of `forensics.store.protocol.Store`, run on SQLite and on a real OpenSearch node.

`loaded` gives one empty store per test and its way in, which for both kinds is `POST /_bulk`, as
shippers use it. `opensearch_store_url` (tests/conftest.py) is the base URL of a running node that
has the index templates and no index.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from forensics.collect.server import open_collector
from forensics.store.open import open_store
from forensics.store.protocol import Cursor, Document, Query, Store
from shipper.wire.builder import RecordBuilder
from shipper.wire.framing import frame
from shipper.wire.record import Family, Identity, build_document
from shipper.wire.records import Records
from shipper.wire.shapes import Shaped
from shipper.wire.times import LATEST, NANOS_PER_SECOND, format_time, parse_time
from shipper.wire.transforms import Drop
from shipper.wire.vitals import VitalsWriter

DAY = "2026-01-03"
INDEX = "afterimage-logs-2026.01.03"
STREAM_A = "aaaaaaaaaaaaaaaa"
STREAM_B = "bbbbbbbbbbbbbbbb"
EVERYTHING = Query(families=frozenset(("logs", "vitals", "lifecycle")))


Load = Callable[[bytes], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedStore:
    """A store and the way in: `load(items)` returns the bulk answer once `items` can be found."""

    store: Store
    load: Load


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("opensearch", marks=[pytest.mark.opensearch, pytest.mark.slow]),
    ]
)
def store_kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The kind of store, and for OpenSearch the node's URL."""
    kind = str(request.param)
    return kind, str(
        request.getfixturevalue("opensearch_store_url")
    ) if kind == "opensearch" else ""


@pytest.fixture
async def loaded(store_kind: tuple[str, str], tmp_path: Path) -> AsyncIterator[LoadedStore]:
    """An empty store of either kind, with its loader."""
    kind, url = store_kind
    if kind == "opensearch":
        async with aiohttp.ClientSession() as session:
            store = await open_store(url)
            try:
                yield LoadedStore(store=store, load=_loader(session, url))
            finally:
                await store.close()
        return
    path = tmp_path / "store.sqlite"
    async with open_collector("127.0.0.1:0", path) as url, aiohttp.ClientSession() as session:
        store = await open_store(f"sqlite:{path}")
        try:
            yield LoadedStore(store=store, load=_loader(session, url))
        finally:
            await store.close()


def _loader(session: aiohttp.ClientSession, url: str) -> Load:
    async def load(items: bytes) -> dict[str, Any]:
        async with session.post(
            f"{url}/_bulk?refresh=true",
            data=items,
            headers={"Content-Type": "application/x-ndjson"},
        ) as response:
            body = await response.text()
            assert response.status == 200, body
            answer: dict[str, Any] = json.loads(body)
            return answer

    return load


def at(second: int) -> str:
    """A time of the test's day: `second` seconds after noon."""
    return format_time(parse_time(f"{DAY}T12:00:00Z") + second * NANOS_PER_SECOND)


def log_items(
    lines: Sequence[str],
    *,
    instance: str = "i-0a",
    stream: str = STREAM_A,
    source: int = 1,
    path: str = "/var/log/app.log",
    offset: int = 0,
    read_at: str = "",
) -> bytes:
    """The `_bulk` body that the shipper builds of `lines`."""
    builder = RecordBuilder(
        identity=Identity(instance_id=instance, image_id="ami-1"),
        stream=stream,
        source=source,
        path=path,
        index=INDEX,
    )
    records = frame("".join(f"{line}\n" for line in lines).encode())
    return builder.build(Records.of(records, offset), parse_time(read_at or at(3000))).body


def vitals_item(
    action: str, second: int, *, instance: str = "i-0a", stream: str = STREAM_A, run: int = 1
) -> bytes:
    """One vitals document of that stream."""
    fields: dict[str, object] = {
        "@timestamp": at(second),
        "event.created": at(second),
        "event.dataset": "afterimage.vitals",
        "event.action": action,
        "afterimage.stream": stream,
        "cloud.instance.id": instance,
        "afterimage.run": run,
        "message": f"{action} of {instance}",
    }
    return build_document("vitals", f"{stream}-v-{action}-{second}", fields)


def foreign_item(document_id: str, document: dict[str, Any]) -> bytes:
    """A document as another shipper sends it: nested objects, its own way of writing times."""
    action = {"create": {"_index": INDEX, "_id": document_id}}
    return f"{json.dumps(action)}\n{json.dumps(document)}\n".encode()


def families(*names: Family) -> frozenset[Family]:
    """The set that `Query.families` wants."""
    return frozenset(names)


def messages(documents: Sequence[Document]) -> list[str]:
    """What the documents say."""
    return [document.message for document in documents]


async def walk_forward(store: Store, query: Query, limit: int) -> list[Document]:
    """Every document of the query, page after page from the start."""
    found: list[Document] = []
    after: Cursor | None = None
    for _ in range(1000):
        page = await store.page(query, after=after, limit=limit)
        found += page.documents
        if not page.more:
            return found
        after = page.documents[-1].cursor
    raise AssertionError("a thousand pages and still more")


async def walk_backward(store: Store, query: Query, limit: int) -> list[Document]:
    """Every document of the query in time order, read page by page from the end."""
    found: list[Document] = []
    before = Cursor(LATEST)
    for _ in range(1000):
        page = await store.page(query, before=before, limit=limit)
        found = [*page.documents, *found]
        if not page.more:
            return found
        before = page.documents[0].cursor
    raise AssertionError("a thousand pages and still more")


async def test_an_empty_store_answers_every_question(loaded: LoadedStore) -> None:
    """No index and no record yet: answers are empty, never errors."""
    store = loaded.store
    assert 0 == (await store.info()).documents
    assert [] == list(await store.streams())
    page = await store.page(EVERYTHING)
    assert ([], False) == (list(page.documents), page.more)
    assert 0 == await store.count(EVERYTHING)
    assert [] == list(await store.histogram(EVERYTHING, 10))
    assert [] == [page async for page in store.source_records(STREAM_A, 1)]


async def test_info_says_what_it_is_and_how_much_it_holds(loaded: LoadedStore) -> None:
    """`info` names the kind, a location and the number of documents."""
    await loaded.load(log_items(["one", "two"]))
    info = await loaded.store.info()
    assert info.kind in {"sqlite", "opensearch"}
    assert info.location
    assert info.version
    assert 2 == info.documents


async def test_a_record_comes_back_as_the_bytes_it_was(loaded: LoadedStore) -> None:
    """ESC, NUL, CR, quotes, invalid UTF-8: `raw_bytes` gives what the file held, checked."""
    chunk = (
        b'plain\n\x1b[31mred\x00\r\n"quoted" \\ tab\t\n\xff\xfe invalid\n\nGr\xc3\xb6\xc3\x9fe\n'
    )
    builder = RecordBuilder(
        identity=Identity(instance_id="i-0a"), stream=STREAM_A, source=1, path="/x", index=INDEX
    )
    await loaded.load(builder.build(Records.of(frame(chunk), 0), parse_time(at(0))).body)
    found = [d async for page in loaded.store.source_records(STREAM_A, 1) for d in page]
    assert chunk == b"".join(document.raw_bytes() for document in found)


def take_apart(line: bytes) -> Shaped:
    """A Docker line's words, structure and wrapping."""
    text = line.decode()
    inner = json.loads(text)["log"].removesuffix("\n")
    before, after = '{"log":"', text[text.index('\\n","stream"') :]
    return Shaped(
        message=inner, before=before, after=after, escape="go",
        fields={"fields": {"user": {"id": 7}, "a.b": [1, None]}, "container.id": "c0ffee"},
    )  # fmt: skip


async def test_wrapped_grouped_and_masked_records_come_back_whole(loaded: LoadedStore) -> None:
    """What stands around a message, its structure, inner line feeds and masks survive the store."""
    wrapped = [
        b'{"log":"a \\u003cb\\u003e token=***\\n","stream":"stderr"}\n',
        '{"log":"gr\u00f6\u00dfe\\n  at \\"x\\"\\n","stream":"stdout"}\n'.encode(),
    ]
    records = Records(
        data=b"".join(wrapped), start=5, lengths=[len(line) for line in wrapped],
        masked={0: [(31, 3)]},
    )  # fmt: skip
    builder = RecordBuilder(
        identity=Identity(instance_id="i-0a"), stream=STREAM_A, source=1, path="/x", index=INDEX,
        shape=take_apart,
    )  # fmt: skip
    await loaded.load(builder.build(records, parse_time(at(0))).body)
    found = [d async for page in loaded.store.source_records(STREAM_A, 1) for d in page]
    assert wrapped == [document.raw_bytes() for document in found]
    assert ["a <b> token=***", 'gr\u00f6\u00dfe\n  at "x"'] == [one.message for one in found]
    assert [[(31, 3)], []] == [list(document.masked) for document in found]
    assert {"user": {"id": 7}, "a.b": [1, None]} == found[0].fields["fields"]
    assert "c0ffee" == found[0].text("container.id")
    page = await loaded.store.page(Query(match="token at"))
    assert [] == list(page.documents)
    page = await loaded.store.page(Query(match="x at"))
    assert [found[1].id] == [document.id for document in page.documents]


async def test_a_drop_tile_is_a_vital_that_is_found_by_path(loaded: LoadedStore) -> None:
    """Sent with its neighbours in one body; sent again after a crash, it is there once."""
    vitals = VitalsWriter(identity=Identity(instance_id="i-0a"), stream=STREAM_A, run=1)
    drop = Drop(start=4, end=90, count=3, reason="debug noise")
    tile = vitals.drop(at(0), source=1, path="/x", drop=drop).build()
    answer = await loaded.load(log_items(["one"], path="/x") + tile)
    assert [201, 201] == [item["create"]["status"] for item in answer["items"]]
    answer = await loaded.load(tile)
    assert [409] == [item["create"]["status"] for item in answer["items"]]
    query = Query(
        families=frozenset(("vitals",)), actions=frozenset(("drop",)), paths=frozenset(("/x",))
    )
    (document,) = (await loaded.store.page(query)).documents
    assert f"{STREAM_A}-v-drop-1-4-90" == document.id
    assert (4, 90, 3) == tuple(document.fields[f"afterimage.{n}"] for n in ("from", "to", "count"))
    assert "debug noise" == document.text("afterimage.reason")


async def test_a_record_sent_again_is_refused_and_the_first_stays(loaded: LoadedStore) -> None:
    """`create` with an id that exists gets 409 for that item; the others of the request pass."""
    first = await loaded.load(log_items(["one"]))
    again = await loaded.load(log_items(["one", "two"]))
    assert [201] == [item["create"]["status"] for item in first["items"]]
    assert [409, 201] == [item["create"]["status"] for item in again["items"]]
    assert (False, True) == (first["errors"], again["errors"])
    error = again["items"][0]["create"]["error"]
    assert "version_conflict_engine_exception" == error["type"]
    assert 2 == await loaded.store.count(Query())


async def test_pages_tile_the_query_forward_and_backward(loaded: LoadedStore) -> None:
    """Whatever the page size, both directions give every document once, in cursor order."""
    await loaded.load(
        log_items([f"{at(n // 7)} line {n}" for n in range(30)])
        + log_items([f"{at(n // 7)} other {n}" for n in range(20)], stream=STREAM_B, source=2)
        + log_items([f"{at(n)} late file {n}" for n in range(5)], source=12)
        + vitals_item("birth", 0)
        + vitals_item("heartbeat", 2)
        + vitals_item("heartbeat", 2, stream=STREAM_B)
        + foreign_item("odd id/ü", {"@timestamp": at(1), "message": "foreign"})
    )
    await loaded.store.put_lifecycle([("life-1", {"@timestamp": at(1), "event.action": "stop"})])
    expected = sorted(
        (await loaded.store.page(EVERYTHING, limit=500)).documents, key=lambda d: d.cursor
    )
    assert 60 == len(expected)
    assert 60 == len({document.id for document in expected})
    for limit in (1, 7, 60, 61):
        forward = await walk_forward(loaded.store, EVERYTHING, limit)
        assert [d.cursor for d in expected] == [d.cursor for d in forward]
        backward = await walk_backward(loaded.store, EVERYTHING, limit)
        assert [d.cursor for d in expected] == [d.cursor for d in backward]


async def test_more_tells_whether_there_is_another_page(loaded: LoadedStore) -> None:
    """`more` is true exactly when a document lies beyond the page in the asked direction."""
    await loaded.load(log_items([f"{at(n)} {n}" for n in range(4)]))
    store = loaded.store
    whole = await store.page(Query(), limit=4)
    assert not whole.more
    assert (await store.page(Query(), limit=3)).more
    assert (await store.page(Query(), before=Cursor(LATEST), limit=3)).more
    assert not (await store.page(Query(), after=whole.documents[1].cursor, limit=2)).more
    between = await store.page(Query(), after=Cursor(at(1)), limit=1)
    assert [f"{at(1)} 1"] == messages(between.documents), "a bare time stands before its records"


async def test_lines_of_one_time_keep_the_order_of_the_file(loaded: LoadedStore) -> None:
    """Within one `@timestamp` a file's lines come by offset, as numbers and not as text."""
    await loaded.load(log_items([f"{at(5)} {'x' * n} {n}" for n in range(25)]))
    page = await loaded.store.page(Query())
    assert [str(n) for n in range(25)] == [text.split()[-1] for text in messages(page.documents)]


async def test_a_query_holds_every_condition(loaded: LoadedStore) -> None:
    """Instances, paths, levels, actions and families narrow; `count` and `page` agree."""
    await loaded.load(
        log_items(["INFO started", "ERROR failed", "quiet"])
        + log_items(["ERROR other"], instance="i-0b", stream=STREAM_B, path="/var/log/b.log")
        + vitals_item("birth", 1)
        + vitals_item("closing", 2)
    )
    for query, expected in (
        (Query(), 4),
        (Query(instance_ids=frozenset(("i-0a",))), 3),
        (Query(instance_ids=frozenset(("i-0a", "i-0b"))), 4),
        (Query(instance_ids=frozenset(("i-0c",))), 0),
        (Query(levels=frozenset(("error",))), 2),
        (Query(levels=frozenset(("error", "info"))), 3),
        (Query(levels=frozenset(("error",)), instance_ids=frozenset(("i-0b",))), 1),
        (Query(paths=frozenset(("/var/log/b.log",))), 1),
        (Query(families=families("vitals")), 2),
        (Query(families=families("vitals"), actions=frozenset(("closing",))), 1),
        (Query(families=families("logs", "vitals")), 6),
        (Query(families=families("lifecycle")), 0),
    ):
        assert expected == await loaded.store.count(query), query
        assert expected == len((await loaded.store.page(query)).documents), query


async def test_a_time_range_looks_at_the_line_and_at_the_reading(loaded: LoadedStore) -> None:
    """A line with a wrong clock is found by when it was read; both ends are included."""
    await loaded.load(
        log_items([f"{at(10)} right"], read_at=at(11))
        + log_items(["2025-06-01T00:00:00Z wrong zone"], read_at=at(12), offset=1000)
        + log_items([f"{at(50)} ahead"], read_at=at(13), offset=2000)
    )

    async def found(since: str, until: str) -> list[str]:
        page = await loaded.store.page(Query(since=since, until=until))
        return [text.split()[1] for text in messages(page.documents)]

    assert ["wrong", "right", "ahead"] == await found("", "")
    assert ["wrong", "right", "ahead"] == await found(at(11), "")
    assert ["wrong", "ahead"] == await found(at(12), "")
    assert ["ahead"] == await found(at(14), "")
    assert [] == await found(at(51), "")
    assert ["wrong", "right"] == await found("", at(12))
    assert ["wrong", "right", "ahead"] == await found("", at(13))
    assert ["wrong", "right"] == await found(at(10), at(10))


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("refused", {"a"}),
        ("REFUSED Connection", {"a"}),
        ("connection lost", {"b"}),
        ("connection", {"a", "b"}),
        ("connect", set()),
        ("(connection) lost!", {"b"}),
        ("größe", {"c"}),
        ("GRÖSSE", set()),
        ("Grosse", set()),
        ("naive", set()),
        ("naïve", {"c"}),
        ("ошибка", {"d"}),
        ("日本", {"d"}),
        ("4711", {"e"}),
        ("471", set()),
        ('" OR "', set()),
        ("NEAR", set()),
        ("message", set()),
        ("-* ^", set()),
    ],
)
async def test_match_wants_all_words_in_any_order_and_case(
    loaded: LoadedStore, match: str, expected: set[str]
) -> None:
    """Whole words of letters and digits; no query language hides in it; no word: no document."""
    lines = [
        "a Connection refused by peer",
        "b lost the connection",
        "c die Größe ist naïve",
        "d ОШИБКА 日本語",
        "e user=4711, gone",
    ]
    await loaded.load(log_items(lines))
    page = await loaded.store.page(Query(match=match))
    assert expected == {text[0] for text in messages(page.documents)}
    assert len(expected) == await loaded.store.count(Query(match=match))


async def test_a_histogram_counts_every_document_once(loaded: LoadedStore) -> None:
    """At most as many bars as asked, of equal width, from the first document to the last."""
    await loaded.load(log_items([f"{at(n * n)} {'ERROR' if n % 3 else 'INFO'}" for n in range(30)]))
    for buckets in (1, 7, 100):
        bars = await loaded.store.histogram(Query(), buckets)
        assert 0 < len(bars) <= buckets
        assert 30 == sum(bar.count for bar in bars)
        assert 20 == sum(bar.by_level.get("error", 0) for bar in bars)
        assert 10 == sum(bar.by_level.get("info", 0) for bar in bars)
        starts = [parse_time(bar.start) for bar in bars]
        assert starts[0] <= parse_time(at(0))
        assert 1 >= len({later - earlier for earlier, later in itertools.pairwise(starts)})
        if len(starts) > 1:
            assert starts[-1] <= parse_time(at(29 * 29)) < starts[-1] + starts[1] - starts[0]
    assert 10 == sum(
        bar.count for bar in await loaded.store.histogram(Query(levels=frozenset(("info",))), 5)
    )


async def test_a_histogram_of_one_moment_is_one_bar(loaded: LoadedStore) -> None:
    """All documents at one nanosecond: no division by the empty span."""
    await loaded.load(log_items([f"{at(1)} a", f"{at(1)} b"]))
    bars = await loaded.store.histogram(Query(), 10)
    assert [2] == [bar.count for bar in bars]


async def test_source_records_come_by_offset_in_pages(loaded: LoadedStore) -> None:
    """One source, whatever order it arrived in, from an offset on; overlaps by length."""
    await loaded.load(log_items([f"second {n}" for n in range(600)], offset=100_000))
    await loaded.load(log_items([f"first {n}" for n in range(600)]))
    await loaded.load(log_items(["other source"], source=2))
    await loaded.load(log_items(["other stream"], stream=STREAM_B))
    await loaded.load(log_items(["first"], offset=0))
    pages = [page async for page in loaded.store.source_records(STREAM_A, 1)]
    assert all(len(page) <= 1000 for page in pages)
    found = [(d.fields["log.offset"], d.fields["log.length"]) for page in pages for d in page]
    assert sorted(found) == found
    assert 1201 == len(found)
    assert (0, 6) == found[0]
    later = [
        d
        async for page in loaded.store.source_records(STREAM_A, 1, from_offset=100_000)
        for d in page
    ]
    assert "second 0" == later[0].message
    assert 600 == len(later)


async def test_streams_say_what_each_stream_last_said(loaded: LoadedStore) -> None:
    """First and last sign over vitals and logs, the last word by both clocks, the records."""
    await loaded.load(
        vitals_item("birth", 0)
        + log_items([f"{at(30)} clock runs ahead"], read_at=at(5))
        + log_items([f"{at(7)} late", f"{at(8)} last"], read_at=at(9), offset=1000)
        + vitals_item("heartbeat", 20)
        + log_items(["hello"], instance="i-0b", stream=STREAM_B, read_at=at(40))
    )
    first, second = await loaded.store.streams()
    assert ("i-0a", STREAM_A) == (first.instance_id, first.stream)
    assert (at(0), at(20)) == (first.first_at, first.last_at)
    assert (at(8), f"{at(8)} last") == (first.last_word_at, first.last_word)
    assert 3 == first.records
    assert 1 == first.birth["afterimage.run"]
    assert {} == first.closing
    assert ("i-0b", STREAM_B, 1, "hello") == (
        second.instance_id,
        second.stream,
        second.records,
        second.last_word,
    )
    assert {} == second.birth
    assert ["i-0b"] == [
        row.instance_id for row in await loaded.store.streams(frozenset(("i-0b", "i-0c")))
    ]


async def test_a_line_that_is_read_last_is_not_the_last_word_for_that(loaded: LoadedStore) -> None:
    """A file found late holds older lines; a line without a time has that of its reading."""
    await loaded.load(
        log_items([f"{at(8)} an error", "MemoryError"], read_at=at(9))
        + log_items([f"{at(6)} read late"], read_at=at(10), offset=5000)
    )
    (row,) = await loaded.store.streams()
    assert (at(9), "MemoryError") == (row.last_word_at, row.last_word)


async def test_a_closing_counts_until_the_next_birth(loaded: LoadedStore) -> None:
    """`closing` is the goodbye of the newest run only."""
    await loaded.load(vitals_item("birth", 0) + vitals_item("closing", 10))
    (row,) = await loaded.store.streams()
    assert at(10) == row.closing["@timestamp"]
    await loaded.load(vitals_item("birth", 20, run=2))
    (row,) = await loaded.store.streams()
    assert (2, {}) == (row.birth["afterimage.run"], row.closing)
    await loaded.load(vitals_item("closing", 30))
    (row,) = await loaded.store.streams()
    assert at(30) == row.closing["@timestamp"]
    assert ("", "", 0) == (row.last_word_at, row.last_word, row.records)


async def test_lifecycle_documents_are_created_once(loaded: LoadedStore) -> None:
    """A second put of the same id changes nothing and counts nothing; it is found at once."""
    fields = {
        "@timestamp": at(1),
        "event.action": "snapshot",
        "cloud.instance.id": "i-0a",
        "message": "first",
    }
    assert 1 == await loaded.store.put_lifecycle([("case-1", fields)])
    later = dict(fields, message="second")
    assert 1 == await loaded.store.put_lifecycle([("case-1", later), ("case-2", later)])
    assert 0 == await loaded.store.put_lifecycle([])
    page = await loaded.store.page(Query(families=families("lifecycle")))
    assert ["first", "second"] == messages(page.documents)
    assert ["lifecycle", "lifecycle"] == [document.family for document in page.documents]
    assert [] == list(await loaded.store.streams()), "a lifecycle document is no stream"


async def test_nested_documents_of_other_shippers_read_flat(loaded: LoadedStore) -> None:
    """Nested objects become dotted names and times of any form the 30-character text."""
    await loaded.load(
        foreign_item(
            "f-1",
            {
                "@timestamp": "2026-01-03T13:00:01.5+01:00",
                "message": "nested",
                "cloud": {"instance": {"id": "i-0f"}},
                "log.level": "error",
            },
        )
        + foreign_item(
            "f-2",
            {
                "@timestamp": parse_time(at(2)) // 1_000_000,
                "message": "millis",
                "cloud": {"instance.id": "i-0f"},
            },
        )
    )
    page = await loaded.store.page(Query(instance_ids=frozenset(("i-0f",))))
    assert ["nested", "millis"] == messages(page.documents)
    assert ["2026-01-03T12:00:01.500000000Z", at(2)] == [d.timestamp for d in page.documents]
    assert ["i-0f", "i-0f"] == [d.instance_id for d in page.documents]
    assert "error" == page.documents[0].level
    assert 1 == await loaded.store.count(Query(levels=frozenset(("error",))))


async def test_closing_twice_is_harmless(loaded: LoadedStore) -> None:
    """A store gives its sockets and files back once, however often it is told."""
    await loaded.store.close()
    await loaded.store.close()
