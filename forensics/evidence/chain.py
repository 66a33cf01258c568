"""Hash-chained entries: each names the digest of the one before it, so that none can be changed.

In: bodies (JSON objects), or the bytes of stored entries. Out: canonical bytes of the next entry,
or the verified entries, or an IntegrityError that names the first entry that is wrong.
Must never repair or skip: an entry that does not verify is a finding, not noise.

What a chain proves: no entry was altered, taken out of the middle, put in, or moved, nor brought
from another log (the first entry's predecessor is the digest of the log's name). What it can't
prove alone: that its tail was not cut, or the whole of it written anew by someone with write
access. Both show only against a count or head digest that others remember (a report, the lifecycle
index, a colleague's copy): give those to `verify_chain`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forensics.errors import IntegrityError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a chain."""

    n: int
    """1 for the first."""
    at: str
    """When it was written, 30-character UTC text."""
    previous: str
    """Digest of entry n-1; for the first, the digest of the log's name."""
    body: Mapping[str, Any]
    digest: str
    """SHA-256 over the canonical JSON of the four fields above."""


def encode_canonical(value: object) -> bytes:
    """`value` as JSON with sorted keys, no spaces, ASCII only: the same bytes everywhere."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def start_digest(name: str) -> str:
    """What the first entry of the log `name` names as its predecessor."""
    return hashlib.sha256(name.encode()).hexdigest()


def build_entry(name: str, previous: Entry | None, at: str, body: Mapping[str, Any]) -> Entry:
    """The entry that follows `previous` in the log `name`."""
    n = 1 if previous is None else previous.n + 1
    before = start_digest(name) if previous is None else previous.digest
    digest = _digest(n, at, before, body)
    return Entry(n=n, at=at, previous=before, body=body, digest=digest)


def encode_entry(entry: Entry) -> bytes:
    """An entry as it is stored: one line of canonical JSON."""
    fields = {
        "n": entry.n,
        "at": entry.at,
        "previous": entry.previous,
        "body": entry.body,
        "digest": entry.digest,
    }
    return encode_canonical(fields) + b"\n"


def verify_chain(
    name: str,
    stored: Sequence[bytes],
    *,
    verified: Sequence[Entry] = (),
    count: int | None = None,
    head: str = "",
) -> Sequence[Entry]:
    """The entries of the log `name`, each checked; `stored` in the order of their keys.

    Args:
        name: the log's name, which its first entry is bound to.
        stored: every stored entry's bytes, but those of `verified`.
        verified: the first entries, as this function gave them before.
        count: how many entries others remember; fewer is a cut tail.
        head: digest of entry number `count` that others remember.

    Raises:
        IntegrityError: names the first entry that is altered, missing, moved, or cut off.
    """
    entries = list(verified)
    for place, data in enumerate(stored, start=len(entries) + 1):
        entries.append(_verified(name, entries[-1] if entries else None, place, data))
    if count is not None and len(entries) < count:
        raise _broken(name, len(entries) + 1, f"missing: cut off; {count} entries are remembered")
    if head and count and entries[count - 1].digest != head:
        raise _broken(name, count, "not the one that is remembered: the log was written anew")
    return entries


def _verified(name: str, previous: Entry | None, place: int, data: bytes) -> Entry:
    entry = _parse_entry(name, place, data)
    if entry.n > place:
        raise _broken(name, place, f"missing: entry {entry.n} stands in its place")
    if entry.n < place:
        raise _broken(name, place, f"moved: entry {entry.n} stands in its place")
    if entry.digest != _digest(entry.n, entry.at, entry.previous, entry.body):
        raise _broken(name, place, "altered: its digest is not that of its content")
    expected = start_digest(name) if previous is None else previous.digest
    if entry.previous != expected:
        what = "another log's" if previous is None else f"altered, or entry {place - 1} is"
        raise _broken(name, place, f"{what}: it does not follow the entry before it")
    return entry


def _parse_entry(name: str, place: int, data: bytes) -> Entry:
    try:
        fields = json.loads(data)
        entry = Entry(**fields)
        well_formed = (
            type(entry.n) is int
            and isinstance(entry.body, dict)
            and all(isinstance(text, str) for text in (entry.at, entry.previous, entry.digest))
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise _broken(name, place, f"altered: not an entry ({type(error).__name__})") from error
    if not well_formed:
        raise _broken(name, place, "altered: a field has the wrong type")
    if data != encode_entry(entry):
        raise _broken(name, place, "altered: its bytes are not the canonical form")
    return entry


def _digest(n: int, at: str, previous: str, body: Mapping[str, Any]) -> str:
    fields = {"n": n, "at": at, "previous": previous, "body": body}
    return hashlib.sha256(encode_canonical(fields)).hexdigest()


def _broken(name: str, place: int, how: str) -> IntegrityError:
    return IntegrityError(
        f"{name}: entry {place} is broken",
        why=how,
        next_step="keep the folder as it is, and compare it with another copy of the case",
    )
