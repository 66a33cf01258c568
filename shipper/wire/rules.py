"""The rules of one source: what of it is dropped, what is too much, and which secrets are masked.

In: framed records and where they stand. Out: what is shipped, masked; and tiles for the rest, each
with its reason. A record is judged before it is masked: first the drop patterns, then the rates.
What a rate drops depends on when it was read, so records read again after a crash may be judged
otherwise: then both are there, never neither. It must never leave out a byte without a tile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from shipper.wire.formats import Words, find_words
from shipper.wire.globs import names_source
from shipper.wire.mask_edges import EDGE_BYTES, WINDOW_BYTES
from shipper.wire.masks import Masker
from shipper.wire.regexes import compile_pattern, find_literal
from shipper.wire.transforms import Drop, Transform, Transformed


class MaskRule(Protocol):
    """A configured mask, as `shipper.config.MaskConfig`."""

    @property
    def builtin(self) -> Sequence[str]:
        """Names of `masks.BUILTIN`."""

    @property
    def patterns(self) -> Sequence[str]:
        """Regular expressions."""

    @property
    def paths(self) -> Sequence[str]:
        """Globs of the sources that it applies to; none: all."""


class DropRule(Protocol):
    """A configured drop, as `shipper.config.DropConfig`."""

    @property
    def reason(self) -> str:
        """What its tiles say."""

    @property
    def pattern(self) -> str:
        """A regular expression."""

    @property
    def paths(self) -> Sequence[str]:
        """Globs of the sources that it applies to; none: all."""


class RateRule(Protocol):
    """A configured rate, as `shipper.config.RateConfig`."""

    @property
    def reason(self) -> str:
        """What its tiles say."""

    @property
    def records_per_second(self) -> int:
        """How many are shipped, of one source."""

    @property
    def burst(self) -> int:
        """How many at once; 0: as many as one second's."""

    @property
    def paths(self) -> Sequence[str]:
        """Globs of the sources that it applies to; none: all."""


class _Rule(Protocol):
    @property
    def paths(self) -> Sequence[str]: ...


def make_transform(
    masks: Sequence[MaskRule],
    drops: Sequence[DropRule],
    rates: Sequence[RateRule],
    path: str,
    *,
    kind: str = "file",
) -> Transform | None:
    """What applies to the source of that path and kind; None: no rule does.

    Raises:
        ValueError: a name or a regular expression is wrong.
    """
    masks = [rule for rule in masks if _applies(rule, path)]
    drops = [rule for rule in drops if _applies(rule, path)]
    rates = [rule for rule in rates if _applies(rule, path)]
    if not (masks or drops or rates):
        return None
    words = find_words(kind)
    masker = Masker(
        builtin=[name for rule in masks for name in rule.builtin],
        patterns=[text for rule in masks for text in rule.patterns],
        words=words,
    )
    return Rules(
        masker=masker if masks else None,
        drops=[_Dropper(rule, words) for rule in drops],
        rates=[_Bucket(rule) for rule in rates],
    )


def _applies(rule: _Rule, path: str) -> bool:
    return not rule.paths or any(names_source(pattern, path) for pattern in rule.paths)


class _Dropper:
    """One drop pattern."""

    def __init__(self, rule: DropRule, words: Words | None) -> None:
        self.reason: Final = rule.reason
        self._search = compile_pattern(rule.pattern).search
        self._literal = find_literal(rule.pattern)
        self._words = words

    def find(self, records: Sequence[bytes]) -> list[int]:
        """Which records it drops, by the first bytes of each."""
        literal, search, words = self._literal, self._search, self._words
        if words is None:
            return [
                place
                for place, record in enumerate(records)
                if literal in record and search(record, 0, WINDOW_BYTES) is not None
            ]
        found = []
        for place, record in enumerate(records):
            if literal in record:
                text = b"\n".join(record[start:end] for start, end in words(record))
                if search(text, 0, WINDOW_BYTES) is not None:
                    found.append(place)
        return found


class _Bucket:
    """One rate's tokens."""

    def __init__(self, rule: RateRule) -> None:
        self.reason: Final = rule.reason
        self._per_second = rule.records_per_second
        self._capacity = float(rule.burst or rule.records_per_second)
        self._tokens = self._capacity
        self._at_seconds: float | None = None

    def take(self, wanted: int, now_seconds: float) -> int:
        """How many of `wanted` records may go."""
        if self._at_seconds is not None:
            passed = max(0.0, now_seconds - self._at_seconds)
            self._tokens = min(self._capacity, self._tokens + passed * self._per_second)
        self._at_seconds = now_seconds
        taken = min(wanted, int(self._tokens))
        self._tokens -= taken
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules that apply to one source; rates keep their state."""

    masker: Masker | None
    drops: Sequence[_Dropper]
    rates: Sequence[_Bucket]

    def apply(
        self, records: Sequence[bytes], offset: int, now_seconds: float, before: bytes = b""
    ) -> Transformed:
        """`Transform.apply`."""
        befores = {} if self.masker is None else _find_befores(records, before)
        places: list[int] = []
        reasons = self._judge(records, now_seconds)
        kept: list[bytes] = []
        offsets: list[int] = []
        drops: list[Drop] = []
        for place, record in enumerate(records):
            end = offset + len(record)
            reason = reasons.get(place)
            if reason is None:
                kept.append(record)
                places.append(place)
                offsets.append(offset)
            elif drops and drops[-1].end == offset and drops[-1].reason == reason:
                last = drops[-1]
                drops[-1] = Drop(start=last.start, end=end, count=last.count + 1, reason=reason)
            else:
                drops.append(Drop(start=offset, end=end, count=1, reason=reason))
            offset = end
        return Transformed(kept, offsets, self._mask(kept, places, befores), drops)

    def _judge(self, records: Sequence[bytes], now_seconds: float) -> Mapping[int, str]:
        """Why a record is dropped, by its place; the first rule that does so says it."""
        reasons: dict[int, str] = {}
        for drop in self.drops:
            for place in drop.find(records):
                reasons.setdefault(place, drop.reason)
        for rate in self.rates:
            left = [place for place in range(len(records)) if place not in reasons]
            for place in left[rate.take(len(left), now_seconds) :]:
                reasons[place] = rate.reason
        return reasons

    def _mask(
        self, kept: list[bytes], places: Sequence[int], befores: Mapping[int, bytes]
    ) -> dict[int, list[tuple[int, int]]]:
        """`places` of those that are kept, among all; `befores` by place among all."""
        masked: dict[int, list[tuple[int, int]]] = {}
        if self.masker is None:
            return masked
        wanted = set(self.masker.candidates(kept))
        if befores:
            wanted.update(at for at, place in enumerate(places) if place in befores)
        for at in sorted(wanted):
            before = befores.get(places[at], b"")
            is_cut = bool(befores) and not kept[at].endswith(b"\n")
            record, ranges = self.masker.mask(kept[at], before=before, is_cut=is_cut)
            if ranges:
                kept[at] = record
                masked[at] = ranges
        return masked


def _find_befores(records: Sequence[bytes], before: bytes) -> dict[int, bytes]:
    """What is before each record in its line, by place, where a line is cut at either end."""
    found = {0: before} if before and records else {}
    for place, record in enumerate(records):
        if not record.endswith(b"\n"):
            found.setdefault(place, b"")
            if place + 1 < len(records):
                found[place + 1] = (found[place] + record)[-EDGE_BYTES:]
    return found
