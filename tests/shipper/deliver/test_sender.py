"""shipper.deliver: batches against a real server that fails in every way it can."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shipper.clock import SystemClock
from shipper.config import OutputConfig
from shipper.deliver.gate import Gate
from shipper.deliver.http import HttpTransport
from shipper.deliver.pacing import BODY_BYTES, Limits
from shipper.deliver.sender import Acknowledged, Answered, Refused
from shipper.wire.builder import Built, split_items
from shipper.wire.record import stored_bytes
from shipper.wire.state import DeadLetter
from tests.faults.bulk_server import BulkServer, Faults, wait_until
from tests.shipper.deliver.deliveries import OpenSenders, make_part

LINES = b"".join(b"2026-01-03T11:59:00Z INFO line %d\n" % number for number in range(500))


def stored(server: BulkServer) -> bytes:
    """All stored records, by offset."""
    records = sorted((fields["log.offset"], id_, fields) for _, id_, fields in server.oracle.logs())
    return b"".join(stored_bytes(id_, fields) for _, id_, fields in records)


def test_a_batch_is_acknowledged_when_all_is_stored(open_senders: OpenSenders) -> None:
    """One request, plain on a loopback address, its answer cut down to what is looked at."""
    with BulkServer() as server:
        sent = open_senders(server.url)
        parts = [make_part(LINES), make_part(b"other\n", source=1)]
        sent.senders.submit(parts)
        (done,) = sent.wait()
        assert (parts, [0, 0]) == (list(done.parts), list(done.dead_bytes))
        assert 501 == len(server.oracle.documents)
        assert 1 == server.oracle.requests
        assert "Content-Encoding" not in server.seen_headers[0]
        assert "application/x-ndjson" == server.seen_headers[0]["Content-Type"]
        fields = "errors,took,items.*.status,items.*.error.type,items.*.error.reason"
        assert [f"/_bulk?filter_path={quote(fields, safe='')}"] == server.paths


@pytest.mark.parametrize(
    "faults",
    [
        Faults(too_many=0.5),
        Faults(unavailable=0.5),
        Faults(reset_before=0.5),
        pytest.param(Faults(reset_after=0.5), marks=pytest.mark.slow, id="reset_after"),
        pytest.param(Faults(garbage=0.5), marks=pytest.mark.slow, id="garbage"),
        pytest.param(Faults(short=0.5), marks=pytest.mark.slow, id="short"),
        pytest.param(Faults(item_too_many=0.3), marks=pytest.mark.slow, id="item_too_many"),
    ],
    ids=lambda faults: next(name for name, share in vars(faults).items() if share),
)
def test_every_failure_ends_with_all_stored_once(open_senders: OpenSenders, faults: Faults) -> None:
    """Whether the request got through, half through, or only its answer was lost."""
    with BulkServer(faults=faults, seed=3) as server:
        sent = open_senders(server.url)
        sent.senders.hurry()  # waits of a second at most
        for number in range(2):
            sent.senders.submit([make_part(LINES, source=number)])
        sent.wait(2)
        assert 1000 == len(server.oracle.documents)
        assert [] == server.oracle.altered
        assert [] == sent.letters
        assert any(sent.errors)


@pytest.mark.slow
def test_nothing_is_acknowledged_before_the_answer(open_senders: OpenSenders) -> None:
    """Stored, but the centre never said so: it is asked again."""
    with BulkServer(faults=Faults(garbage=1.0)) as server:
        sent = open_senders(server.url)
        sent.senders.submit([make_part(b"one\n")])
        wait_until(lambda: server.oracle.requests >= 3)
        assert 1 == len(server.oracle.documents)
        results = [sent.results.get(timeout=5) for _ in range(2)]
        assert not any(isinstance(result, Acknowledged) for result in results)


def test_only_failed_items_are_sent_again(open_senders: OpenSenders) -> None:
    """The others were stored: not one byte of them travels twice."""
    refused = {"status": 429, "error": {"type": "rejected_execution_exception", "reason": "full"}}
    seen: list[str] = []

    def judge(_index: str, document: dict[str, Any]) -> dict[str, Any] | None:
        seen.append(document["message"])
        return refused if document["message"] == "b" and seen.count("b") == 1 else None

    with BulkServer(judge=judge) as server:
        sent = open_senders(server.url)
        sent.senders.submit([make_part(b"a\nb\nc\n")])
        sent.wait()
        assert ["a", "b", "c", "b"] == seen
        assert b"a\nb\nc\n" == stored(server)


def refuse_message(word: str) -> Callable[[str, dict[str, Any]], dict[str, Any] | None]:
    """A mapping that can't take a document whose message has the word."""

    def judge(_index: str, document: dict[str, Any]) -> dict[str, Any] | None:
        if word not in str(document.get("message", "")):
            return None
        error = {"type": "mapper_parsing_exception", "reason": "failed to parse"}
        return {"status": 400, "error": error}

    return judge


def test_a_refused_record_is_stored_in_its_plain_form(open_senders: OpenSenders) -> None:
    """Its bytes are there, under the same id, and no dead letter is needed."""
    with BulkServer(judge=refuse_message("poison")) as server:
        sent = open_senders(server.url)
        sent.senders.submit([make_part(b"a\npoison\nc\n")])
        (done,) = sent.wait()
        assert b"a\npoison\nc\n" == stored(server)
        assert ([], [0]) == (sent.letters, list(done.dead_bytes))
        assert [""] * len(sent.errors) == sent.errors  # nothing is tried until it works
        (refused,) = sent.refused
        reason = "400 mapper_parsing_exception: failed to parse"
        assert Refused(records=1, reason=reason, is_dead=False) == refused


def refuse_offset(offset: int) -> Callable[[str, dict[str, Any]], dict[str, Any] | None]:
    """A centre that refuses one record in any form."""

    def judge(_index: str, document: dict[str, Any]) -> dict[str, Any] | None:
        if document["log.offset"] != offset:
            return None
        error = {"type": "strict_dynamic_mapping_exception", "reason": "not allowed"}
        return {"status": 400, "error": error}

    return judge


def test_a_record_that_is_refused_in_every_form_is_a_dead_letter(open_senders: OpenSenders) -> None:
    """With the reason and the item as it was first sent; the rest goes on."""
    with BulkServer(judge=refuse_offset(2)) as server:
        sent = open_senders(server.url)
        part = make_part(b"a\npoison\nc\n")
        sent.senders.submit([part])
        (done,) = sent.wait()
        assert b"a\nc\n" == stored(server)
        assert [7] == list(done.dead_bytes)
        (letter,) = sent.letters
        assert split_items(part.build().body)[1] == letter.item
        assert "400 strict_dynamic_mapping_exception: not allowed" == letter.reason
        assert "afterimage-logs-2026.01.03" == letter.index
        assert [False, True] == [refused.is_dead for refused in sent.refused]


def test_nothing_is_acknowledged_before_its_dead_letter_is_durable(
    open_senders: OpenSenders,
) -> None:
    """A full disk: the record is tried again for ever instead."""
    failures: list[Sequence[DeadLetter]] = []

    def bury(letters: Sequence[DeadLetter]) -> None:
        failures.append(letters)
        if len(failures) < 3:
            raise OSError(28, "No space left on device")

    with BulkServer(judge=refuse_offset(0)) as server:
        sent = open_senders(server.url, bury=bury)
        sent.senders.submit([make_part(b"poison\n")])
        (done,) = sent.wait()
        assert 3 == len(failures)
        assert [7] == list(done.dead_bytes)
        assert any("a dead letter can't be written" in error for error in sent.errors)


@pytest.mark.slow
def test_a_body_that_is_too_large_is_split(open_senders: OpenSenders) -> None:
    """Halves of halves, until they fit."""
    with BulkServer(body_limit_bytes=20_000) as server:
        sent = open_senders(server.url)
        sent.senders.submit([make_part(LINES)])
        sent.wait()
        assert LINES == stored(server)


def test_one_record_that_is_too_large_is_a_dead_letter(open_senders: OpenSenders) -> None:
    """Those around it are stored."""
    data = b"a\n" + b"x" * 50_000 + b"\nc\n"
    with BulkServer(body_limit_bytes=20_000) as server:
        sent = open_senders(server.url)
        sent.senders.submit([make_part(data)])
        (done,) = sent.wait()
        assert b"a\nc\n" == stored(server)
        assert [50_001] == list(done.dead_bytes)
        assert [1] == [len(sent.letters)]


@pytest.mark.slow
def test_a_conflict_after_a_lost_answer_is_asked_for_once_more(open_senders: OpenSenders) -> None:
    """The first try may be under way and yet fail: the second conflict is believed."""
    with BulkServer() as server:
        server.scripted.append((503, b"gateway", {}))
        server.store(make_part(b"one\n").build().body)
        sent = open_senders(server.url)
        sent.senders.submit([make_part(b"one\n")])
        sent.wait()
        assert 3 == len(server.paths)


def test_another_url_is_tried_when_one_does_not_answer(open_senders: OpenSenders) -> None:
    """The first one refuses connections."""
    with BulkServer() as gone:
        dead_url = gone.url
    with BulkServer() as server:
        sent = open_senders(dead_url, server.url)
        sent.senders.submit([make_part(b"one\n")])
        sent.wait()
        assert b"one\n" == stored(server)


def test_a_connection_that_the_centre_closed_while_idle_costs_no_wait(
    open_senders: OpenSenders,
) -> None:
    """A restarted centre on the same port: the next batch goes through at once."""
    with BulkServer() as server:
        port = int(server.url.rpartition(":")[2])
        sent = open_senders(server.url)
        sent.senders.submit([make_part(b"one\n")])
        sent.wait(1)
    with BulkServer(port=port):
        sent.senders.submit([make_part(b"two\n")])
        sent.wait(2)


@pytest.mark.slow
def test_retry_after_is_honoured(open_senders: OpenSenders) -> None:
    """The centre knows best when to come back."""
    with BulkServer() as server:
        server.scripted.append((429, b"", {"Retry-After": "1"}))
        sent = open_senders(server.url)
        began = time.monotonic()
        sent.senders.submit([make_part(b"one\n")])
        sent.wait()
        assert time.monotonic() - began >= 1.0


def test_hurry_ends_a_long_wait(open_senders: OpenSenders) -> None:
    """SIGTERM during a back-off of half a minute."""
    with BulkServer() as server:
        server.scripted.append((429, b"", {"Retry-After": "30"}))
        sent = open_senders(server.url)
        sent.senders.submit([make_part(b"one\n")])
        wait_until(lambda: len(server.paths) == 1)
        first = sent.results.get(timeout=5)
        assert isinstance(first, Answered)
        began = time.monotonic()
        while len(server.paths) == 1:  # the wait may not have begun with the first of them
            sent.senders.hurry()
            assert time.monotonic() - began < 10
        sent.wait()
        assert time.monotonic() - began < 10


def test_secrets_are_read_again_when_they_change(tmp_path: Path) -> None:
    """A rotated password needs no restart."""
    user, password = tmp_path / "user", tmp_path / "password"
    user.write_text("shipper\n")
    password.write_text("old\n")
    with BulkServer() as server:
        transport = HttpTransport(
            OutputConfig(
                urls=(server.url + "/prefix/",), username_file=user, password_file=password
            )
        )
        body = b'{"create":{"_index":"afterimage-logs-x","_id":"1"}}\n{"message":"m"}\n'
        for secret in ("old", "newer"):
            password.write_text(secret)
            transport.send([body])
        transport.close()
        assert ["Basic c2hpcHBlcjpvbGQ=", "Basic c2hpcHBlcjpuZXdlcg=="] == [
            headers["Authorization"] for headers in server.seen_headers
        ]
        assert server.paths[0].startswith("/prefix/_bulk?")


def test_an_answer_that_comes_before_the_body_was_taken_is_heard() -> None:
    """A proxy refuses a large body with 413 and hangs up: that is an answer, not a lost line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):  # a proxy lingers, so that its answer is read
                    if time.monotonic() > deadline:
                        break

        deadline = time.monotonic() + 0.2
        thread = threading.Thread(target=refuse)
        thread.start()
        transport = HttpTransport(
            OutputConfig(urls=(f"http://127.0.0.1:{listener.getsockname()[1]}",)),
            answer_timeout_seconds=5,
        )
        reply = transport.send([random.randbytes(32 << 20)])
        transport.close()
        thread.join(10)
        assert 413 == reply.status


@pytest.mark.slow
def test_a_blocked_vitals_index_holds_up_no_log(open_senders: OpenSenders) -> None:
    """Nor the reverse: they share a gate, and what concerns one index concerns its batch alone."""
    blocked = {"status": 403, "error": {"type": "cluster_block_exception", "reason": "read-only"}}

    def judge(index: str, _document: dict[str, Any]) -> dict[str, Any] | None:
        return blocked if "vitals" in index else None

    with BulkServer(judge=judge) as server:
        gate = Gate(SystemClock(), Limits(most_concurrency=1))
        vitals = open_senders(server.url, gate=gate, is_extra=True)
        logs = open_senders(server.url, gate=gate)
        vitals.senders.submit([VitalPart()])
        wait_until(lambda: server.oracle.requests >= 2)
        for number in range(20):
            logs.senders.submit([make_part(b"one\n", start=4 * number)])
        logs.wait(20, timeout_seconds=5)
        assert [] == vitals.acknowledged
        assert not gate.is_away


class VitalPart:
    """A document of the vitals index."""

    def build(self) -> Built:
        """One item."""
        action = b'{"create":{"_index":"afterimage-vitals-2026.01","_id":"v"}}'
        return Built(action + b'\n{"event.action":"heartbeat"}\n', 1)

    def build_plain(self, item: int) -> None:
        """There is none."""

    def raw_bytes(self, item: int) -> int:
        """None."""
        return 0


@pytest.mark.slow
def test_a_hanging_request_for_vitals_holds_up_no_log(open_senders: OpenSenders) -> None:
    """A shard that is not there: the node itself waits for it for a minute."""
    is_hanging = threading.Event()
    is_over = threading.Event()

    def judge(index: str, _document: dict[str, Any]) -> None:
        if "vitals" in index:
            is_hanging.set()
            is_over.wait(10)

    with BulkServer(judge=judge) as server:
        gate = Gate(SystemClock(), Limits(most_concurrency=1))
        vitals = open_senders(server.url, gate=gate, is_extra=True, answer_timeout_seconds=20)
        logs = open_senders(server.url, gate=gate)
        vitals.senders.submit([VitalPart()])
        assert is_hanging.wait(10)
        for number in range(20):
            logs.senders.submit([make_part(b"one\n", start=4 * number)])
        logs.wait(20, timeout_seconds=5)
        is_over.set()
        vitals.wait()


@pytest.mark.slow
def test_a_centre_that_has_too_much_to_do_gets_less(open_senders: OpenSenders) -> None:
    """Each 429 halves what it gets; all is stored nevertheless."""
    with BulkServer() as server:
        server.scripted += [(429, b"", {})] * 3
        limits = Limits(most_concurrency=4)
        gate = Gate(SystemClock(), limits)
        gate.hurry()
        sent = open_senders(server.url, gate=gate)
        sent.senders.submit([make_part(LINES)])
        sent.wait()
        assert 3 == sum(error.startswith("429") for error in sent.errors)
        assert limits.concurrency <= 2
        assert limits.body_bytes < BODY_BYTES
        assert limits.latency_seconds > 0.03
