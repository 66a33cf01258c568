"""What a `_bulk` answer means for each item that was sent: done, again, or refused.

In: a status code and the answer's bytes. Out: an `Outcome`. Pure. Errors are told apart by their
*type*, since a 400 is not always the record's fault; what is not understood is sent again. It must
never call an item done that the centre did not name as stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

FILTER_PATH: Final = "errors,took,items.*.status,items.*.error.type,items.*.error.reason"

_DONE: Final = frozenset((200, 201))
_CONFLICT: Final = 409
_BAD_REQUEST: Final = 400
_TOO_LARGE: Final = 413
_OK: Final = 200
_BUSY: Final = frozenset((429, 503))
_SUSPICIOUS: Final = frozenset((400, 500, 502))
"""A bulk that can't be parsed, an exception while it was, a node that died of it behind a proxy."""
_REDIRECTS: Final = range(300, 400)
_ADVICE: Final = {
    400: "the centre refused the whole request: is this URL an OpenSearch or a collector?",
    401: "check username_file and password_file",
    403: "the user may not create documents in afterimage-logs-* and afterimage-vitals-*",
    404: "check the path of the URL: there is no _bulk",
}

REJECTED_TYPES: Final = frozenset(
    (
        "document_parsing_exception",
        "illegal_argument_exception",
        "json_parse_exception",
        "mapper_exception",
        "mapper_parsing_exception",
        "parsing_exception",
        "strict_dynamic_mapping_exception",
        "x_content_parse_exception",
    )
)
"""Types of a 400 that blame the document; every other type is sent again as it is."""

_INDEX_AT_FAULT: Final = (
    "alias",
    "write index",
    "data stream",
    "number of documents",
    "shards",
    "pipeline",
    "Document ID",  # a serverless time series takes none, for any document
)
"""Words in the reason of an illegal_argument_exception that blame the index instead."""
_TEMPLATE_AT_FAULT: Final = "Failed to parse mapping"
"""How a mapper_parsing_exception begins that a broken template causes when the index is made."""

_REASON_CHARACTERS: Final = 300

# How an answer is spelled in which every item was created: compact by OpenSearch, spaced by others.
_ALL_DONE_HEAD: Final = re.compile(
    rb'\{(?:"took": ?(?:0|[1-9]\d{0,17}), ?)?"errors": ?false, ?"items": ?\['
)
_ALL_DONE_ITEMS: Final = (
    (b'{"create":{"status":201}}', b","),
    (b'{"create": {"status": 201}}', b", "),
)
_ALL_DONE_FOOT: Final = b"]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of each item, by its place in the request."""

    answered: bool
    """Whether the centre spoke about the items at all."""
    done: Sequence[int] = ()
    conflicts: Sequence[int] = ()
    """The centre has the id already: done, unless an earlier try may still be under way."""
    retry: Sequence[int] = ()
    rejected: dict[int, str] = field(default_factory=dict)
    """Items that blame themselves, with the reason."""
    too_large: bool = False
    is_overload: bool = False
    """The centre has too much to do, with the request as a whole or with some of its items."""
    is_suspect: bool = False
    """The request as a whole failed in a way that its content may be the cause of."""
    error: str = ""
    """The first thing for which something has to be sent again as it is, for people."""


def parse_outcome(status: int, body: bytes, count: int, *, location: str = "") -> Outcome:
    """The outcome of a request of `count` items."""
    if status != _OK:
        return Outcome(
            answered=False,
            too_large=status == _TOO_LARGE,
            is_overload=status in _BUSY,
            is_suspect=status in _SUSPICIOUS,
            error=_status_error(status, body, location),
        )
    if says_all_done(body, count):
        return Outcome(answered=True, done=range(count))
    return parse_items(body, count)


def says_all_done(body: bytes, count: int) -> bool:
    """Whether the bytes are exactly those of `count` created items; False: they need parsing.

    Nearly every answer is, and comparing bytes is a hundred times cheaper than walking items.
    """
    head = _ALL_DONE_HEAD.match(body)
    if head is None or count < 1:
        return False
    size = len(body) - head.end() - len(_ALL_DONE_FOOT)
    return any(
        size == count * (len(item) + len(comma)) - len(comma)
        and body[head.end() :] == comma.join([item] * count) + _ALL_DONE_FOOT
        for item, comma in _ALL_DONE_ITEMS
    )


def parse_items(body: bytes, count: int) -> Outcome:
    """The outcome by each item's own status, whatever the answer says of all of them."""
    try:
        items = json.loads(body)["items"]
        answers = [item["create"] for item in items]  # nothing else was sent
        statuses = [_read_status(answer["status"]) for answer in answers]
    except (
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ) as error:
        return Outcome(answered=False, error=f"the answer is no _bulk answer: {error!r}")
    if len(statuses) != count:
        return Outcome(
            answered=False, error=f"the answer has {len(statuses)} items, {count} were sent"
        )
    return _sort_items(statuses, answers)


def _read_status(value: object) -> int:
    """A status as it is; ValueError: 200.7 and true are none, nor is "201"."""
    if type(value) is not int:
        raise ValueError(f"an item's status is {value!r}")
    return value


def _sort_items(statuses: Sequence[int], answers: Sequence[Any]) -> Outcome:
    done: list[int] = []
    conflicts: list[int] = []
    retry: list[int] = []
    rejected: dict[int, str] = {}
    first_error = ""
    for place, status in enumerate(statuses):
        if status in _DONE:
            done.append(place)
        elif status == _CONFLICT:
            conflicts.append(place)
        else:
            kind, reason = _error_of(answers[place])
            text = f"{status} {kind}: {reason}"
            if status == _BAD_REQUEST and _blames_document(kind, reason):
                rejected[place] = text
            else:
                retry.append(place)
                first_error = first_error or text
    return Outcome(
        answered=True,
        done=done,
        conflicts=conflicts,
        retry=retry,
        rejected=rejected,
        is_overload=any(statuses[place] in _BUSY for place in retry),
        error=first_error,
    )


def _error_of(answer: Any) -> tuple[str, str]:
    error = answer.get("error")
    if not isinstance(error, dict):
        return "unknown", str(error)[:_REASON_CHARACTERS]
    return str(error.get("type", "unknown")), str(error.get("reason", ""))[:_REASON_CHARACTERS]


def _blames_document(kind: str, reason: str) -> bool:
    if kind == "illegal_argument_exception":
        return not any(words in reason for words in _INDEX_AT_FAULT)
    return kind in REJECTED_TYPES and not reason.startswith(_TEMPLATE_AT_FAULT)


def _status_error(status: int, body: bytes, location: str) -> str:
    if status in _REDIRECTS:
        return f"{status}: the centre redirects to {location or 'elsewhere'}: put that URL in urls"
    text = body[:_REASON_CHARACTERS].decode("utf-8", "replace").strip()
    advice = _ADVICE.get(status)
    return f"{status}: {text}" + (f" ({advice})" if advice else "")
