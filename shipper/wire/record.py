"""The record: its identity, where it is stored, and how its bytes come back out of a document.

In: places, checksums and who the machine is. Out: the `_id`s and indices of documents; and, from a
stored document, the exact bytes that it was made of. wire/builder.py makes the documents.

Field names are ECS's, flat with dots. Shapes are in docs/fields.md.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, NamedTuple, cast

from shipper.wire.shapes import Escape, escape_message
from shipper.wire.times import format_time

Family = Literal["logs", "vitals", "lifecycle"]

INDEX_PREFIX: Final = "afterimage"

_STREAM = r"[0-9a-z]{16,64}"
_RECORD_ID: Final = re.compile(
    rf"({_STREAM})-(\d{{1,10}})-(\d{{1,19}})-(\d{{1,10}})-([0-9a-f]{{8}})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the machine is, stamped on every document of a stream. Empty text: not known."""

    instance_id: str
    """EC2's `i-…`, or what the configuration says on a host without IMDS; never empty."""
    image_id: str = ""
    instance_type: str = ""
    region: str = ""
    availability_zone: str = ""
    account_id: str = ""
    host_name: str = ""
    group: str = ""
    """The Auto Scaling group's name."""

    def as_fields(self) -> dict[str, str]:
        """The known values under their ECS names."""
        return {
            IDENTITY_FIELDS[field.name]: value
            for field in fields(self)
            if (value := getattr(self, field.name))
        }


IDENTITY_FIELDS: Final = {
    "instance_id": "cloud.instance.id",
    "image_id": "host.image.id",
    "instance_type": "cloud.machine.type",
    "region": "cloud.region",
    "availability_zone": "cloud.availability_zone",
    "account_id": "cloud.account.id",
    "host_name": "host.name",
    "group": "aws.autoscaling.group.name",
}


class RecordKey(NamedTuple):
    """A record's identity: where it stood, and the CRC-32 (zlib) of its bytes."""

    stream: str
    source: int
    offset: int
    length: int
    crc32: int

    def __str__(self) -> str:
        return f"{self.stream}-{self.source}-{self.offset}-{self.length}-{self.crc32:08x}"


def parse_record_id(text: str) -> RecordKey:
    """The key in a record's `_id`.

    Raises:
        ValueError: the id is not of the form `stream-source-offset-length-crc32`.
    """
    match = _RECORD_ID.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not stream-source-offset-length-crc32")
    return RecordKey(match[1], int(match[2]), int(match[3]), int(match[4]), int(match[5], 16))


def index_name(family: Family, nanos: int) -> str:
    """The index of a document of that time: logs by day, vitals and lifecycle by month (UTC)."""
    day = format_time(nanos)[:10].replace("-", ".")
    return f"{INDEX_PREFIX}-{family}-{day if family == 'logs' else day[:7]}"


def logs_index(day: str) -> str:
    """The index of the records of a source row, whose `day` is `YYYY-MM-DD`."""
    return f"{INDEX_PREFIX}-logs-{day.replace('-', '.')}"


def build_document(family: Family, document_id: str, document: Mapping[str, Any]) -> bytes:
    """One `_bulk` item of a document that is not a log line; its `@timestamp` chooses the index."""
    at = str(document["@timestamp"])
    index = f"{INDEX_PREFIX}-{family}-{at[: 10 if family == 'logs' else 7].replace('-', '.')}"
    action = {"create": {"_index": index, "_id": document_id}}
    return b"%b\n%b\n" % (to_json(action), to_json(document))


def stored_bytes(document_id: str, document: Mapping[str, Any]) -> bytes:
    """The bytes that a stored record was made of, checked against the length and CRC in its id.

    Raises:
        ValueError: the document is not what the id says: altered, cut or no record of ours.
    """
    key = parse_record_id(document_id)
    raw = document.get("afterimage.raw")
    if raw is not None:
        data = base64.b64decode(raw, validate=True)
    else:
        message = str(document.get("message", ""))
        if (before := document.get("afterimage.before")) is not None:
            escape = cast("Escape", document.get("afterimage.escape", "text"))
            after = document.get("afterimage.after", "")
            message = f"{before}{escape_message(message, escape)}{after}"
        data = message.encode("utf-8", "surrogatepass")
        if len(data) == key.length - 1:
            data += b"\n"
    if len(data) != key.length or zlib.crc32(data) != key.crc32:
        raise ValueError(
            f"record {document_id} holds {len(data)} bytes that are not the ones its id was made of"
        )
    return data


def to_json(value: object) -> bytes:
    """JSON as documents have it: compact, UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )
