"""What one record costs in each thing that may be done to it before it is built, in CPU time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from shipper.config import MASK_NAMES, MULTILINE_PRESETS
from shipper.sources.forward.events import LineBuilder
from shipper.wire.formats import find_shape
from shipper.wire.masks import Masker
from shipper.wire.multiline import Grouping
from shipper.wire.structured import fields_member
from tests.bench.chapter import Chapter, show_number
from tests.bench.measured import median
from tests.bench.options import Options

Work = Callable[[list[bytes]], object]

_MOST: Final = 20_000
"""Records a round: enough for microseconds to be told apart."""
_WORDS: Final = b"2026-01-03 14:05:12,221 INFO shop.orders order 17 accepted for customer 4711"
_TIME: Final = b"2026-01-03T14:05:12.123456789Z"
_JSON: Final = (
    b'{"time":"2026-01-03T14:05:12.221Z","level":"info","logger":"shop.orders","msg":"accepted",'
    b'"order":4711,"customer":"c-123456","items":3,"total":33.10,"trace":"0af7651916cd43dd844"}\n'
)
_WRAPPED: Final = {
    "docker": b'{"log":"%b\\n","stream":"stdout","time":"%b"}\n' % (_WORDS, _TIME),
    "cri": b"%b stdout F %b\n" % (_TIME, _WORDS),
    "forward": LineBuilder("shop", None).build(0, {"message": _WORDS.decode(), "n": 1}, None, 0),
}


def _works() -> Iterator[tuple[str, bytes, Work]]:
    """What is done, and the record that it is done to."""
    plain = _WORDS + b"\n"
    maskers = {
        "five kinds of secret": Masker(builtin=MASK_NAMES[:5]),
        "all kinds of secret": Masker(builtin=MASK_NAMES),
        "a pattern with a literal": Masker(patterns=[r"card=(\d+)"]),
        "a pattern without": Masker(patterns=[r"\b\d{16}\b"]),
    }
    for name, masker in maskers.items():
        yield f"masks that find nothing: {name}", plain, _mask_with(masker)
    for preset in MULTILINE_PRESETS:
        yield f"lines that stand alone: {preset}", plain, _group_with(Grouping(preset=preset))
    for kind, line in _WRAPPED.items():
        yield f"taken apart: {kind}", line, _shape_with(kind)
    yield f"fields of {len(_JSON)} bytes of JSON", _JSON, lambda lines: [*map(fields_member, lines)]


def _mask_with(masker: Masker) -> Work:
    return lambda lines: [masker.mask(lines[place]) for place in masker.candidates(lines)]


def _group_with(grouping: Grouping) -> Work:
    return lambda lines: grouping.group(lines, final=True)


def _shape_with(kind: str) -> Work:
    shape = find_shape(kind)
    if shape is None:
        raise ValueError(f"{kind} has no shape")
    return lambda lines: [*map(shape, lines)]


def run(options: Options, folder: Path) -> Chapter:
    """Measure in turn."""
    count = min(options.lines, _MOST)
    took: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, record, work in _works():
            lines = [record] * count
            begun = time.process_time()
            work(lines)
            took.setdefault(name, []).append((time.process_time() - begun) * 1e6 / count)
    return Chapter(
        title="A record on its way",
        method=f"CPU time for {count:,} records that need nothing, in one process.",
        header=("what is done", "µs a record"),
        rows=[(name, show_number(median(times))) for name, times in took.items()],
    )
