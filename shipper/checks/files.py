"""The files that are followed: are there any, can they be read, are they what they should be?

In: a configuration. Out: findings. It must never read more than the start of some files, nor show
what stands in them.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from shipper.checks.finding import Finding, build_finding, unreadable_why
from shipper.config import Config, TailConfig
from shipper.sources.patterns import Scanner
from shipper.toml_lines import Path as KeyPath
from shipper.wire.multiline import MATCHED_BYTES
from shipper.wire.regexes import compile_pattern

_FILES_LIMIT: Final = 10_000
_SHOWN_LIMIT: Final = 5
_SAMPLES_LIMIT: Final = 50
_SAMPLE_BYTES: Final = 64 << 10
_FORMATS: Final = {
    "docker": re.compile(rb'\{"log":".*"stream":"(?:stdout|stderr)"'),
    "cri": re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr) [FP] "),
}


def check_files(config: Config) -> Iterator[Finding]:
    """Each pattern by itself; then what the files are, by their first lines."""
    readable: set[str] = set()
    excluded = _folder_ids(config.state_directory)
    seen: set[str] = set()
    first_tails: dict[str, int] = {}
    for number, tail in enumerate(config.tails):
        at = ("sources", "tail", number, "paths")
        samples: dict[str, bytes] = {}
        twice: dict[str, int] = {}
        for place, pattern in enumerate(tail.paths):
            here = (*at, place)
            whys = _scan(pattern, excluded)
            for path in whys:
                if first_tails.setdefault(path, number) != number:
                    twice[path] = first_tails[path]
            if pattern in seen:
                continue
            seen.add(pattern)
            if not whys:
                what = f"{pattern} matches nothing{_why_nothing(pattern)}"
                yield build_finding("warning", here, what)
            bad = [f"{path} ({why})" for path, why in sorted(whys.items()) if why]
            readable |= {path for path, why in whys.items() if not why}
            if bad:
                more = f" and {len(bad) - _SHOWN_LIMIT} more" if len(bad) > _SHOWN_LIMIT else ""
                listed = ", ".join(bad[:_SHOWN_LIMIT])
                yield build_finding("warning", here, f"can't be read: {listed}{more}")
            samples |= _read_samples(path for path, why in sorted(whys.items()) if not why)
        yield from _check_twice(at, twice)
        yield from _check_formats(number, tail, samples)
        yield from _check_starts(number, tail, samples)
    if readable:
        files = "1 file" if len(readable) == 1 else f"{len(readable)} files"
        yield build_finding("ok", ("sources", "tail", "paths"), f"{files} can be read")


def _check_twice(at: KeyPath, twice: Mapping[str, int]) -> Iterator[Finding]:
    """A file is followed once, by the first table that names it."""
    for first in sorted(set(twice.values())):
        paths = sorted(path for path, number in twice.items() if number == first)
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        what = (
            f"{paths[0]}{more}: named by [[sources.tail]] number {first + 1} too, whose format and "
            "multiline count; this table's don't: name each file in one table"
        )
        yield build_finding("warning", at, what)


def _scan(pattern: str, excluded: frozenset[tuple[int, int]]) -> dict[str, str]:
    """What the running shipper's own scan meets: path → why it can't be read, empty if it can."""
    whys: dict[str, str] = {}

    def note(path: str, error: OSError) -> None:
        whys[path] = error.strerror or str(error)

    scanner = Scanner([pattern], excluded=excluded, on_error=note)
    for path, _ in islice(scanner.scan(), _FILES_LIMIT):
        whys[path] = unreadable_why(path)
    return whys


def _folder_ids(directory: Path) -> frozenset[tuple[int, int]]:
    try:
        found = directory.stat()
    except OSError:
        return frozenset()
    return frozenset({(found.st_dev, found.st_ino)})


def _why_nothing(pattern: str) -> str:
    """The part of the pattern that is missing, where it is a fixed one."""
    path = Path("/")
    for part in Path(pattern).parts[1:-1]:
        if glob.has_magic(part):
            break
        path /= part
        try:
            path.stat()
        except OSError as error:
            return f": {path}: {error.strerror}"
    return " now; files that appear later are followed"


def _read_samples(paths: Iterator[str]) -> dict[str, bytes]:
    """The whole lines at the start of some of the files."""
    samples = {}
    for path in islice(paths, _SAMPLES_LIMIT):
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue  # gone since
        try:
            samples[path] = os.pread(file, _SAMPLE_BYTES, 0).rpartition(b"\n")[0]
        except OSError:
            continue
        finally:
            os.close(file)
    return {path: text for path, text in samples.items() if text}


def _check_formats(
    number: int, tail: TailConfig, samples: Mapping[str, bytes]
) -> Iterator[Finding]:
    """Files that look like another format than the configured one."""
    at = ("sources", "tail", number, "format")
    found: dict[str, list[str]] = {}
    for path, text in samples.items():
        lines = text.split(b"\n", 1)[0]
        looks = next((name for name, pattern in _FORMATS.items() if pattern.match(lines)), "lines")
        if looks != tail.format:
            found.setdefault(looks, []).append(path)
    for looks, paths in found.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        if looks != "lines":
            what = (
                f"{paths[0]}{more}: the lines are {looks}'s: follow them in a [[sources.tail]] of "
                f'their own with format = "{looks}"'
            )
        else:
            what = f"{paths[0]}{more}: the lines are not {tail.format}'s, and are taken as they are"
        yield build_finding("warning", at, what)


def _check_starts(number: int, tail: TailConfig, samples: Mapping[str, bytes]) -> Iterator[Finding]:
    """A start pattern that no line matches makes one record of a file."""
    if not tail.multiline_start or tail.format != "lines" or not samples:
        return
    pattern = compile_pattern(tail.multiline_start)
    if not any(
        pattern.search(line[:MATCHED_BYTES])
        for text in samples.values()
        for line in text.split(b"\n")
    ):
        what = (
            f"multiline_start matches no line at the start of {next(iter(samples))}: "
            "without a start, lines are joined up to 1 MiB"
        )
        yield build_finding("warning", ("sources", "tail", number, "multiline_start"), what)
