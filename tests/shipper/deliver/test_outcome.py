"""shipper.deliver.outcome: an item is done only if the centre said so."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.deliver.outcome import (
    FILTER_PATH,
    REJECTED_TYPES,
    Outcome,
    parse_items,
    parse_outcome,
    says_all_done,
)


def answer(*items: tuple[int, str, str]) -> bytes:
    """A bulk answer of (status, error type, reason) items."""
    rendered: list[dict[str, Any]] = []
    for status, kind, reason in items:
        item: dict[str, Any] = {"status": status}
        if kind:
            item["error"] = {"type": kind, "reason": reason}
        rendered.append({"create": item})
    return json.dumps({"took": 1, "errors": True, "items": rendered}).encode()


def test_each_item_has_its_own_outcome() -> None:
    """Done, taken already, later, refused."""
    body = answer(
        (201, "", ""),
        (409, "version_conflict_engine_exception", "exists"),
        (429, "rejected_execution_exception", "full"),
        (400, "mapper_parsing_exception", "failed to parse"),
        (200, "", ""),
    )
    expected = Outcome(
        answered=True,
        done=[0, 4],
        conflicts=[1],
        retry=[2],
        rejected={3: "400 mapper_parsing_exception: failed to parse"},
        is_overload=True,
        error="429 rejected_execution_exception: full",
    )
    assert expected == parse_outcome(200, body, 5)


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (403, "cluster_block_exception", "index read-only / allow delete (api)"),
        (400, "validation_exception", "this cluster currently has [1000]/[1000] maximum shards"),
        (400, "resource_already_exists_exception", "index already exists"),
        (400, "illegal_argument_exception", "no write index is defined for alias [x]"),
        (400, "illegal_argument_exception", "number of documents in the index cannot exceed 2^31"),
        (404, "index_not_found_exception", "no such index"),
        (401, "security_exception", "who are you"),
        (403, "security_exception", "no permissions"),
        (503, "unavailable_shards_exception", "primary shard is not active"),
        (500, "mapper_parsing_exception", "a 500 blames nobody"),
        (400, "an_exception_of_next_year", "?"),
        (429, "", ""),
        (429, "circuit_breaking_exception", "[parent] Data too large"),
        (400, "index_closed_exception", "closed"),
        (403, "index_create_block_exception", "blocked by: [FORBIDDEN/10/cluster create-index]"),
        (429, "cluster_block_exception", "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage]"),
        (400, "invalid_index_name_exception", "must be lowercase"),
        (400, "illegal_argument_exception", "pipeline with id [x] does not exist"),
        (400, "illegal_argument_exception", "Document ID is not supported in create/index"),
        (400, "illegal_argument_exception", "this action would add [2] total shards"),
        (400, "mapper_parsing_exception", "Failed to parse mapping [_doc]: analyzer [x] not found"),
        (401, "illegal_argument_exception", "a 401 blames nobody"),
    ],
)
def test_what_is_not_the_documents_fault_is_sent_again(status: int, kind: str, reason: str) -> None:
    """A 400 is not always the record's fault, and an unknown one least of all."""
    outcome = parse_outcome(200, answer((status, kind, reason)), 1)
    assert ([0], {}) == (outcome.retry, outcome.rejected)


@pytest.mark.parametrize("kind", sorted(REJECTED_TYPES))
def test_a_listed_type_with_a_400_blames_the_document(kind: str) -> None:
    """Only then is another form of it tried."""
    assert {0: f"400 {kind}: x"} == parse_outcome(200, answer((400, kind, "x")), 1).rejected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"null",
        b'{"items":null}',
        b'{"items":[{}]}',
        b'{"items":[{"create":{}}]}',
        b'{"items":[{"create":null}]}',
        b'{"items":[{"create":{"status":"x"}}]}',
        b'{"items":[{"create":{"status":"201"}}]}',
        b'{"items":[{"create":{"status":200.7}}]}',
        b'{"items":[{"create":{"status":201.0}}]}',
        b'{"items":[{"create":{"status":true}}]}',
        b'{"items":[{"create":[{"status":201}]}]}',
        b'{"items":[{"index":{"status":201}}]}',
        b'{"items":[{"update":{"status":200}}]}',
        b'{"items":["create"]}',
        b'{"errors":false,"items":[]}',
        b"[" * 100_000,
        answer((201, "", ""), (201, "", "")),
    ],
)
def test_a_200_without_one_status_for_each_item_is_no_answer(body: bytes) -> None:
    """A proxy's page, a cut answer, one item too many."""
    outcome = parse_outcome(200, body, 1)
    assert not outcome.answered
    assert outcome.error
    assert ([], []) == (list(outcome.done), list(outcome.conflicts))


@given(st.binary(max_size=80), st.integers(100, 599), st.integers(1, 3))
def test_no_bytes_make_an_item_done(body: bytes, status: int, count: int) -> None:
    """Whatever comes back: never done without a status of its own."""
    outcome = parse_outcome(status, body, count)
    assert not outcome.done


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (301, "redirects to https://other/: put that URL in urls"),
        (400, "is this URL an OpenSearch"),
        (401, "check username_file"),
        (403, "may not create documents"),
        (404, "check the path"),
        (503, "503: busy"),
    ],
)
def test_a_refused_request_says_what_to_do(status: int, words: str) -> None:
    """And is tried again: it may be mended."""
    outcome = parse_outcome(status, b"busy", 3, location="https://other/")
    assert not outcome.answered
    assert not outcome.too_large
    assert words in outcome.error


@pytest.mark.parametrize(
    ("status", "is_overload", "is_suspect"),
    [
        (429, True, False),
        (503, True, False),
        (504, False, False),
        (502, False, True),
        (500, False, True),
        (400, False, True),
        (401, False, False),
        (403, False, False),
        (404, False, False),
        (301, False, False),
    ],
)
def test_what_a_whole_requests_status_says(
    status: int, *, is_overload: bool, is_suspect: bool
) -> None:
    """Too much to do, or perhaps something in the body; credentials that rotate are neither."""
    outcome = parse_outcome(status, b"", 3)
    assert (is_overload, is_suspect) == (outcome.is_overload, outcome.is_suspect)
    assert not outcome.answered


def test_items_that_are_put_off_for_lack_of_room_are_an_overload() -> None:
    """The request was answered; and yet the next one should be smaller."""
    busy = answer((201, "", ""), (429, "rejected_execution_exception", "full"))
    blocked = answer((201, "", ""), (403, "cluster_block_exception", "read-only"))
    assert parse_outcome(200, busy, 2).is_overload
    assert not parse_outcome(200, blocked, 2).is_overload


def test_413_asks_for_less() -> None:
    """The only status that says so."""
    assert parse_outcome(413, b"", 3).too_large


def created(count: int, *, spaced: bool = False) -> bytes:
    """The answer of a centre that took everything."""
    items = [{"create": {"status": 201}}] * count
    separators = (", ", ": ") if spaced else (",", ":")
    answer = {"took": 30, "errors": False, "items": items}
    return json.dumps(answer, separators=separators).encode()


def as_lists(outcome: Outcome) -> Outcome:
    """The same, comparable."""
    return dataclasses.replace(
        outcome,
        done=list(outcome.done),
        conflicts=list(outcome.conflicts),
        retry=list(outcome.retry),
    )


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_an_answer_without_errors_takes_the_short_way(count: int, *, spaced: bool) -> None:
    """As OpenSearch spells it, and as Python does; never for another number of items."""
    body = created(count, spaced=spaced)
    assert says_all_done(body, count)
    assert not says_all_done(body, count + 1)
    assert not says_all_done(body, count - 1)
    assert list(range(count)) == list(parse_outcome(200, body, count).done)


def test_errors_false_is_not_believed_without_a_status_of_each_item() -> None:
    """What counts is each item, not the summary."""
    body = created(3).replace(
        b'201}},{"create":{"status":201}}', b'201}},{"create":{"status":429}}', 1
    )
    outcome = parse_outcome(200, body, 3)
    assert ([0, 2], [1]) == (list(outcome.done), list(outcome.retry))


@given(
    items=st.lists(st.sampled_from([200, 201, 201, 201, 409, 429, 400]), max_size=6),
    surplus=st.sampled_from([0, 0, 0, 1, -1]),
    spaced=st.booleans(),
    errors=st.booleans(),
    edits=st.lists(
        st.tuples(st.integers(0, 300), st.sampled_from([b"", b" ", b"0", b"2", b",", b"{", b'"'])),
        max_size=2,
    ),
)
def test_the_short_way_never_says_other_than_the_careful_one(
    items: list[int],
    surplus: int,
    edits: list[tuple[int, bytes]],
    *,
    spaced: bool,
    errors: bool,
) -> None:
    """Any statuses, too many items or too few, and bytes that are altered on the way."""
    answer = {
        "took": 7,
        "errors": errors,
        "items": [{"create": {"status": status}} for status in items],
    }
    body = json.dumps(answer, separators=(", ", ": ") if spaced else (",", ":")).encode()
    for place, by in edits:
        at = place % len(body)
        body = body[:at] + by + body[at + 1 :]
    count = max(0, len(items) + surplus)
    assert as_lists(parse_items(body, count)) == as_lists(parse_outcome(200, body, count))


@pytest.mark.opensearch
def test_a_real_node_spells_its_answer_as_the_short_way_knows_it(opensearch_store_url: str) -> None:
    """Otherwise every answer would take the careful way, unseen."""
    action = b'{"create":{"_index":"short-way"}}\n{"message":"m"}\n'
    request = urllib.request.Request(  # noqa: S310 - the node that the tests started
        f"{opensearch_store_url}/_bulk?filter_path={FILTER_PATH}",
        data=action * 3,
        headers={"Content-Type": "application/x-ndjson"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
        assert says_all_done(answer.read(), 3)
