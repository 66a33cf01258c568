"""Masks and drops that do more than anybody can want.

In: a configuration. Out: findings. Pure. It must never judge a rule by the machine's own records:
what it looks at are lines that have nothing in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from shipper.checks.finding import Finding, build_finding
from shipper.config import Config, DropConfig, MaskConfig, RateConfig
from shipper.wire.globs import compile_glob, may_meet
from shipper.wire.regexes import compile_pattern

_LINES: Final[Sequence[bytes]] = (
    b"x",
    b"0",
    b"-",
    "ü".encode(),
    b"2026-01-03 14:05:12,123 INFO main: started in 12 ms",
    b'{"level":"error","msg":"no such file"}',
    b"\tat com.example.Shop.main(Shop.java:12)",
    b"kernel: EXT4-fs (nvme0n1p1): mounted filesystem",
)


def check_transforms(config: Config) -> Iterator[Finding]:
    """Each pattern of a mask, and each drop; and what each rule applies to."""
    yield from _check_paths(config)
    for number, mask in enumerate(config.masks):
        at = ("transforms", "mask", number, "patterns")
        for place, text in enumerate(mask.patterns):
            if all(_covers(compile_pattern(text), line) for line in _LINES):
                what = f"pattern {text!r} masks every record whole: nothing readable would be left"
                yield build_finding("warning", (*at, place), what)
    for number, drop in enumerate(config.drops):
        pattern = compile_pattern(drop.pattern)
        if all(pattern.search(line) for line in _LINES):
            where = f" of {', '.join(drop.paths)}" if drop.paths else ""
            what = f"pattern {drop.pattern!r} drops every record{where}"
            yield build_finding("warning", ("transforms", "drop", number, "pattern"), what)


def _check_paths(config: Config) -> Iterator[Finding]:
    """Paths of rules that no followed file can have: names are judged with the configuration."""
    followed = [compile_glob(path) for tail in config.tails for path in tail.paths]
    tables: dict[str, Sequence[MaskConfig | DropConfig | RateConfig]]
    tables = {"mask": config.masks, "drop": config.drops, "rate": config.rates}
    for table, rules in tables.items():
        for number, rule in enumerate(rules):
            for place, pattern in enumerate(rule.paths):
                named = compile_glob(pattern)
                if pattern.startswith("/") and not any(may_meet(named, one) for one in followed):
                    at = ("transforms", table, number, "paths", place)
                    what = (
                        f"{pattern} names no source: no [[sources.tail]] follows such a file, so "
                        f"this {table} applies to nothing"
                    )
                    yield build_finding("warning", at, what)


def _covers(pattern: re.Pattern[bytes], line: bytes) -> bool:
    """Whether nothing of the line but white space is left unmasked."""
    left = bytearray(line)
    for match in pattern.finditer(line):
        groups = range(1, pattern.groups + 1) if pattern.groups else (0,)
        for group in groups:
            start, end = match.span(group)
            left[max(0, start) : max(0, end)] = b" " * (end - start)
    return not left.strip()
