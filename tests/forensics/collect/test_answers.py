"""The shape of a bulk answer, and `filter_path` as shippers use it."""

from __future__ import annotations

from typing import Any

import pytest

from forensics.collect.answers import build_bulk_answer, filter_answer, parse_filter_path
from forensics.collect.bulk import parse_bulk

BODY = (
    b'{"create":{"_index":"i","_id":"1"}}\n{}\n'
    b'{"index":{"_index":"i","_id":"2"}}\n{}\n'
    b'{"create":{"_index":"i","_id":"3"}}\n[]\n'
)


def answer() -> dict[str, Any]:
    """One created, one that was there, one that can't be parsed."""
    return build_bulk_answer(parse_bulk(BODY), [7, None], 5)


def test_each_item_has_its_own_result_in_order() -> None:
    """Created, conflict and refusal stand under their action, in the request's order."""
    full = answer()
    assert (5, True) == (full["took"], full["errors"])
    created, conflict, refused = full["items"]
    assert (201, "created", "1", "i") == tuple(
        created["create"][name] for name in ("status", "result", "_id", "_index")
    )
    assert (409, "version_conflict_engine_exception") == (
        conflict["index"]["status"],
        conflict["index"]["error"]["type"],
    )
    assert (400, "mapper_parsing_exception") == (
        refused["create"]["status"],
        refused["create"]["error"]["type"],
    )


@pytest.mark.parametrize(
    ("filter_path", "expected"),
    [
        ("errors", {"errors": True}),
        ("took,errors", {"took": 5, "errors": True}),
        (
            "errors,items.*.status",
            {
                "errors": True,
                "items": [
                    {"create": {"status": 201}},
                    {"index": {"status": 409}},
                    {"create": {"status": 400}},
                ],
            },
        ),
        (
            "items.*.error.type",
            {
                "items": [
                    {"index": {"error": {"type": "version_conflict_engine_exception"}}},
                    {"create": {"error": {"type": "mapper_parsing_exception"}}},
                ]
            },
        ),
        (
            "items.create.sta*",
            {"items": [{"create": {"status": 201}}, {"create": {"status": 400}}]},
        ),
        (
            "**.status",
            {
                "items": [
                    {"create": {"status": 201}},
                    {"index": {"status": 409}},
                    {"create": {"status": 400}},
                ]
            },
        ),
        ("nothing.like.it", None),
    ],
)
def test_filter_path_keeps_what_it_names(filter_path: str, expected: object) -> None:
    """Lists are seen through, `*` is one step, `**` any number; empty branches are left out."""
    assert expected == filter_answer(answer(), parse_filter_path(filter_path))


def test_a_filter_path_of_nothing_filters_nothing() -> None:
    """Empty patterns and exclusions name nothing to keep."""
    assert () == parse_filter_path(" , ,-took")
