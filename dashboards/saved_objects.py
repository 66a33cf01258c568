"""The saved dashboard for OpenSearch Dashboards, built as the file that its import takes.

In: nothing. Out: saved-objects/afterimage.ndjson, written by `python -m dashboards.saved_objects`
and compared by the tests, which also run every query in it. It must never name a field that
fields.toml does not have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).resolve().parent / "saved-objects" / "afterimage.ndjson"

Body = dict[str, Any]

_INDEX_REFERENCE: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"
# What the import migrates from: the forms below are those of these versions.
_FORMS: Final = {
    "index-pattern": "7.6.0",
    "search": "7.9.3",
    "visualization": "7.10.0",
    "dashboard": "7.9.3",
}
_GRID_COLUMNS: Final = 48


def build_saved_objects() -> list[Body]:
    """Index patterns first, since the others refer to them, and the dashboard last."""
    return [
        _index_pattern("logs"),
        _index_pattern("vitals"),
        _index_pattern("lifecycle"),
        _search(
            "last-words",
            "Log lines, newest first",
            "logs",
            ["cloud.instance.id", "log.level", "log.file.path", "message"],
        ),
        _search(
            "lifecycle-events",
            "What AWS and the quarantine did",
            "lifecycle",
            [
                "cloud.instance.id",
                "event.action",
                "event.outcome",
                "event.provider",
                "afterimage.simulated",
                "message",
            ],
        ),
        _records_over_time(),
        _instances_by_last_sign(),
        _dashboard(
            "Afterimage: what remains of the instances",
            [
                ("visualization", "records-over-time", 24, 14),
                ("visualization", "instances-by-last-sign", 24, 14),
                ("search", "lifecycle-events", 48, 14),
                ("search", "last-words", 48, 20),
            ],
        ),
    ]


def render_saved_objects(objects: Sequence[Body]) -> str:
    """One object a line."""
    return "".join(json.dumps(item, ensure_ascii=False, sort_keys=True) + "\n" for item in objects)


def _object(kind: str, name: str, attributes: Body, references: Sequence[Body]) -> Body:
    return {
        "id": f"afterimage-{name}",
        "type": kind,
        "attributes": attributes,
        "references": list(references),
        "migrationVersion": {kind: _FORMS[kind]},
    }


def _index_pattern(family: str) -> Body:
    # Without `fields`: Dashboards then asks the indices for theirs.
    attributes = {"title": f"afterimage-{family}-*", "timeFieldName": "@timestamp"}
    return _object("index-pattern", family, attributes, [])


def _pattern_reference(family: str) -> Body:
    return {"name": _INDEX_REFERENCE, "type": "index-pattern", "id": f"afterimage-{family}"}


def _search_source(query: str = "") -> Body:
    source = {
        "query": {"query": query, "language": "lucene"},
        "filter": [],
        "indexRefName": _INDEX_REFERENCE,
    }
    return {"searchSourceJSON": json.dumps(source)}


def _search(name: str, title: str, family: str, columns: Sequence[str]) -> Body:
    attributes = {
        "title": title,
        "description": "",
        "columns": list(columns),
        "sort": [["@timestamp", "desc"]],
        "version": 1,
        "kibanaSavedObjectMeta": _search_source(),
    }
    return _object("search", name, attributes, [_pattern_reference(family)])


def _visualization(name: str, family: str, state: Body, query: str = "") -> Body:
    attributes = {
        "title": state["title"],
        "description": "",
        "visState": json.dumps(state),
        "uiStateJSON": "{}",
        "version": 1,
        "kibanaSavedObjectMeta": _search_source(query),
    }
    return _object("visualization", name, attributes, [_pattern_reference(family)])


def _agg(number: int, kind: str, schema: str, params: Mapping[str, Any]) -> Body:
    return {
        "id": str(number),
        "enabled": True,
        "type": kind,
        "schema": schema,
        "params": dict(params),
    }


def _terms(field: str, *, order_by: str, size: int, missing: str = "") -> Body:
    return {
        "field": field,
        "orderBy": order_by,
        "order": "desc",
        "size": size,
        "otherBucket": False,
        "missingBucket": bool(missing),
        "missingBucketLabel": missing or "Missing",
    }


def _records_over_time() -> Body:
    axis = {
        "show": True,
        "labels": {"show": True, "truncate": 100},
        "scale": {"type": "linear"},
        "style": {},
    }
    state = {
        "title": "Records over time by level",
        "type": "histogram",
        "aggs": [
            _agg(1, "count", "metric", {}),
            _agg(
                2,
                "date_histogram",
                "segment",
                {
                    "field": "@timestamp",
                    "interval": "auto",
                    "min_doc_count": 1,
                    "useNormalizedOpenSearchInterval": True,
                },
            ),
            _agg(
                3,
                "terms",
                "group",
                _terms("log.level", order_by="1", size=8, missing="no level"),
            ),
        ],
        "params": {
            "type": "histogram",
            "addLegend": True,
            "addTooltip": True,
            "legendPosition": "right",
            "grid": {"categoryLines": False},
            "categoryAxes": [
                axis | {"id": "CategoryAxis-1", "type": "category", "position": "bottom"}
            ],
            "valueAxes": [
                axis
                | {"id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": "left"}
            ],
            "seriesParams": [
                {
                    "show": True,
                    "type": "histogram",
                    "mode": "stacked",
                    "data": {"id": "1", "label": "Count"},
                    "valueAxis": "ValueAxis-1",
                }
            ],
        },
    }
    return _visualization("records-over-time", "logs", state)


def _instances_by_last_sign() -> Body:
    state = {
        "title": "Instances by last sign of life",
        "type": "table",
        "aggs": [
            _agg(1, "max", "metric", {"field": "event.created", "customLabel": "last sign"}),
            _agg(2, "terms", "bucket", _terms("cloud.instance.id", order_by="1", size=500)),
            _agg(
                3,
                "terms",
                "bucket",
                _terms("host.image.id", order_by="1", size=1, missing="unknown image"),
            ),
        ],
        "params": {"perPage": 20, "showPartialRows": False, "showTotal": False},
    }
    return _visualization("instances-by-last-sign", "vitals", state)


def _dashboard(title: str, panels: Sequence[tuple[str, str, int, int]]) -> Body:
    placed, references = [], []
    column = row = 0
    for number, (kind, name, width, height) in enumerate(panels):
        if column + width > _GRID_COLUMNS:
            column, row = 0, row + panels[number - 1][3]
        reference = f"panel_{number}"
        placed.append(
            {
                "panelIndex": str(number),
                "gridData": {"i": str(number), "x": column, "y": row, "w": width, "h": height},
                "embeddableConfig": {},
                "version": _FORMS["dashboard"],
                "panelRefName": reference,
            }
        )
        references.append({"name": reference, "type": kind, "id": f"afterimage-{name}"})
        column += width
    source = {"query": {"query": "", "language": "lucene"}, "filter": []}
    attributes = {
        "title": title,
        "description": "Log lines, last signs and lifecycle of every instance, the dead included.",
        "panelsJSON": json.dumps(placed),
        "optionsJSON": json.dumps({"useMargins": True, "hidePanelTitles": False}),
        "timeRestore": True,
        "timeFrom": "now-24h",
        "timeTo": "now",
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
    }
    return _object("dashboard", "overview", attributes, references)


def main() -> None:
    """Write the file."""
    FILE.write_text(render_saved_objects(build_saved_objects()), encoding="utf-8")


if __name__ == "__main__":
    main()
