"""A `_bulk` body as items: what passes, what is refused alone, what refuses the whole request."""

from __future__ import annotations

import json

import pytest

from forensics.collect.bulk import BulkSyntaxError, Item, parse_bulk
from forensics.store.documents import DEPTH_LIMIT


def one(action: object, source: bytes = b'{"message":"x"}') -> Item:
    """The only item of a body with that action and document."""
    (item,) = parse_bulk(json.dumps(action).encode() + b"\n" + source + b"\n")
    return item


def test_create_and_index_are_items_to_store() -> None:
    """Both actions create; the body is kept as it was sent, the fields are flat."""
    source = b'{"a":{"b":1}, "message" : "x"}'
    for action in ("create", "index"):
        item = one({action: {"_index": "logs", "_id": "1", "pipeline": "p"}}, source)
        assert (action, "logs", "1", None) == (item.action, item.index, item.id, item.error)
        assert item.document is not None
        assert source.decode() == item.document.body
        assert {"a.b": 1, "message": "x"} == item.document.fields


def test_an_absent_id_is_made_and_never_twice() -> None:
    """Items without `_id` get one of their own."""
    ids = {one({"index": {"_index": "logs"}}).id for _ in range(100)}
    assert 100 == len(ids)


def test_the_path_names_the_index_of_items_that_name_none() -> None:
    """`POST /{index}/_bulk` is the default, an item's own index wins."""
    body = b'{"create":{}}\n{}\n{"create":{"_index":"own"}}\n{}\n'
    assert ["default", "own"] == [item.index for item in parse_bulk(body, "default")]
    with pytest.raises(BulkSyntaxError, match="index is missing"):
        parse_bulk(body)


@pytest.mark.parametrize(
    ("action", "source", "status", "kind"),
    [
        ({"update": {"_index": "i", "_id": "1"}}, b'{"doc":{}}', 400, "illegal_argument_exception"),
        ({"create": {"_index": "../x"}}, b"{}", 400, "invalid_index_name_exception"),
        ({"create": {"_index": "_all"}}, b"{}", 400, "invalid_index_name_exception"),
        ({"create": {"_index": "Logs"}}, b"{}", 400, "invalid_index_name_exception"),
        ({"create": {"_index": "i\ud800"}}, b"{}", 400, "invalid_index_name_exception"),
        ({"create": {"_index": "i", "_id": ""}}, b"{}", 400, "illegal_argument_exception"),
        ({"create": {"_index": "i", "_id": "x" * 513}}, b"{}", 400, "illegal_argument_exception"),
        ({"create": {"_index": "i", "_id": "\ud800"}}, b"{}", 400, "illegal_argument_exception"),
        (
            {"create": {"_index": "i", "_id": "a" * 16 + "-1-9999999999999999999-1-00000000"}},
            b"{}",
            400,
            "illegal_argument_exception",
        ),
        ({"create": {"_index": "afterimage-lifecycle-1"}}, b"{}", 403, "security_exception"),
        ({"create": {"_index": "i"}}, b"", 400, "mapper_parsing_exception"),
        ({"create": {"_index": "i"}}, b"[]", 400, "mapper_parsing_exception"),
        ({"create": {"_index": "i"}}, b'{"a":', 400, "mapper_parsing_exception"),
        ({"create": {"_index": "i"}}, b'{"a":NaN}', 400, "mapper_parsing_exception"),
        ({"create": {"_index": "i"}}, b'{"a":"\xff"}', 400, "mapper_parsing_exception"),
        ({"create": {"_index": "i"}}, b'{"a":"\x01"}', 400, "mapper_parsing_exception"),
        (
            {"create": {"_index": "i"}},
            b'{"a":' + b"9" * 5000 + b"}",
            400,
            "mapper_parsing_exception",
        ),
        (
            {"create": {"_index": "i"}},
            b'{"a":' * 2000 + b"1" + b"}" * 2000,
            400,
            "mapper_parsing_exception",
        ),
        (
            {"create": {"_index": "i"}},
            b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
            400,
            "mapper_parsing_exception",
        ),
    ],
)
def test_a_refused_item_does_not_stop_its_neighbours(
    action: object, source: bytes, status: int, kind: str
) -> None:
    """What is wrong with one item is that item's answer alone."""
    fine = b'{"create":{"_index":"i","_id":"fine"}}\n{"message":"x"}\n'
    before, item, after = parse_bulk(
        fine + json.dumps(action).encode() + b"\n" + source + b"\n" + fine
    )
    assert (None, None) == (before.error, after.error)
    assert item.document is None
    assert item.error is not None
    assert (status, kind) == item.error[:2]
    json.dumps(item.error).encode()
    (item.index + item.id).encode()


def test_a_delete_has_no_document_line() -> None:
    """`delete` is refused, and the next action line is still read as one."""
    body = b'{"delete":{"_index":"i","_id":"1"}}\n{"create":{"_index":"i"}}\n{}\n'
    refused, fine = parse_bulk(body)
    assert refused.error is not None
    assert "append-only" in refused.error[2]
    assert fine.error is None


def test_a_document_may_be_nested_up_to_the_limit() -> None:
    """Exactly `DEPTH_LIMIT` levels pass, one more does not."""
    for depth, passes in ((DEPTH_LIMIT, True), (DEPTH_LIMIT + 1, False)):
        source = b'{"a":' * depth + b"1" + b"}" * depth
        assert passes == (one({"create": {"_index": "i"}}, source).error is None), depth


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "body is required"),
        (b"\n\n", "body is required"),
        (b'{"create":{"_index":"i"}}\n{}', "terminated by a newline"),
        (b'{"create":{"_index":"i"}}\n', "followed by no document"),
        (b"not json\n{}\n", "Malformed action/metadata line \\[1\\]"),
        (b'{"create":{"_index":"i"}}\n{}\n"create"\n{}\n', "line \\[3\\]"),
        (b'{"create":{"_index":"i"},"index":{}}\n{}\n', "one action"),
        (b'{"upsert":{"_index":"i"}}\n{}\n', "expected one of"),
        (b'{"create":"i"}\n{}\n', "expected one of"),
        (b'{"create":{"_index":"i","_id":[1]}}\n{}\n', "_id is no text"),
        (b'{"create":{"_index":"i","_id":"\xff"}}\n{}\n', "not JSON"),
        (b"[" * 100_000 + b"\n{}\n", "longer than"),
        (b"[" * 10_000 + b"\n{}\n", "not JSON"),
        (b'{"create":{"_index":"' + b"i" * 20_000 + b'"}}\n{}\n', "longer than"),
    ],
)
def test_a_broken_action_line_refuses_the_request(body: bytes, reason: str) -> None:
    """After it nothing can be told apart: action, document or rubbish."""
    with pytest.raises(BulkSyntaxError, match=reason):
        parse_bulk(body)


def test_blank_lines_and_carriage_returns_are_taken() -> None:
    """As OpenSearch takes them; the kept text has no carriage return at its end."""
    (item,) = parse_bulk(b'\n{"create":{"_index":"i"}}\r\n{"a":1}\r\n\n')
    assert item.document is not None
    assert '{"a":1}' == item.document.body
