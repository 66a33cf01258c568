"""What a real node holds, asked through its API.

In: its URL. Out: how many documents it has indexed, holds, and which marked lines are among them.
It must never refresh while a shipper is measured.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, Final

from tests.bench.corpus import MARKER

LOGS: Final = "afterimage-logs-*"
_PAGE: Final = 10_000
_TIMEOUT_SECONDS: Final = 60.0


def ask(url: str, path: str, body: object = None, method: str = "") -> Any:
    """One request's answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our node
        f"{url}/{path}",
        data=data,
        headers={"Content-Type": "application/json"},
        method=method or ("GET" if data is None else "POST"),
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - our node
        return json.load(answer)


def count_indexed(url: str) -> int:
    """Documents that the node has taken, searchable or not."""
    path = f"{LOGS}/_stats/indexing?filter_path=_all.primaries.indexing.index_total"
    found = ask(url, path)
    return int(found["_all"]["primaries"]["indexing"]["index_total"]) if found else 0


def count_stored(url: str) -> int:
    """Documents that can be found; within an index each has an id of its own."""
    ask(url, f"{LOGS}/_refresh", method="POST")
    return int(ask(url, f"{LOGS}/_count")["count"])


def find_markers(url: str) -> set[bytes]:
    """The markers of all stored lines, by reading every document."""
    found: set[bytes] = set()
    query = {"size": _PAGE, "_source": ["message"], "sort": ["_doc"]}
    page = ask(url, f"{LOGS}/_search?scroll=1m", query)
    while hits := page["hits"]["hits"]:
        for hit in hits:
            found.update(MARKER.findall(hit["_source"]["message"].encode()))
        page = ask(url, "_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
    ask(url, f"_search/scroll/{page['_scroll_id']}", method="DELETE")
    return found


def delete_indices(url: str) -> None:
    """Delete everything that was shipped."""
    for row in ask(url, "_cat/indices/afterimage-*?h=index&format=json"):
        ask(url, row["index"], method="DELETE")
