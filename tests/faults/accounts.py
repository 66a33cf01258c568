"""What was written against what was stored: loss, repeats and altered bytes, counted at the source.

In: the files as the writer left them, and the stored documents. Out: an `Account`. The files
decide: each stored source is compared, byte for byte, with the file that has its inode.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shipper.wire.record import parse_record_id, stored_bytes

Stored = tuple[str, str, Mapping[str, Any]]
"""Index, id and fields."""


@dataclass
class Account:
    """The comparison's outcome; all but the sums must be empty or zero."""

    written_bytes: int = 0
    stored_bytes: int = 0
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.written_bytes} bytes written, {self.stored_bytes} stored:"
            f" loss/repeats/altered = {len(self.lost)}/{len(self.repeated)}/{len(self.altered)}"
        )

    @property
    def faults(self) -> list[str]:
        """Everything that is wrong, in words."""
        return self.lost + self.repeated + self.altered


def take_account(
    files: Iterable[Path], logs: Iterable[Stored], sources: Iterable[Mapping[str, Any]]
) -> Account:
    """Compare `files` with the records and the source documents of one or more streams."""
    account = Account()
    inode_of = {
        (row["afterimage.stream"], row["afterimage.source"]): int(row["log.file.inode"])
        for row in sources
    }
    ranges: dict[int, list[tuple[int, bytes, str]]] = {}
    for index, document_id, fields in logs:
        key = parse_record_id(document_id)
        try:
            data = stored_bytes(document_id, fields)
        except ValueError as error:
            account.altered.append(str(error))
            continue
        inode = inode_of.get((key.stream, key.source))
        if inode is None:
            account.lost.append(f"{document_id}: no source document")
            continue
        ranges.setdefault(inode, []).append((key.offset, data, f"{index}/{document_id}"))
    for path in files:
        _compare(account, path, ranges.pop(path.stat().st_ino, []))
    for inode, strangers in ranges.items():
        account.altered.append(f"{len(strangers)} records of inode {inode}, which is no file's")
    return account


def _compare(account: Account, path: Path, records: list[tuple[int, bytes, str]]) -> None:
    written = path.read_bytes()
    account.written_bytes += len(written)
    at = 0
    for offset, data, name in sorted(records):
        account.stored_bytes += len(data)
        if offset > at:
            account.lost.append(f"{path.name}: [{at}, {offset}) is not stored")
        elif offset < at:
            account.repeated.append(f"{path.name}: {name} begins before {at}")
        if written[offset : offset + len(data)] != data:
            account.altered.append(f"{path.name}: {name} differs from the file")
        at = max(at, offset + len(data))
    if at < len(written):
        account.lost.append(f"{path.name}: [{at}, {len(written)}) is not stored")
