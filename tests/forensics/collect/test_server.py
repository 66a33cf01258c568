"""The collector over HTTP, in this process: what shippers see, and what hostile ones can't do."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from forensics.collect.body import Limits
from forensics.collect.server import open_collector, parse_listen
from forensics.errors import RefusedError, UnreachableError, UsageError
from forensics.store.protocol import Query
from tests.forensics.collect.conftest import Collector


def item(document_id: str, message: str = "x") -> bytes:
    """A create of one small document."""
    action = {"create": {"_index": "afterimage-logs-2026.01.03", "_id": document_id}}
    document = {"@timestamp": "2026-01-03T12:00:00Z", "message": message}
    return f"{json.dumps(action)}\n{json.dumps(document)}\n".encode()


async def test_the_greeting_says_that_it_is_a_collector(collector: Collector) -> None:
    """Shippers and readers tell by `version.distribution`."""
    status, text = await collector.get("/")
    assert 200 == status
    assert "afterimage-collector" == json.loads(text)["version"]["distribution"]
    async with collector.session.head(f"{collector.url}/") as response:
        assert 200 == response.status


async def test_health_counts_what_is_stored(collector: Collector) -> None:
    """`/_health` gives figures, the two paths of OpenSearch a colour."""
    await collector.post(item("1") + item("2"))
    health = await collector.health()
    assert ("green", 2, 0) == (health["status"], health["documents"], health["waiting_requests"])
    assert "green" == json.loads((await collector.get("/_cluster/health"))[1])["status"]
    assert "green" in (await collector.get("/_cat/health"))[1]


async def test_an_unknown_path_is_json_and_no_leak(collector: Collector) -> None:
    """404 and 405 come in OpenSearch's shape."""
    for path, expected in (("/secret", 404), ("/_bulk", 405), ("/i/_search", 404)):
        status, text = await collector.get(path)
        assert expected == status
        assert expected == json.loads(text)["status"]


async def test_gzip_put_and_the_index_of_the_path_are_taken(collector: Collector) -> None:
    """`PUT /{index}/_bulk` with a gzip body of two members."""
    lines = b'{"create":{"_id":"1"}}\n{"message":"x"}\n', b'{"create":{"_id":"2"}}\n{}\n'
    async with collector.session.put(
        f"{collector.url}/logs-2026/_bulk",
        data=b"".join(map(gzip.compress, lines)),
        headers={"Content-Encoding": "gzip"},
    ) as response:
        answer = await response.json()
    assert [("logs-2026", 201), ("logs-2026", 201)] == [
        (result["create"]["_index"], result["create"]["status"]) for result in answer["items"]
    ]


async def test_filter_path_cuts_the_answer(collector: Collector) -> None:
    """A good answer to our own shipper is a few bytes."""
    _, answer = await collector.post(item("1"), "/_bulk?filter_path=errors,items.*.error")
    assert {"errors": False} == answer


async def test_index_never_overwrites(collector: Collector) -> None:
    """`index` with an id that exists gets 409; the stored document stays."""
    await collector.post(item("1", "first"))
    _, answer = await collector.post(item("1", "second").replace(b'"create"', b'"index"'))
    assert 409 == answer["items"][0]["index"]["status"]
    (document,) = (await collector.store.page(Query())).documents
    assert "first" == document.message


async def test_an_id_twice_in_one_request_is_stored_once(collector: Collector) -> None:
    """The first one wins, the second gets its 409; another index is another name."""
    other = item("1").replace(b"01.03", b"01.04")
    _, answer = await collector.post(item("1") + item("1") + other)
    assert [201, 409, 201] == [result["create"]["status"] for result in answer["items"]]


async def test_a_refused_request_stores_nothing(collector: Collector) -> None:
    """A malformed action line at the end: 400, and nothing of what stood before it."""
    status, answer = await collector.post(item("1") + b"rubbish\n")
    assert (400, "illegal_argument_exception") == (status, answer["error"]["type"])
    assert 0 == await collector.store.count(Query())


async def test_hostile_items_fall_alone(collector: Collector) -> None:
    """Invalid UTF-8 and a 2,000-deep document get 400; controls and 1 MB pass unchanged."""
    deep = item("deep").replace(b'"x"', b'{"a":' * 2000 + b"1" + b"}" * 2000)
    long = "é\x00\x1b[31m" * 140_000
    body = item("utf8").replace(b'"x"', b'"\xff\xfe"') + deep + item("long", long) + item("last")
    status, answer = await collector.post(body)
    assert 200 == status
    assert [400, 400, 201, 201] == [result["create"]["status"] for result in answer["items"]]
    assert "invalid UTF-8" in answer["items"][0]["create"]["error"]["reason"]
    assert "nested" in answer["items"][1]["create"]["error"]["reason"]
    documents = {
        document.id: document for document in (await collector.store.page(Query())).documents
    }
    assert long == documents["long"].message


async def test_lone_surrogates_are_kept_and_do_not_stop_the_request(collector: Collector) -> None:
    r"""`\ud800` is JSON that UTF-8 can't carry: it is stored as sent."""
    body = (
        b'{"create":{"_index":"logs","_id":"s"}}\n'
        b'{"message":"a \\ud800 b","log.file.path":"/\\udcff","cloud.instance.id":"\\udfff"}\n'
    )
    _, answer = await collector.post(body)
    assert 201 == answer["items"][0]["create"]["status"]
    (document,) = (await collector.store.page(Query(match="b a"))).documents
    assert ("a \ud800 b", "/\udcff") == (document.message, document.path)


@pytest.mark.slow
async def test_a_body_beyond_the_limit_is_413_compressed_or_not(collector: Collector) -> None:
    """A gzip bomb ends at the limit, not in memory."""
    large = item("1", "y" * (5 << 20))
    status, answer = await collector.post(large)
    assert (413, "content_too_long_exception") == (status, answer["error"]["type"])
    bomb = zlib.compressobj(wbits=31)
    packed = bomb.compress(b"\0" * (200 << 20)) + bomb.flush()
    assert len(packed) < 400_000
    status, _ = await collector.post(packed, headers={"Content-Encoding": "gzip"})
    assert 413 == status
    assert 0 == (await collector.health())["waiting_bytes"]


async def test_a_body_of_another_or_broken_encoding_is_refused(collector: Collector) -> None:
    """415 for what we can't read, 400 for gzip that is none or ends in the middle."""
    status, _ = await collector.post(item("1"), headers={"Content-Encoding": "br"})
    assert 415 == status
    for broken in (b"no gzip", gzip.compress(item("1"))[:-5]):
        status, answer = await collector.post(broken, headers={"Content-Encoding": "gzip"})
        assert (400, "parse_exception") == (status, answer["error"]["type"])
    assert 0 == await collector.store.count(Query())


@pytest.mark.slow
async def test_a_slow_client_is_ended_and_others_are_served(collector: Collector) -> None:
    """A body that stops gets 408 after the idle limit; meanwhile another request is answered."""
    host, _, port = collector.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /_bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + item("half"))
    await writer.drain()
    status, _ = await collector.post(item("other"))
    assert 200 == status
    async with asyncio.timeout(20):
        assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert 1 == await collector.store.count(Query())


async def test_half_a_request_stores_nothing(collector: Collector) -> None:
    """The client goes away in the middle of its body: nothing of it is kept, and we live."""
    host, _, port = collector.url.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /_bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n" + item("half"))
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await collector.wait_health(lambda health: health["waiting_bytes"] == 0)
    assert 0 == await collector.store.count(Query())


async def test_too_much_in_flight_is_429(tmp_path: Path) -> None:
    """Bodies that wait are bounded together; a shipper is told to come again."""
    limits = Limits(body_bytes=1 << 20, in_flight_bytes=1000, disk_floor_bytes=0)
    async with open_collector("127.0.0.1:0", tmp_path / "s", limits=limits) as url:
        status, answer = await _post(url, item("1", "x" * 2000))
        assert (429, "rejected_execution_exception") == (status, answer["error"]["type"])
        assert 200 == (await _post(url, item("1", "x")))[0]


async def test_below_the_disk_floor_nothing_is_stored(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """503 with a type that shippers retry on; stderr says why once, not for each request."""
    limits = Limits(disk_floor_bytes=1 << 60)
    async with open_collector("127.0.0.1:0", tmp_path / "s", limits=limits) as url:
        for _ in range(5):
            status, answer = await _post(url, item("1"))
            assert (503, "cluster_block_exception") == (status, answer["error"]["type"])
            assert "floor" in answer["error"]["reason"]
    assert 1 == capfd.readouterr().err.count("the disk is nearly full")


async def test_a_locked_store_is_503_and_then_goes_on(collector: Collector) -> None:
    """Another writer's transaction delays a request; what it can't delay for ever is refused."""
    blocker = sqlite3.connect(collector.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(collector.post(item("1")))
    await collector.wait_health(lambda health: health["waiting_requests"] == 1)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert 200 == (await waiting)[0]


async def test_trouble_of_any_kind_is_answered(tmp_path: Path) -> None:
    """The folder vanishes under a running collector: an error at once, and no request hangs."""
    folder = tmp_path / "folder"
    async with open_collector("127.0.0.1:0", folder / "s") as url:
        assert 200 == (await _post(url, item("1")))[0]
        shutil.rmtree(folder)
        for number in range(3):
            assert 500 <= (await _post(url, item(f"later-{number}")))[0]


async def test_requests_at_once_all_get_their_own_answer(collector: Collector) -> None:
    """Group commit: fifty concurrent requests, some of them malformed, none mixed up."""

    async def send(number: int) -> tuple[int, list[str]]:
        broken = b"rubbish\n" if number % 10 == 3 else b""
        status, answer = await collector.post(item(f"a{number}") + item(f"b{number}") + broken)
        return status, [result["create"]["_id"] for result in answer.get("items", [])]

    answers = await asyncio.gather(*map(send, range(50)))
    for number, (status, ids) in enumerate(answers):
        expected = (400, []) if number % 10 == 3 else (200, [f"a{number}", f"b{number}"])
        assert expected == (status, ids)
    assert 90 == await collector.store.count(Query())


async def test_a_second_collector_on_the_file_is_refused(collector: Collector) -> None:
    """One file has one collector; the second says who has it."""
    with pytest.raises(RefusedError, match="another collector"):
        async with open_collector("127.0.0.1:0", collector.path):
            pass


async def test_a_taken_port_is_a_clear_error(collector: Collector, tmp_path: Path) -> None:
    """The error names the address, and the file is given back."""
    listen = collector.url.removeprefix("http://")
    other = tmp_path / "other"
    with pytest.raises(UnreachableError, match="can't listen"):
        async with open_collector(listen, other):
            pass
    async with open_collector("127.0.0.1:0", other):
        pass


async def test_listening_beyond_loopback_warns(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """There is no authentication, and the operator is told."""
    async with open_collector("0.0.0.0:0", tmp_path / "s"):
        pass
    assert "no authentication" in capfd.readouterr().err


@pytest.mark.parametrize("listen", ["", "9200", "localhost", ":9200", "host:99999", "host:-1"])
def test_a_wrong_address_is_a_usage_error(listen: str) -> None:
    """HOST:PORT and nothing else."""
    with pytest.raises(UsageError):
        parse_listen(listen)


def test_an_ipv6_address_stands_in_brackets() -> None:
    """`[::1]:0` is host `::1`."""
    assert ("::1", 0) == parse_listen("[::1]:0")


async def _post(url: str, body: bytes) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/_bulk", data=body) as answer,
    ):
        return answer.status, await answer.json()
