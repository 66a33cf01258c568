"""A `_bulk` body as items: what is to be created, and what is refused and why.

In: the body's bytes. Out: one item per action, in order. A broken document is that item's error; a
broken action line is the whole request's, since nothing after it can be trusted. Pure; it must
never store, and never let one item's bytes stop another.
"""

from __future__ import annotations

import functools
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from forensics.store.documents import parse_document
from forensics.store.sqlite_write import NewDocument, family_of
from shipper.wire.record import parse_record_id

ACTION_LINE_LIMIT_BYTES: Final = 16_384
ID_LIMIT_BYTES: Final = 512

_CREATING: Final = ("create", "index")
_WITHOUT_SOURCE: Final = ("delete",)
# What shippers send nearly always; whatever looks otherwise is parsed as JSON.
_USUAL_ACTION: Final = re.compile(
    rb'\{"(create|index)":\{"_index":"([a-z0-9._-]+)","_id":"([A-Za-z0-9._:-]+)"\}\}'
)
_INDEX_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_OFFSET_LIMIT: Final = 2**63
_LARGE_OFFSET_ID_BYTES: Final = 48
"""No shorter id of ours has room for an offset near the limit."""

Error = tuple[int, str, str]
"""Status, type, reason."""


class BulkSyntaxError(Exception):
    """The request is no `_bulk` body; its text is the reason."""


@dataclass(frozen=True, slots=True)
class Item:
    """One action of the body: `document` to be stored, or `error`, never both."""

    action: str
    index: str
    id: str
    document: NewDocument | None
    error: Error | None


def parse_bulk(body: bytes, default_index: str = "") -> list[Item]:
    """The items of a body.

    Raises:
        BulkSyntaxError: no body, no final newline, a malformed action line, or one without its
            document.
    """
    if not body.strip():
        raise BulkSyntaxError("request body is required")
    if not body.endswith(b"\n"):
        raise BulkSyntaxError("The bulk request must be terminated by a newline [\\n]")
    items = []
    lines = enumerate(body[:-1].split(b"\n"), start=1)
    for number, line in lines:
        if not line.strip():
            continue
        action, index, document_id = _parse_action(number, line, default_index)
        if action in _WITHOUT_SOURCE:
            source = b""
        else:
            _, source = _next(lines, number)
        items.append(_item(action, index, document_id, source))
    return items


def _next(lines: Iterator[tuple[int, bytes]], number: int) -> tuple[int, bytes]:
    try:
        return next(lines)
    except StopIteration:
        raise BulkSyntaxError(f"Action line [{number}] is followed by no document") from None


def _parse_action(number: int, line: bytes, default_index: str) -> tuple[str, str, str | None]:
    """Action, index and id (None: one is to be made)."""
    if len(line) > ACTION_LINE_LIMIT_BYTES:
        raise _malformed(number, f"it is longer than {ACTION_LINE_LIMIT_BYTES} bytes")
    usual = _USUAL_ACTION.fullmatch(line)
    if usual is not None:
        return usual[1].decode(), usual[2].decode(), usual[3].decode()
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise _malformed(number, "it is not JSON") from None
    if not isinstance(value, dict) or len(value) != 1:
        raise _malformed(number, "expected an object with one action")
    ((action, metadata),) = value.items()
    if action not in {"create", "index", "update", "delete"} or not isinstance(metadata, dict):
        raise _malformed(number, "expected one of create, index, update or delete, with an object")
    index = metadata.get("_index", default_index)
    document_id = metadata.get("_id")
    if isinstance(document_id, int):  # OpenSearch takes a number for its text
        document_id = str(document_id)
    if not index or not isinstance(index, str):
        raise BulkSyntaxError(f"Validation Failed: {number}: index is missing;")
    if document_id is not None and not isinstance(document_id, str):
        raise _malformed(number, "_id is no text")
    return action, index, document_id


def _item(action: str, index: str, document_id: str | None, source: bytes) -> Item:
    new_id = secrets.token_urlsafe(15) if document_id is None else document_id
    error = _find_error(action, index, new_id)
    document = None
    if error is None:
        try:
            document = NewDocument(index, new_id, *_parse_source(source))
        except ValueError as problem:
            reason = f"failed to parse: {problem}"
            error = (400, "mapper_parsing_exception", reason)
    # A name that UTF-8 can't carry comes back readable.
    return Item(action, _printable(index), _printable(new_id), document, error)


def _find_error(action: str, index: str, document_id: str) -> Error | None:
    if action not in _CREATING:
        return (
            400,
            "illegal_argument_exception",
            f"[{action}] is refused: stored records are append-only",
        )
    error = _find_index_error(index)
    if error is not None:
        return error
    problem = _find_id_problem(document_id)
    return (400, "illegal_argument_exception", problem) if problem else None


@functools.lru_cache(maxsize=256)
def _find_index_error(index: str) -> Error | None:
    if not _INDEX_NAME.fullmatch(index):
        reason = f"Invalid index name [{_printable(index)[:200]}], must be a-z, 0-9, . _ or -"
        return 400, "invalid_index_name_exception", reason
    if family_of(index) == "lifecycle":
        reason = "lifecycle documents are written by a responder, not by a shipper"
        return 403, "security_exception", reason
    return None


def _find_id_problem(document_id: str) -> str:
    printable = _printable(document_id)
    size = len(printable.encode())
    if not 0 < size <= ID_LIMIT_BYTES or printable != document_id:
        return f"_id must be text of 1 to {ID_LIMIT_BYTES} bytes, this one has {size}"
    if size < _LARGE_OFFSET_ID_BYTES:
        return ""
    try:
        key = parse_record_id(document_id)
    except ValueError:  # another shipper's
        return ""
    return f"the offset in _id [{document_id}] is no long" if key.offset >= _OFFSET_LIMIT else ""


def _parse_source(source: bytes) -> tuple[str, dict[str, Any]]:
    """The document's text and its flat fields; ValueError says what is wrong."""
    try:
        text = source.decode()
    except UnicodeDecodeError as problem:
        raise ValueError(f"invalid UTF-8 at byte {problem.start}") from problem
    text = text.removesuffix("\r")
    return text, parse_document(text)


def _printable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _malformed(number: int, why: str) -> BulkSyntaxError:
    return BulkSyntaxError(f"Malformed action/metadata line [{number}], {why}")
