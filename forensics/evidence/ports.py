"""What a case asks of the place where its evidence is kept: a small Protocol.

In: keys with slashes, bytes. Out: the same bytes. Methods are synchronous (callers use
`asyncio.to_thread`). Must never offer a way to change or delete what was put.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class EvidenceStore(Protocol):
    """A bucket or a shared folder: objects that are made once and never changed."""

    def put_new(self, key: str, data: bytes) -> bool:
        """Create the object, durably; False: it exists and was left alone."""
        ...

    def get(self, key: str) -> bytes:
        """The object's bytes; `NotFoundError` where there is none."""
        ...

    def list(self, prefix: str) -> Sequence[str]:
        """The keys that start with `prefix`, sorted."""
        ...
