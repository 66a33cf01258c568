"""Against a real node: every state of an index that is not the record's fault is waited out."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shipper.config import OutputConfig
from shipper.deliver.http import HttpTransport
from shipper.deliver.outcome import Outcome, parse_outcome
from tests.shipper.deliver.deliveries import OpenSenders, make_part

pytestmark = [pytest.mark.opensearch, pytest.mark.slow]

INDEX = "afterimage-logs-2026.01.03"


def call(url: str, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Ask the node."""
    request = urllib.request.Request(  # noqa: S310 - the node that the tests started
        f"{url}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found


def send(url: str, data: bytes = b"one\n", day: str = "2026.01.03") -> Outcome:
    """One request of some lines."""
    transport = HttpTransport(OutputConfig(urls=(url,)))
    built = make_part(data, day=day).build()
    reply = transport.send([built.body])
    transport.close()
    return parse_outcome(reply.status, reply.body, built.item_count)


@contextmanager
def persistent(url: str, name: str, value: object) -> Iterator[None]:
    """A setting of the cluster, for a while."""
    call(url, "PUT", "/_cluster/settings", {"persistent": {name: value}})
    try:
        yield
    finally:
        call(url, "PUT", "/_cluster/settings", {"persistent": {name: None}})


def set_index(url: str, name: str, *, value: object) -> None:
    """A setting of the index."""
    call(url, "PUT", f"/{INDEX}/_settings", {name: value})


@pytest.mark.parametrize("block", ["write", "read_only", "read_only_allow_delete"])
def test_a_blocked_index_is_waited_for(opensearch_store_url: str, block: str) -> None:
    """By an administrator, or by the flood-stage watermark."""
    url = opensearch_store_url
    assert [0] == list(send(url).done)
    set_index(url, f"index.blocks.{block}", value=True)
    try:
        outcome = send(url, b"another\n")
        assert ([0], {}) == (list(outcome.retry), outcome.rejected)
        assert "cluster_block_exception" in outcome.error
    finally:
        set_index(url, f"index.blocks.{block}", value=None)
    assert [0] == list(send(url, b"another\n").done)


def test_a_closed_index_is_waited_for(opensearch_store_url: str) -> None:
    """`index_closed_exception` is a 400, and yet not the record's fault."""
    url = opensearch_store_url
    send(url)
    call(url, "POST", f"/{INDEX}/_close")
    outcome = send(url, b"another\n")
    assert ([0], {}) == (list(outcome.retry), outcome.rejected)
    call(url, "POST", f"/{INDEX}/_open")


def test_a_shard_limit_is_waited_for(opensearch_store_url: str) -> None:
    """A 400 of `validation_exception`: others lose records by it."""
    url = opensearch_store_url
    with persistent(url, "cluster.max_shards_per_node", 1):
        call(url, "PUT", "/fills-the-node", {"settings": {"number_of_replicas": 0}})
        outcome = send(url, day="2026.01.04")
        assert ([0], {}) == (list(outcome.retry), outcome.rejected)
        assert "400 validation_exception" in outcome.error
    assert [0] == list(send(url, day="2026.01.04").done)


def test_an_index_that_may_not_be_made_is_waited_for(opensearch_store_url: str) -> None:
    """Strict centres make the days' indices themselves."""
    url = opensearch_store_url
    with persistent(url, "action.auto_create_index", "false"):
        outcome = send(url, day="2026.01.05")
        assert ([0], {}) == (list(outcome.retry), outcome.rejected)
        assert "404 index_not_found_exception" in outcome.error


def test_a_body_without_items_is_answered(opensearch_store_url: str) -> None:
    """What a redrive asks whether the centre is well, before it blames a letter."""
    transport = HttpTransport(OutputConfig(urls=(opensearch_store_url,)))
    assert 400 == transport.send([b"\n"]).status
    transport.close()


def test_senders_ship_to_a_real_node(opensearch_store_url: str, open_senders: OpenSenders) -> None:
    """Plain bodies, escaped query, the id of the request said back; and each record once."""
    url = opensearch_store_url
    sent = open_senders(url, answer_timeout_seconds=60)
    lines = b"".join(b"2026-01-03T11:59:00Z INFO line %d\n" % number for number in range(3000))
    for _ in range(2):
        sent.senders.submit([make_part(lines)])
    sent.wait(2, timeout_seconds=60)
    assert [[], list(range(3000))] == sorted(
        (list(one.taken) for one in sent.acknowledged), key=len
    )
    call(url, "POST", f"/{INDEX}/_refresh")
    assert 3000 == call(url, "GET", f"/{INDEX}/_count")["count"]
