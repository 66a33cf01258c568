"""The saved dashboard: whole, true to the fields, and every query in it answered by a real node."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.fields import FAMILIES, load_fields
from dashboards.saved_objects import FILE, build_saved_objects, render_saved_objects
from shipper.wire.builder import RecordBuilder, split_items
from shipper.wire.framing import frame
from shipper.wire.record import Identity, build_document
from shipper.wire.records import Records
from shipper.wire.times import parse_time

AT = "2026-01-03T12:00:00.000000000Z"
SORTABLE = frozenset(("date_nanos", "keyword", "long", "integer", "boolean"))
DSL_INTERVAL = "1h"
"""What Dashboards makes of `auto` depends on the screen; any fixed interval is the same query."""


def load_objects() -> dict[tuple[str, str], dict[str, Any]]:
    """The file's objects by type and id."""
    objects = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    found = {(item["type"], item["id"]): item for item in objects}
    assert len(objects) == len(found)
    return found


def family_of(item: dict[str, Any]) -> str:
    """The family whose index pattern an object searches."""
    (reference,) = item["references"]
    assert "index-pattern" == reference["type"]
    return str(reference["id"]).removeprefix("afterimage-")


def search_source(item: dict[str, Any]) -> dict[str, Any]:
    """What the object searches, parsed."""
    source: dict[str, Any] = json.loads(
        item["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"]
    )
    return source


def field_types(family: str) -> dict[str, str]:
    """The fields of a family and their types."""
    return {field.name: field.type for field in load_fields() if family in field.families}


def visualizations() -> list[dict[str, Any]]:
    """The objects that aggregate."""
    return [item for (kind, _), item in load_objects().items() if kind == "visualization"]


def searches() -> list[dict[str, Any]]:
    """The objects that list documents."""
    return [item for (kind, _), item in load_objects().items() if kind == "search"]


def test_the_file_is_what_is_built() -> None:
    """Run `python -m dashboards.saved_objects` after a change."""
    assert render_saved_objects(build_saved_objects()) == FILE.read_text("utf-8")


def test_every_reference_resolves() -> None:
    """An import of this file alone leaves nothing dangling, in whatever order it is read."""
    objects = load_objects()
    for item in objects.values():
        for reference in item["references"]:
            assert (reference["type"], reference["id"]) in objects, reference
    patterns = {
        item["attributes"]["title"] for (kind, _), item in objects.items() if "pattern" in kind
    }
    assert {f"afterimage-{family}-*" for family in FAMILIES} == patterns


def test_every_named_reference_is_declared() -> None:
    """Panels and search sources point at their references by names that exist."""
    for (kind, _), item in load_objects().items():
        names = {reference["name"] for reference in item["references"]}
        if kind in {"search", "visualization"}:
            assert {search_source(item)["indexRefName"]} == names
        elif kind == "dashboard":
            panels = json.loads(item["attributes"]["panelsJSON"])
            assert {panel["panelRefName"] for panel in panels} == names


def test_panels_fill_the_grid_without_overlap() -> None:
    """Each cell of the dashboard's 48 columns belongs to one panel at most."""
    ((_, dashboard),) = [pair for pair in load_objects().items() if pair[0][0] == "dashboard"]
    cells: list[tuple[int, int]] = []
    for panel in json.loads(dashboard["attributes"]["panelsJSON"]):
        grid = panel["gridData"]
        assert 0 <= grid["x"] < grid["x"] + grid["w"] <= 48
        cells += [
            (grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])
        ]
    assert len(cells) == len(set(cells))


def test_only_known_fields_are_named_and_fit_their_use() -> None:
    """A column, sort or aggregation on a field that is not mapped for it would show nothing."""
    for item in searches():
        types = field_types(family_of(item))
        assert set(item["attributes"]["columns"]) <= types.keys()
        assert {types[field] for field, _ in item["attributes"]["sort"]} <= SORTABLE
    for item in visualizations():
        types = field_types(family_of(item))
        state = json.loads(item["attributes"]["visState"])
        numbers = {agg["id"] for agg in state["aggs"]}
        for agg in state["aggs"]:
            if "field" in agg["params"]:
                assert types[agg["params"]["field"]] in SORTABLE
            assert agg["params"].get("orderBy", "1") in numbers


def build_request(item: dict[str, Any]) -> dict[str, Any]:
    """The request that Dashboards makes of a saved object: query and nested aggregations."""
    source = search_source(item)
    assert "lucene" == source["query"]["language"]
    text = source["query"]["query"]
    query = {"query_string": {"query": text}} if text else {"match_all": {}}
    body: dict[str, Any] = {"query": {"bool": {"filter": [query, *source["filter"]]}}}
    if item["type"] == "search":
        body["size"] = 10
        body["sort"] = [{field: {"order": order}} for field, order in item["attributes"]["sort"]]
        body["_source"] = item["attributes"]["columns"]
        return body
    aggs = json.loads(item["attributes"]["visState"])["aggs"]
    metrics = {
        agg["id"]: {agg["type"]: {"field": agg["params"]["field"]}}
        for agg in aggs
        if agg["schema"] == "metric" and agg["type"] != "count"
    }
    body["size"] = 0
    inner: dict[str, Any] = body
    for agg in aggs:
        if agg["schema"] != "metric":
            bucket = build_bucket(agg, counted=agg["params"].get("orderBy") not in metrics)
            inner["aggs"] = {agg["id"]: bucket} | (metrics if inner is not body else {})
            inner = bucket
    if metrics:
        inner["aggs"] = metrics
    return body


def build_bucket(agg: dict[str, Any], *, counted: bool) -> dict[str, Any]:
    """One bucket aggregation in the query language."""
    params = agg["params"]
    if agg["type"] == "date_histogram":
        bars = {"field": params["field"], "fixed_interval": DSL_INTERVAL}
        return {"date_histogram": bars | {"min_doc_count": params["min_doc_count"]}}
    assert "terms" == agg["type"]
    order = "_count" if counted else params["orderBy"]
    terms: dict[str, Any] = {"field": params["field"], "size": params["size"]}
    terms["order"] = {order: params["order"]}
    if params["missingBucket"]:
        terms["missing"] = params["missingBucketLabel"]
    return {"terms": terms}


def example_items() -> Iterator[bytes]:
    """Two instances with lines, vitals and an event each."""
    for number in (1, 2):
        identity = Identity(instance_id=f"i-{number}", image_id="ami-1" if number == 1 else "")
        stream = f"{number}" * 16
        builder = RecordBuilder(
            identity=identity,
            stream=stream,
            source=1,
            path="/x",
            index="afterimage-logs-2026.01.03",
        )
        lines = f"2026-01-03 1{number}:00:00 ERROR failed\nquiet\n".encode()
        yield from split_items(builder.build(Records.of(frame(lines), 0), parse_time(AT)).body)
        at = f"2026-01-03T12:0{number}:00.000000000Z"
        common = {"@timestamp": at, "event.created": at, **identity.as_fields()}
        action = {"event.action": "heartbeat", "afterimage.stream": stream, "message": "alive"}
        yield build_document("vitals", f"{stream}-v-1-1", common | action)
        yield build_document(
            "lifecycle", f"life-{number}", common | {"event.action": "stop", "message": "stopped"}
        )


def post(url: str, body: bytes) -> Any:
    """The node's answer."""
    request = urllib.request.Request(  # noqa: S310 - our own node
        url, data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - same
        return json.load(answer)


@pytest.mark.opensearch
@pytest.mark.slow
def test_every_query_is_answered_by_the_node(opensearch_store_url: str) -> None:
    """Searches list both instances; every aggregation fills its innermost level."""
    answer = post(f"{opensearch_store_url}/_bulk?refresh=true", b"".join(example_items()))
    assert not answer["errors"]
    for item in searches():
        url = f"{opensearch_store_url}/afterimage-{family_of(item)}-*/_search"
        hits = post(url, json.dumps(build_request(item)).encode())["hits"]["hits"]
        assert {"i-1", "i-2"} == {hit["_source"]["cloud.instance.id"] for hit in hits}
        assert all(hit["_source"]["message"] for hit in hits)

    def ask(title: str) -> Any:
        (item,) = [one for one in visualizations() if one["attributes"]["title"] == title]
        url = f"{opensearch_store_url}/afterimage-{family_of(item)}-*/_search"
        return post(url, json.dumps(build_request(item)).encode())["aggregations"]

    assert 2 == len(visualizations())
    bars = ask("Records over time by level")["2"]["buckets"]
    counted = [(level["key"], level["doc_count"]) for bar in bars for level in bar["3"]["buckets"]]
    assert [("error", 1), ("error", 1), ("no level", 2)] == sorted(counted)
    rows = ask("Instances by last sign of life")["2"]["buckets"]
    assert [("i-2", "unknown image"), ("i-1", "ami-1")] == [
        (row["key"], row["3"]["buckets"][0]["key"]) for row in rows
    ]
    assert "2026-01-03T12:02:00.000Z" == rows[0]["3"]["buckets"][0]["1"]["value_as_string"]
