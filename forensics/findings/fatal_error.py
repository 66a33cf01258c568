"""The last fatal thing that a program said: a traceback, a panic, or a line at level critical.

In: what was observed. Out: at most one finding, of the fatal error nearest to the end. A traceback
is one record of many lines, where the shipper knows that they belong together, or many records;
then its last line, the exception, is found among the following records of the same file, because
records of other files stand in between.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from forensics.findings.finding import (
    Confidence,
    Finding,
    Observed,
    record_reference,
)
from forensics.findings.memory_exhausted import is_memory_error
from forensics.findings.nearness import is_alive, is_near_the_end
from forensics.safe_text import fold_lines
from forensics.store.protocol import Document

_TRACEBACK: Final = re.compile(r"\bTraceback \(most recent call last\)")
_PANIC: Final = re.compile(
    r"^panic: |^goroutine \d+ \[running\]"
    r"|\bthread '[^']*' panicked at\b"
    r"|\bKernel panic - not syncing\b"
    r"|\bsegfault at [0-9a-f]+ ip\b|\bSegmentation fault\b"
    r"|^fatal error: |^Fatal Python error: "
    r"|\bException in thread \"[^\"]*\" "
    r"|\bterminate called after throwing an instance\b"
    r"|\(core dumped\)"
    r"|^Unhandled exception\b|\bUncaught (?:\w+)?Error\b|\bUnhandledPromiseRejection\b",
    re.MULTILINE,
)
_TRACEBACK_LINES: Final = 400
_EXCEPTION: Final = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning)?(?::|$)")


def find_fatal_error(observed: Observed) -> Finding | None:
    """The last traceback, panic or critical line before the end; else the last error line."""
    fallback: Document | None = None
    last_error: Document | None = None
    for index in range(len(observed.records) - 1, -1, -1):
        record = observed.records[index]
        if _TRACEBACK.search(record.message):
            closing, said = _exception_of(observed.records, index)
            if is_memory_error(said):
                continue  # that is memory_exhausted's to say
            return _finding(observed, "a traceback", (record, closing), said, weight=90)
        if _PANIC.search(record.message) and not is_memory_error(record.message):
            return _finding(observed, "a crash", (record,), record.message, weight=92)
        if record.level == "critical" and not is_memory_error(record.message):
            return _finding(observed, "a critical error", (record,), record.message, weight=85)
        if record.level == "error":
            last_error = last_error or record
            if fallback is None and not is_memory_error(record.message):
                fallback = record
    if fallback is None or not is_near_the_end(fallback.timestamp, observed):
        return None
    # Lines on memory are memory_exhausted's; the last line is then another than this one.
    which = "line" if fallback is last_error else "line, but for those on memory,"
    alive = is_alive(observed)
    return Finding(
        name="fatal_error",
        title="An error, so far" if alive else "An error near the end",
        statement=f"The last {which} at level error{' so far' * alive} says: "
        f"{fold_lines(fallback.message)[:200]}",
        confidence=Confidence.POSSIBLE,
        weight=40,
        evidence=(record_reference(fallback),),
    )


def _finding(
    observed: Observed, kind: str, records: tuple[Document, ...], said: str, *, weight: int
) -> Finding:
    near = is_near_the_end(records[-1].timestamp, observed)
    said = fold_lines(said.strip())[:200]
    when = "shortly before its last word" if near else "well before its last word"
    when += " so far" * is_alive(observed)
    unique = {record.id: record for record in records}
    return Finding(
        name="fatal_error",
        title="A program failed",
        statement=f"A program wrote {kind} {when}: {said}",
        confidence=Confidence.LIKELY if near else Confidence.POSSIBLE,
        weight=weight if near else 45,
        evidence=tuple(record_reference(record) for record in unique.values()),
    )


def _exception_of(records: Sequence[Document], index: int) -> tuple[Document, str]:
    """The record that ends the traceback which starts at `index`, and its line that says what.

    The record itself where none follows.
    """
    first = records[index]
    within = _last_exception(first.message)
    if within:
        return first, within
    place = first.cursor
    for record in records[index + 1 : index + 1 + _TRACEBACK_LINES]:
        if (record.cursor.stream, record.cursor.source, record.path) != (
            place.stream,
            place.source,
            first.path,
        ):
            continue
        text = record.message
        if text[:1] in {" ", "\t", ""}:
            continue
        closing = record if _EXCEPTION.match(text) else first
        return closing, closing.message
    return first, first.message


def _last_exception(message: str) -> str:
    """The last line of a record that holds a whole traceback; empty: it holds none."""
    lines = message.rstrip().split("\n")
    starts = [at for at, line in enumerate(lines) if _TRACEBACK.search(line)]
    for line in reversed(lines[starts[-1] + 1 :]):
        if line[:1] not in {" ", "\t", ""} and _EXCEPTION.match(line):
            return line
    return ""
