"""The lines that are shipped, with a serial number in each.

In: a folder, how many lines, of which kind. Out: files and what is known of them. *mixed* is five
files of five programs, as machines have them; *plain* one file with a time first in every line;
*jumbled* the lines of the five by turns in one file, the worst case for who looks at columns.
Most lines carry a marker `r-00000042`, so that what came can be compared with what was written,
line by line, whatever form a shipper gave it. Lines of stack traces carry none and repeat, as they
do in life: that is what ids made of a line's content fall over. It must never depend on the clock.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Final, Literal

Kind = Literal["mixed", "plain", "jumbled"]
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
    """What was written."""

    paths: Sequence[str]
    lines: int
    marked: int
    """Lines that carry a marker; their numbers are not dense."""
    size_bytes: int

    def unlink(self) -> None:
        """Delete the files."""
        for path in self.paths:
            Path(path).unlink()


def write_corpus(folder: Path, lines: int, kind: Kind) -> Corpus:
    """Write exactly so many lines; the same bytes each time."""
    rng = random.Random(_SEED)
    numbers = count()
    shares: dict[str, tuple[int, Iterator[str]]]
    if kind == "mixed":
        rest = lines - sum(lines * weight // 100 for _, weight, _ in _PROGRAMS)
        shares = {
            name: (
                lines * weight // 100 + (rest if place == 0 else 0),
                _lines(rng, numbers, (line,)),
            )
            for place, (name, weight, line) in enumerate(_PROGRAMS)
        }
    elif kind == "plain":
        shares = {"plain": (lines, _lines(rng, numbers, (_iso_line,)))}
    else:
        formats = tuple(line for _, weight, line in _PROGRAMS for _ in range(weight))
        shares = {"jumbled": (lines, _lines(rng, numbers, formats))}
    paths, marked, size_bytes = [], 0, 0
    for name, (share, source) in shares.items():
        path = folder / f"{name}.log"
        marked += _write(path, islice(source, share))
        size_bytes += path.stat().st_size
        paths.append(str(path))
    return Corpus(paths=paths, lines=lines, marked=marked, size_bytes=size_bytes)


def _write(path: Path, source: Iterator[str]) -> int:
    marked = 0
    with path.open("wb") as file:
        while block := "".join(islice(source, _BLOCK_LINES)).encode():
            marked += len(MARKER.findall(block))
            file.write(block)
    return marked


def _lines(
    rng: random.Random, numbers: Iterator[int], formats: Sequence[Callable[..., str]]
) -> Iterator[str]:
    """Lines of these formats by chance; of a Python program, a trace now and then."""
    while True:
        for line in rng.choices(formats, k=100):
            yield line(rng, next(numbers))
        if _python_line in formats:
            yield _python_line(rng, next(numbers), "ERROR")
            yield from (f"{line}\n" for line in _TRACE)


def _clock(number: int) -> tuple[int, int, int, int]:
    """Hour, minute, second and microsecond of the n-th line: about 1,400 lines a second."""
    second, micro = divmod(number * 731, 1_000_000)
    return second // 3600 % 24, second // 60 % 60, second % 60, micro


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


_PROGRAMS: Final = (
    ("service", 27, _iso_line),
    ("python", 20, _python_line),
    ("syslog", 20, _syslog_line),
    ("access", 20, _access_line),
    ("json", 13, _json_line),
)
"""Files of the mix, with their shares in percent."""


def repeat_corpus(block: Corpus, folder: Path, size_bytes: int) -> Corpus:
    """Files of at least so many bytes, of the same blocks again and again: written quickly."""
    times = max(1, -(-size_bytes // block.size_bytes))
    paths = []
    for path in map(Path, block.paths):
        content = path.read_bytes()
        with (folder / f"repeated-{path.name}").open("wb") as file:
            for _ in range(times):
                file.write(content)
        paths.append(file.name)
    return Corpus(
        paths=paths,
        lines=block.lines * times,
        marked=block.marked,
        size_bytes=block.size_bytes * times,
    )
