"""Which lines are one record: stack traces, and what a pattern says.

In: lines. Out: how many lines each record has, from the first line on. Whether a line goes on with
a record depends on that record's lines and on the few that follow it, never on how reads were cut:
who reads on where a record ended finds the same ones. It must never look far into a line: what is
matched is its start, so that no line is expensive.

A preset walks a stack trace state by state. A blank line, or a line that only may be part of one,
is *tentative*: it belongs if the lines after it say so, else the record ended before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from shipper.wire.framing import RECORD_LIMIT_BYTES
from shipper.wire.regexes import compile_pattern

MATCHED_BYTES: Final = 512
"""Of a line's start; patterns see no more."""

State = str
Step = Callable[[State, bytes], State]
"""The state after a line; empty: the line is not part of the record. `?…` is tentative."""


class Grouping:
    """One rule, compiled: which lines belong together."""

    def __init__(self, *, preset: str = "", start: str = "", continuation: str = "") -> None:
        """One of the three is given: a name of `PRESETS`, or a regular expression."""
        text = start or continuation
        if not text and preset not in PRESETS:
            raise ValueError(f"{preset!r} is no preset: {', '.join(PRESETS)}")
        self._pattern = compile_pattern(text) if text else None
        self._joins_on_match = not start
        self._enter, self._step = PRESETS.get(preset, (_enter_any, _step_java))

    def group(
        self, lines: Sequence[bytes], *, final: bool, limit: int = RECORD_LIMIT_BYTES
    ) -> list[bytes]:
        """Records of whole lines; one that may go on is held back unless `final`: nothing follows.

        A record that would be longer than `limit` ends before the line that makes it so.
        """
        records = []
        at = 0
        for count in self.count(lines, [len(line) for line in lines], final=final, limit=limit):
            records.append(lines[at] if count == 1 else b"".join(lines[at : at + count]))
            at += count
        return records

    def count(
        self,
        texts: Sequence[bytes],
        sizes: Sequence[int],
        *,
        final: bool,
        limit: int = RECORD_LIMIT_BYTES,
    ) -> list[int]:
        """How many lines each record has, without what `group` holds back.

        `texts` are what is matched, none empty; `sizes` are the lines' bytes where they stand.
        """
        if self._pattern is None:
            return self._count_by_preset(texts, sizes, limit, final=final)
        counts = self._count_by_pattern(self._pattern, texts, sizes, limit)
        if not final and counts:
            counts.pop()
        return counts

    def _count_by_pattern(
        self,
        pattern: re.Pattern[bytes],
        texts: Sequence[bytes],
        sizes: Sequence[int],
        limit: int,
    ) -> list[int]:
        search = pattern.search
        joins_on_match = self._joins_on_match
        counts: list[int] = []
        size = limit + 1  # the first line begins a record whatever it says
        count = 0
        for text, more in zip(texts, sizes, strict=True):
            size += more
            if size <= limit and (search(text, 0, MATCHED_BYTES) is not None) is joins_on_match:
                count += 1
                continue
            if count:
                counts.append(count)
            count = 1
            size = more
        if count:
            counts.append(count)
        return counts

    def _count_by_preset(
        self, texts: Sequence[bytes], sizes: Sequence[int], limit: int, *, final: bool
    ) -> list[int]:
        enter, step = self._enter, self._step
        counts: list[int] = []
        total = len(texts)
        at = 0
        while at < total:
            start, end = at, at + 1
            size = sizes[start]
            state = enter(texts[start])
            at = end
            while state and at < total:
                size += sizes[at]
                state = step(state, texts[at]) if size <= limit else ""
                at += 1
                if state and state[0] != "?":
                    end = at
            if state and not final:
                break  # lines yet to come decide
            counts.append(end - start)
            at = end
        return counts


# --- Python -----------------------------------------------------------------------------------
#   | Traceback (most recent call last):
#   |   File "/srv/shop.py", line 8, in load
#   | shop.Closed: closed
#   |
#   | During handling of the above exception, another exception occurred:

_PYTHON_HEAD: Final = b"Traceback (most recent call last):"
_PYTHON_GROUP: Final = b"+ Exception Group Traceback (most recent call last):"
_PYTHON_CHAINS: Final = (
    b"During handling of the above exception, another exception occurred:",
    b"The above exception was the direct cause of the following exception:",
)
# shop.f.<locals>.Closed: closed · KeyboardInterrupt
_PYTHON_EXCEPTION: Final = re.compile(rb"[^\s\d\[({\"':][^\s:\[({\"']*+(?:: |:?\s*$)")


def _enter_python(line: bytes) -> State:
    first = line[:1]
    if first == b"T":
        return "frames" if line.startswith(_PYTHON_HEAD) else ""
    if first == b" ":
        start = line[:MATCHED_BYTES].lstrip()
        if start.startswith(_PYTHON_GROUP):
            return "group"
        return "frames" if start.startswith(b'File "') else ""
    return ""


def _step_python(state: State, line: bytes) -> State:
    if line[:1] in b" \t" and line.strip():
        # also what a message of several lines says further on
        in_group = line.lstrip()[:2] in _PYTHON_GROUP_MARKS
        return "group" if state == "group" and in_group else _PYTHON_INDENTED.get(state, "")
    if state == "frames":
        return "raised" if _PYTHON_EXCEPTION.match(line, 0, MATCHED_BYTES) else ""
    if not line.strip():
        return {"raised": "?blank", "group": "?blank", "?chain": "?chain"}.get(state, "")
    if state == "?blank":
        return "?chain" if line.startswith(_PYTHON_CHAINS) else ""
    if state == "?chain":
        return _enter_python(line)
    return ""


_PYTHON_GROUP_MARKS: Final = (b"| ", b"|\n", b"|\r", b"+-", b"+ ")
_PYTHON_INDENTED: Final = {"frames": "frames", "raised": "raised", "?chain": "group"}


# --- Java -------------------------------------------------------------------------------------
#   | java.lang.RuntimeException: outer failed
#   |         at shop.Order.load(Order.java:5)
#   | Caused by: java.lang.IllegalArgumentException: bad id 42
#   |         ... 2 more
#   |         Suppressed: java.lang.IllegalStateException: close failed

_JAVA_MORE: Final = re.compile(
    rb"\s{0,64}+(?:at |(?:Caused by|Suppressed|Wrapped by): |\.\.\. \d|- (?:locked|waiting|parking)"
    rb"|\[CIRCULAR REFERENCE)"
)


def _enter_any(_line: bytes) -> State:
    return "open"


def _step_java(state: State, line: bytes) -> State:
    if line[0] in b"\t CSW" and _JAVA_MORE.match(line) is not None:
        return state
    return ""


# --- Go ---------------------------------------------------------------------------------------
#   | panic: runtime error: invalid memory address or nil pointer dereference
#   | [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x65f588]
#   |
#   | goroutine 1 [running]:
#   | main.main()
#   |         example.com/shop/main.go:10 +0x108

_GO_START: Final = re.compile(
    rb"(?:.{0,256}?\b)??(?:panic: |fatal error: |SIG[A-Z]{3,5}: |http: panic serving )"
)
_GO_GOROUTINE: Final = re.compile(rb"(?:.{0,256}?\b)??goroutine \d++ .{0,128}?\[[^]\n]{1,128}+\]:")
_GO_FRAME: Final = re.compile(
    rb"\t|created by |goroutine \d|\.\.\.(?:additional frames elided|\d+ frames elided)\.\.\."
    rb"|[^\s(]++(?:\([^\s()]{0,128}+\)[^\s(]*+)?\(.{0,400}\)\s*$"
)
_GO_HEADINGS: Final = (b"goroutine ", b"runtime stack:", b"[signal ", b"runtime: ")
# rax    0xca
_GO_REGISTER: Final = re.compile(rb"[a-z][a-z0-9]{0,5} {1,8}0x[0-9a-f]{1,16}\s*$")


def _enter_go(line: bytes) -> State:
    if b"panic" in line or b"fatal error: " in line or line[:3] == b"SIG":
        return "said" if _GO_START.match(line, 0, MATCHED_BYTES) is not None else ""
    if b"goroutine " in line:
        return "frames" if _GO_GOROUTINE.match(line, 0, MATCHED_BYTES) is not None else ""
    return ""


def _step_go(state: State, line: bytes) -> State:
    if not line.strip():
        return "" if state == "registers" else "?blank"
    if line.startswith(_GO_HEADINGS):
        return "said" if line[:1] == b"[" or line.startswith(b"runtime: ") else "frames"
    if state == "said":  # a message of several lines is indented; PC=… follows a signal
        return state if line.startswith((b"\t", b"PC=")) else ""
    if state == "frames":
        return state if _GO_FRAME.match(line, 0, MATCHED_BYTES) is not None else ""
    return "registers" if _GO_REGISTER.match(line) is not None else ""


# --- Node -------------------------------------------------------------------------------------
#   | /srv/shop.js:2
#   | function load() { throw new Error("refused"); }
#   |                   ^
#   |
#   | Error: refused
#   |     at load (/srv/shop.js:2:39) {
#   |   code: 'ECONNREFUSED'
#   | }
#   |
#   | Node.js v20.20.2

_NODE_PLACE: Final = re.compile(rb"(?:file://|node:|/|[A-Za-z]:\\).{0,400}:\d++\s*$")
_NODE_CARET: Final = re.compile(rb"[ \t]{0,4000}+\^{1,4000}+\s*$")
_NODE_FRAME: Final = re.compile(rb"\s{1,64}+(?:at |\.\.\. \d+ lines matching )")


def _enter_node(line: bytes) -> State:
    if line[0] in b"/fnABCDEFGHIJKLMNOPQRSTUVWXYZ" and _NODE_PLACE.match(line, 0, MATCHED_BYTES):
        return "?place"
    return "headed"


def _step_node(state: State, line: bytes) -> State:
    indented = line[:1] in b" \t"
    if state in {"headed", "frames"}:
        if indented and _NODE_FRAME.match(line) is not None:
            return "braces" if line.rstrip().endswith(b"{") else "frames"
        return ""
    if state == "braces":
        if line[:1] == b"}":
            return "closed"
        return state if indented else ""
    return _step_node_uncaught(state, line, indented=indented)


def _step_node_uncaught(state: State, line: bytes, *, indented: bool) -> State:
    """What node prints of an exception that nobody caught: place, source, caret, error, version."""
    if state in _NODE_LINES:
        belongs, following = _NODE_LINES[state]
        return following if belongs(line) else ""
    if not line.strip():
        return {"caret": "?message", "u-frames": "?version", "u-closed": "?version"}.get(state, "")
    if state == "u-frames" and indented:
        return "u-braces" if line.rstrip().endswith(b"{") else state
    if state == "u-braces":
        return "u-closed" if line[:1] == b"}" else (state if indented else "")
    return "u-frames" if state == "caret" else ""


_NODE_LINES: Final[dict[State, tuple[Callable[[bytes], object], State]]] = {
    "?place": (bytes.strip, "?source"),
    "?source": (_NODE_CARET.match, "caret"),
    "?message": (bytes.strip, "u-frames"),
    "?version": (lambda line: line.startswith(b"Node.js v"), "done"),
}


PRESETS: Final[dict[str, tuple[Callable[[bytes], State], Step]]] = {
    "python": (_enter_python, _step_python),
    "java": (_enter_any, _step_java),
    "go": (_enter_go, _step_go),
    "node": (_enter_node, _step_node),
}
"""By name: the state after a record's first line, empty if it is all of it; and each step."""
