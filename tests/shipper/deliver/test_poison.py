"""A record that kills its connection gets its end; a centre that is away buries none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shipper.clock import SystemClock
from shipper.deliver.burial import PLAIN_LOSSES, BurialGuard, is_poisonous, make_plain_item
from shipper.deliver.gate import Gate, Tally
from shipper.deliver.pacing import Limits
from shipper.wire.builder import split_items
from shipper.wire.record import stored_bytes
from tests.faults.bulk_server import BulkServer, Faults, wait_until
from tests.shipper.deliver.deliveries import OpenSenders, Sent, make_part


class NodeDiedError(Exception):
    """Ends the connection without an answer; what came before in the body may be stored."""


Kills = Callable[[dict[str, Any]], bool]
LINES = [b"2026-01-03T11:59:00Z INFO line %d\n" % number for number in range(100)]


def killing(kills: Kills) -> BulkServer:
    """A server that dies of some documents."""

    def judge(_index: str, document: dict[str, Any]) -> None:
        if kills(document):
            raise NodeDiedError

    return BulkServer(judge=judge)


@contextmanager
def heartbeats(sent: Sent) -> Iterator[None]:
    """Somebody else's requests on the same output, as a shipper's vitals are."""
    stopped = threading.Event()

    def beat() -> None:
        number = 0
        while not stopped.wait(0.02):
            number += 1
            sent.senders.submit([make_part(b"beat\n", source=9, start=5 * number)])

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(10)


@pytest.fixture
def gate() -> Gate:
    """The output's, in a hurry: waits of a second at most."""
    gate = Gate(SystemClock(), Limits(most_concurrency=1))
    gate.hurry()
    return gate


def stored(server: BulkServer) -> bytes:
    """All stored records of source 0, by offset."""
    records = sorted(
        (fields["log.offset"], id_, fields)
        for _, id_, fields in server.oracle.logs()
        if fields["afterimage.source"] == 0
    )
    return b"".join(stored_bytes(id_, fields) for _, id_, fields in records)


@pytest.mark.slow
def test_a_record_that_kills_its_connection_is_stored_in_its_plain_form(
    open_senders: OpenSenders, gate: Gate
) -> None:
    """It is found by dividing; all others are stored as they are, and no letter is needed."""
    lines = [*LINES]
    lines[37] = b"2026-01-03T11:59:00Z poison\n"
    with killing(lambda document: "poison" in document.get("message", "")) as server:
        sent = open_senders(server.url, gate=gate)
        with heartbeats(open_senders(server.url, gate=gate, is_extra=True)):
            sent.senders.submit([make_part(b"".join(lines))])
            (done,) = sent.wait(timeout_seconds=60)
        assert b"".join(lines) == stored(server)
        assert ([], [0]) == (sent.letters, list(done.dead_bytes))
        plain = [fields for _, _, fields in server.oracle.logs() if "message" not in fields]
        assert 1 == len(plain)


@pytest.mark.slow
def test_a_record_that_kills_in_every_form_is_a_dead_letter(
    open_senders: OpenSenders, gate: Gate
) -> None:
    """Two of them in a batch; every other record is stored meanwhile."""
    lines = [*LINES]
    poisonous = [len(b"".join(lines[:number])) for number in (11, 90)]
    kills: Kills = lambda document: (  # noqa: E731 - reads as what it is: a condition
        document["afterimage.source"] == 0 and document["log.offset"] in poisonous
    )
    with killing(kills) as server:
        sent = open_senders(server.url, gate=gate)
        with heartbeats(open_senders(server.url, gate=gate, is_extra=True)):
            sent.senders.submit([make_part(b"".join(lines))])
            (done,) = sent.wait(timeout_seconds=90)
        expected = b"".join(line for number, line in enumerate(lines) if number not in {11, 90})
        assert expected == stored(server)
        items = split_items(make_part(b"".join(lines)).build().body)
        assert [items[11], items[90]] == sorted((one.item for one in sent.letters), key=items.index)
        assert all("its connection was lost each time" in one.reason for one in sent.letters)
        assert [len(lines[11]) + len(lines[90])] == list(done.dead_bytes)


@pytest.mark.slow
def test_a_centre_that_is_away_buries_nothing(open_senders: OpenSenders, gate: Gate) -> None:
    """Each connection is cut, for everybody: nothing is divided, and all is stored in the end."""
    with BulkServer(faults=Faults(reset_before=1.0), fault_requests=12) as server:
        sent = open_senders(server.url, gate=gate)
        with heartbeats(open_senders(server.url, gate=gate, is_extra=True)):
            sent.senders.submit([make_part(b"one\n")])
            sent.wait(timeout_seconds=60)
        assert b"one\n" == stored(server)
        assert [] == sent.letters
        assert all("message" in fields for _, _, fields in server.oracle.logs())


@pytest.mark.slow
def test_a_bad_line_buries_nothing(open_senders: OpenSenders, gate: Gate) -> None:
    """Four of ten connections are cut by chance: lone lines come through, and in full."""
    with BulkServer(faults=Faults(reset_before=0.4), seed=11) as server:
        sent = open_senders(server.url, gate=gate)
        with heartbeats(open_senders(server.url, gate=gate, is_extra=True)):
            for number in range(8):
                sent.senders.submit([make_part(b"one\n", start=4 * number)])
            sent.wait(8, timeout_seconds=90)
        assert b"one\n" * 8 == stored(server)
        assert [] == sent.letters


@pytest.mark.parametrize(
    ("own", "stored_requests", "lost", "expected"),
    [
        (PLAIN_LOSSES - 1, 100, 0, False),  # too soon
        (PLAIN_LOSSES, 0, 0, False),  # nobody else was heard
        (PLAIN_LOSSES, 1, 0, False),
        (PLAIN_LOSSES, 2, 0, True),
        (PLAIN_LOSSES, 5, 3, False),  # everybody loses connections
        (PLAIN_LOSSES, 6, 3, True),
        (50, 100, 100, False),
    ],
)
def test_evidence_against_one_record(
    own: int, stored_requests: int, lost: int, *, expected: bool
) -> None:
    """Others must be stored, and far more often than they are lost."""
    since = Tally(stored=7, lost=4)
    now = Tally(stored=7 + stored_requests, lost=4 + lost + own)
    assert expected == is_poisonous(since, now, own_losses=own)


@pytest.mark.slow
def test_a_template_that_refuses_everything_empties_no_log(open_senders: OpenSenders) -> None:
    """Ten letters at most; then the records wait until the centre takes one of them."""
    is_broken = True

    def judge(_index: str, _document: dict[str, Any]) -> dict[str, Any] | None:
        error = {"type": "strict_dynamic_mapping_exception", "reason": "not allowed"}
        return {"status": 400, "error": error} if is_broken else None

    with BulkServer(judge=judge) as server:
        sent = open_senders(server.url)
        sent.senders.hurry()
        sent.senders.submit([make_part(b"".join(LINES))])
        wait_until(lambda: server.oracle.requests >= 4)
        assert [] == sent.letters
        is_broken = False
        sent.wait()
        assert b"".join(LINES) == stored(server)
        assert any("it is not the records' fault" in error for error in sent.errors)


def test_a_few_letters_are_given_up_and_a_stored_record_allows_more() -> None:
    """The guard counts letters in a row."""
    guard = BurialGuard()
    assert guard.may_bury(10)
    assert not guard.may_bury(1)
    guard.note_stored()
    assert guard.may_bury(1)
    assert not guard.may_bury(10)


def test_the_plain_form_of_an_item_has_its_id_and_its_bytes() -> None:
    """As the sender's own: a redrive has nothing but the item."""
    part = make_part(b'2026-01-03T11:59:00Z INFO "x" \xff\n')
    (item,) = split_items(part.build().body)
    plain = make_plain_item(item)
    own = part.build_plain(0)
    assert plain is not None
    assert own is not None
    with BulkServer() as server:
        server.store(plain)
        server.store(own)
        (document,) = server.oracle.documents.values()
        assert [] == server.oracle.altered
    assert plain.partition(b"\n")[0] == own.partition(b"\n")[0]
    assert {"message", "log.level"}.isdisjoint(document)


@pytest.mark.parametrize(
    "item",
    [
        b'{"create":{"_index":"afterimage-vitals-2026.01","_id":"x-v-1"}}\n{"@timestamp":"x"}\n',
        b"{}\n{}\n",
        b"\xff\n",
        b"[" * 50_000 + b"\n",
    ],
)
def test_what_is_no_record_has_no_plain_form(item: bytes) -> None:
    """Vitals, and bytes that are none of ours."""
    assert make_plain_item(item) is None
