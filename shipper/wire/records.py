"""Records of one source on their way from reading to building: bytes, and where they stand.

In: what framing cut. Out: each record and its offset, when somebody needs them one by one. Lines
that follow each other need no more than their bytes: they are cut when a body is built. It must
never hold a record's bytes twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Some records of one row of one source."""

    data: bytes
    """All of them, one after the other."""
    start: int
    """Where the first one stands."""
    lengths: Sequence[int] | None = None
    """Of each; None: each is a line with its line feed."""
    offsets: Sequence[int] | None = None
    """Where each stands; None: they follow each other."""
    masked: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """By number: (start, length) of what was overwritten in a record."""

    @classmethod
    def of(
        cls,
        records: Sequence[bytes],
        start: int,
        *,
        offsets: Sequence[int] | None = None,
        masked: Mapping[int, Sequence[tuple[int, int]]] | None = None,
    ) -> Records:
        """Records that were looked at one by one."""
        return cls(
            data=b"".join(records),
            start=start,
            lengths=list(map(len, records)),
            offsets=offsets,
            masked=masked or {},
        )

    def split(self) -> list[bytes]:
        """Each record."""
        if self.lengths is None:
            return split_lines(self.data)
        data, ends = self.data, accumulate(self.lengths)
        return [data[end - length : end] for length, end in zip(self.lengths, ends, strict=True)]

    def places(self, records: Sequence[bytes]) -> Sequence[int]:
        """Where each of `split`'s records stands."""
        if self.offsets is not None:
            return self.offsets
        places = list(accumulate(map(len, records), initial=self.start))
        del places[-1]
        return places

    @property
    def count(self) -> int:
        """How many there are."""
        return self.data.count(b"\n") if self.lengths is None else len(self.lengths)


def split_lines(data: bytes) -> list[bytes]:
    r"""The lines of `data`, which ends with `\n`, each with its own."""
    if b"\r" in data:  # splitlines would cut at it
        return [line + b"\n" for line in data[:-1].split(b"\n")]
    return data.splitlines(keepends=True)
