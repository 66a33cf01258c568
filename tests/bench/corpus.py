"""The lines that are shipped: a realistic mix, or one plain kind, with a serial number in each.

In: a path, how many lines, a seed. Out: a file and what is known of it. Most lines carry a marker
`r-00000042`, so that what came can be compared with what was written, line by line, whatever form
a shipper gave it. Lines of stack traces carry none and repeat, as they do in life: that is what
ids made of a line's content fall over. It must never depend on the clock.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

Kind = Literal["mixed", "plain"]
MARKER: Final = re.compile(rb"r-(\d{8})")

_SEED: Final = 7
_BLOCK_LINES: Final = 20_000
_PATHS: Final = ("/api/orders", "/api/orders/search?q=caf%C3%A9", "/health", "/static/app.css")
_AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "curl/8.5.0",
    "ELB-HealthChecker/2.0",
)
_TRACE: Final = (
    "Traceback (most recent call last):",
    '  File "/srv/orders/app.py", line 212, in price_order',
    "    return self._prices[order.region][order.sku]",
    '  File "/srv/orders/prices.py", line 48, in __getitem__',
    "    raise KeyError(sku)",
    "KeyError: 'sku-1042'",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """One written file."""

    path: Path
    lines: int
    marked: int
    """Lines that carry a marker; their numbers are not dense."""
    size_bytes: int


def write_corpus(path: Path, lines: int, kind: Kind) -> Corpus:
    """Write exactly so many lines; the same bytes each time."""
    rng = random.Random(_SEED)
    source = islice(_mixed(rng) if kind == "mixed" else _plain(rng), lines)
    marked = 0
    with path.open("wb") as file:
        while block := "".join(islice(source, _BLOCK_LINES)).encode():
            marked += len(MARKER.findall(block))
            file.write(block)
    return Corpus(path=path, lines=lines, marked=marked, size_bytes=path.stat().st_size)


def _clock(number: int) -> tuple[int, int, int, int]:
    """Hour, minute, second and microsecond of the n-th line: about 1,400 lines a second."""
    second, micro = divmod(number * 731, 1_000_000)
    return second // 3600 % 24, second // 60 % 60, second % 60, micro


def _plain(rng: random.Random) -> Iterator[str]:
    number = 0
    while True:
        yield _iso_line(rng, number)
        number += 1


def _mixed(rng: random.Random) -> Iterator[str]:
    kinds: tuple[Callable[[random.Random, int], str], ...] = (
        _iso_line,
        _python_line,
        _syslog_line,
        _access_line,
        _json_line,
    )
    weights = (27, 20, 20, 20, 13)
    number = 0
    while True:
        for kind in rng.choices(kinds, weights, k=100):
            yield kind(rng, number)
            number += 1
        yield _python_line(rng, number, "ERROR")
        yield from (f"{line}\n" for line in _TRACE)
        number += 1


def _iso_line(rng: random.Random, number: int) -> str:
    hour, minute, second, micro = _clock(number)
    level = rng.choice(("INFO",) * 8 + ("WARN", "ERROR"))
    client = rng.choice(("web", "app", "api"))
    return (
        f"2026-01-03T{hour:02d}:{minute:02d}:{second:02d}.{micro:06d}Z {level} "
        f'orders[{1000 + number % 7}]: order r-{number:08d} from "{client}" '
        f"priced in {rng.randint(1, 900)} ms ü\n"
    )


def _python_line(rng: random.Random, number: int, level: str = "") -> str:
    hour, minute, second, micro = _clock(number)
    level = level or rng.choice(("DEBUG", "INFO", "INFO", "WARNING"))
    return (
        f"2026-01-03 {hour:02d}:{minute:02d}:{second:02d},{micro // 1000:03d} {level} "
        f"orders.pricing: request r-{number:08d} took {rng.randint(1, 900)} ms\n"
    )


def _syslog_line(rng: random.Random, number: int) -> str:
    hour, minute, second, _ = _clock(number)
    return (
        f"Jan  3 {hour:02d}:{minute:02d}:{second:02d} ip-10-0-1-17 sshd[{800 + number % 90}]: "
        f"Accepted publickey for deploy from 10.0.{rng.randint(0, 9)}.{rng.randint(1, 254)} "
        f"port {rng.randint(1024, 65000)} ssh2 r-{number:08d}\n"
    )


def _access_line(rng: random.Random, number: int) -> str:
    hour, minute, second, _ = _clock(number)
    return (
        f"10.0.{rng.randint(0, 9)}.{rng.randint(1, 254)} - - "
        f"[03/Jan/2026:{hour:02d}:{minute:02d}:{second:02d} +0000] "
        f'"GET {rng.choice(_PATHS)} HTTP/1.1" {rng.choice((200, 200, 200, 404, 502))} '
        f'{rng.randint(0, 90_000)} "r-{number:08d}" "{rng.choice(_AGENTS)}"\n'
    )


def _json_line(rng: random.Random, number: int) -> str:
    hour, minute, second, micro = _clock(number)
    record = {
        "time": f"2026-01-03T{hour:02d}:{minute:02d}:{second:02d}.{micro:06d}Z",
        "level": rng.choice(("info", "warn", "error")),
        "msg": "cache filled",
        "request": f"r-{number:08d}",
        "took_ms": rng.randint(1, 900),
        "user": {"id": rng.randint(1, 9999), "plan": rng.choice(("free", "team"))},
    }
    return json.dumps(record, separators=(",", ":")) + "\n"


def repeat_corpus(block: Corpus, path: Path, size_bytes: int) -> Corpus:
    """A file of at least so many bytes, of the same block again and again: written quickly."""
    content = block.path.read_bytes()
    times = max(1, -(-size_bytes // len(content)))
    with path.open("wb") as file:
        for _ in range(times):
            file.write(content)
    return Corpus(
        path=path,
        lines=block.lines * times,
        marked=block.marked,
        size_bytes=path.stat().st_size,
    )
