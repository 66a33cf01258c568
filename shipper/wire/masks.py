"""Secrets are overwritten before a record leaves the machine: `*` for each byte, same length.

In: a record. Out: the record, and which of its bytes were overwritten. What is overwritten is
decided by the record's bytes alone, so that a record read again is masked the same. It must never
change a length, leave half of a UTF-8 sequence or of a JSON escape, or overwrite a line feed.

Of a wrapped line (Docker, CRI) only the application's words are looked at, as they stand there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shipper.wire.formats import Words
from shipper.wire.regexes import compile_pattern, find_literal

Range = tuple[int, int]
"""(start, length) of overwritten bytes of a record."""

WINDOW_BYTES: Final = 2048
"""What a configured pattern sees at a time: no hostile line makes it slow. Matches of up to half of
it are found wherever they stand."""
_ROUNDS: Final = 8
"""Overwriting may uncover what a pattern matches next; so often it is looked again."""
_BACKSLASH: Final = 0x5C
_ESCAPE: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Secret:
    """A kind of secret."""

    pattern: re.Pattern[bytes]
    """Where it has groups, only those are overwritten."""
    literals: tuple[bytes, ...]
    """One of them stands wherever it matches, in lower case; none: no telling."""
    is_windowed: bool = False


_OPENED: Final = rb"""(?:\\?["'])?\s{0,2}[:=]\s{0,2}"""
"""Between a name and its value: quotes that may be escaped, `:` or `=`."""
# a value in quotes, which may have spaces, or one without
_VALUE: Final = (
    rb"""(?:\\?["']((?:[^"'\\\n]|\\[^"'n\n]){1,512}+)"""
    rb"""|((?:[^\s"'&,;\\]|\\u[0-9a-fA-F]{4}|\\\\){1,512}+))"""
)


def _secret(pattern: bytes, *literals: bytes) -> _Secret:
    return _Secret(pattern=re.compile(pattern, re.MULTILINE), literals=literals)


BUILTIN: Final = {
    # AWS IAM User Guide, "IAM identifiers": unique ID prefixes; 20 characters
    "aws-access-key": _secret(
        rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", b"akia", b"asia"
    ),
    # the names in AWS's credentials file and environment; 40 characters, session tokens longer
    "aws-secret-key": _secret(
        rb"(?i:secret[_-]?access[_-]?key|secretkey|session[_-]?token)"
        + _OPENED
        + rb"""(?:\\?["'])?([A-Za-z0-9/+=]{40,4096}+)""",
        b"secret",
        b"session",
    ),
    # RFC 6750 §2.1 (b64token), RFC 7617 behind its header's name
    "bearer-token": _secret(
        rb"\b(?i:bearer) {1,4}([A-Za-z0-9._~+/-]{8,4096}+=*+)"
        rb"""|(?i:authorization(?:\\?["'])?\s{0,2}[:=]\s{0,2}(?:\\?["'])?basic) {1,4}"""
        rb"([A-Za-z0-9+/]{4,4096}+=*+)",
        b"bearer",
        b"authorization",
    ),
    # RFC 7519 §3: header and payload are JSON objects, so each begins with eyJ in base64url
    "jwt": _secret(
        rb"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,8192}+\.eyJ[A-Za-z0-9_-]{2,8192}+\.[A-Za-z0-9_-]*+",
        b"eyj",
    ),
    # RFC 7468 §2 and OpenSSH's, PGP's armour (RFC 4880 §6.2); cut off, it goes on to the end
    "private-key": _secret(
        rb"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        rb"((?:[^-]|-(?!----END )){1,32768}+)",
        b"-----begin ",
    ),
    # GitHub, "Behind GitHub's new authentication token formats"; fine-grained tokens
    "github-token": _secret(
        rb"(?<![A-Za-z0-9_])(?:gh[oprsu]_[A-Za-z0-9]{36,251}+|github_pat_[A-Za-z0-9_]{22,244}+)",
        b"gho_",
        b"ghp_",
        b"ghr_",
        b"ghs_",
        b"ghu_",
        b"github_pat_",
    ),
    # GitLab docs, "Token prefixes"
    "gitlab-token": _secret(rb"(?<![A-Za-z0-9_-])gl[a-z]{2,6}-[A-Za-z0-9_-]{20,300}+", b"gl"),
    # Slack API docs, "Token types"; incoming webhooks are secrets in their path
    "slack-token": _secret(
        rb"(?<![A-Za-z0-9])xox[a-z](?:\.[a-z]+)?-[A-Za-z0-9-]{10,300}+"
        rb"|hooks\.slack\.com/services/([A-Za-z0-9/]{10,100}+)",
        b"xox",
        b"hooks.slack.com",
    ),
    # Google Cloud docs, "API keys": AIza and 35 characters
    "google-api-key": _secret(
        rb"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])", b"aiza"
    ),
    # Stripe docs, "API keys": secret and restricted keys
    "stripe-key": _secret(
        rb"(?<![A-Za-z0-9])[rs]k_(?:live|test)_[A-Za-z0-9]{16,247}+", b"k_live_", b"k_test_"
    ),
    # RFC 3986 §3.2.1: the password of user:password@host
    "url-credentials": _secret(
        rb"""://[^\s/:@"'<>\\?#]{0,128}+:([^\s/@"'<>\\]{1,256}+)@""", b"://"
    ),
    # the names that configurations, forms and connection strings use
    "password": _secret(
        rb"(?i:passw(?:or)?d|passwd|passphrase|\bpwd|client[_-]?secret|api[_-]?key"
        rb"|access[_-]?token|refresh[_-]?token)" + _OPENED + _VALUE,
        b"pass",
        b"pwd",
        b"secret",
        b"api",
        b"token",
    ),
}
"""By name; each with where its form is written down."""


class Masker:
    """Some kinds of secrets. Immutable."""

    def __init__(
        self,
        *,
        builtin: Sequence[str] = (),
        patterns: Sequence[str] = (),
        words: Words | None = None,
    ) -> None:
        """`words`: where the application's words stand in a record; None: they are all of it.

        Raises:
            ValueError: no such name, or a regular expression that `compile_problem` names.
        """
        unknown = [name for name in builtin if name not in BUILTIN]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no kind of secret: {', '.join(BUILTIN)}")
        configured = (
            _Secret(
                pattern=compile_pattern(text),
                literals=(literal.lower(),) if (literal := find_literal(text)) else (),
                is_windowed=True,
            )
            for text in dict.fromkeys(patterns)
        )
        self._secrets = (*(BUILTIN[name] for name in dict.fromkeys(builtin)), *configured)
        self._words = words
        literals = [secret.literals for secret in self._secrets]
        self._literals = None if () in literals else frozenset(sum(literals, ()))

    def candidates(self, records: Sequence[bytes]) -> Sequence[int]:
        """Which records may hold a secret: a look at all of them at once, cheap where none does."""
        if self._literals is None:
            return range(len(records))
        chunk = b"".join(records).lower()
        found: set[int] = set()
        starts: list[int] = []
        for literal in self._literals:
            at = chunk.find(literal)
            while at >= 0:
                if not starts:
                    starts = _starts(records)
                place = bisect_right(starts, at) - 1
                found.add(place)
                end = starts[place + 1] if place + 1 < len(starts) else len(chunk)
                at = chunk.find(literal, end)
        return sorted(found)

    def mask(self, record: bytes) -> tuple[bytes, list[Range]]:
        """The record with its secrets overwritten, and where: ascending, apart from each other."""
        masked = bytearray(record)
        ranges: list[Range] = []
        for _ in range(_ROUNDS):
            current = bytes(masked)
            found = [
                span for start, end in self._find(current) for span in _fit(current, start, end)
            ]
            if not found:
                break
            for start, end in found:
                masked[start:end] = b"*" * (end - start)
                ranges.append((start, end - start))
        return bytes(masked), _merge(ranges)

    def _find(self, record: bytes) -> Iterator[tuple[int, int]]:
        """Spans of the record that are to be overwritten, in any order."""
        if self._words is None:
            for secret in self._secrets:
                yield from _spans(secret, record)
            return
        places = self._words(record)
        text = b"\n".join(record[start:end] for start, end in places)
        back = _way_back(places)
        for secret in self._secrets:
            for start, end in _spans(secret, text):
                yield from back(start, end)


def _spans(secret: _Secret, text: bytes) -> Iterator[tuple[int, int]]:
    for start, end in _windows(len(text)) if secret.is_windowed else ((0, len(text)),):
        for match in secret.pattern.finditer(text, start, end):
            groups = [span for span in match.regs[1:] if span[0] >= 0]
            yield from groups or (match.span(),)


def _windows(size: int) -> Iterator[tuple[int, int]]:
    start = 0
    while True:
        yield start, min(size, start + WINDOW_BYTES)
        if start + WINDOW_BYTES >= size:
            return
        start += WINDOW_BYTES // 2


def _way_back(
    places: Sequence[tuple[int, int]],
) -> Callable[[int, int], list[tuple[int, int]]]:
    """From spans of the words, joined by line feeds, to spans of the record."""
    starts = [0]
    for start, end in places:
        starts.append(starts[-1] + end - start + 1)

    def back(start: int, end: int) -> list[tuple[int, int]]:
        found = []
        place = bisect_right(starts, start) - 1
        while place < len(places) and starts[place] < end:
            at, stop = places[place]
            first = at + max(0, start - starts[place])
            last = min(stop, at + end - starts[place])
            if first < last:
                found.append((first, last))
            place += 1
        return found

    return back


def _fit(record: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """The span so that nothing is left in halves, without line feeds; what is masked is left."""
    while start > 0 and record[start] & 0xC0 == 0x80:  # noqa: PLR2004 - inside a UTF-8 sequence
        start -= 1
    while end < len(record) and record[end] & 0xC0 == 0x80:  # noqa: PLR2004
        end += 1
    if record[:1] == b"{":
        start, end = _whole_escapes(record, start, end)
    return [
        match.span()
        for match in _LINES.finditer(record, start, end)
        if match[0].count(b"*") < match.end() - match.start()
    ]


_LINES: Final = re.compile(rb"[^\n]+")


def _whole_escapes(record: bytes, start: int, end: int) -> tuple[int, int]:
    """The span, wider where it begins or ends inside an escape of a JSON string."""
    for match in _ESCAPE.finditer(record, _before_backslashes(record, start), end):
        if match.start() < start < match.end():
            start = match.start()
            break
        if match.start() >= start:
            break
    for match in _ESCAPE.finditer(record, _before_backslashes(record, end)):
        if match.start() >= end:
            break
        end = max(end, match.end())
    return start, end


def _before_backslashes(record: bytes, at: int) -> int:
    """Where the backslashes begin that may reach to `at`: escapes are counted from there."""
    first = at
    for back in range(1, len(b"\\u0026")):
        if at - back >= 0 and record[at - back] == _BACKSLASH:
            first = at - back
            while first > 0 and record[first - 1] == _BACKSLASH:
                first -= 1
    return first


def _starts(records: Sequence[bytes]) -> list[int]:
    starts = []
    at = 0
    for record in records:
        starts.append(at)
        at += len(record)
    return starts


def _merge(ranges: Sequence[Range]) -> list[Range]:
    merged: list[Range] = []
    for start, length in sorted(ranges):
        if merged and start <= merged[-1][0] + merged[-1][1]:
            first, before = merged[-1]
            merged[-1] = (first, max(before, start + length - first))
        else:
            merged.append((start, length))
    return merged
