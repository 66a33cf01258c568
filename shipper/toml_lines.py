"""Where each key of a TOML document stands, which tomllib does not tell.

In: a document that tomllib has accepted. Out: the line number of every table, key and array
element, by its path. It must never judge a document: a malformed one gives nonsense.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Final

Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")
_STRINGS: Final = {
    '"""': re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL),  # up to two quotes may end the text
    "'''": re.compile(r"'''.*?'{3,5}", re.DOTALL),
    '"': re.compile(r'"(?:\\.|[^"\\])*"'),
    "'": re.compile(r"'[^']*'"),
}


def find_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of each table, key and array element, e.g. `("sources", "tail", 0)`."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.scan()
    return scanner.lines


class _Scanner:
    """One pass over the text; `position` is the next character to look at."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._position = 0
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._elements: dict[Path, int] = {}
        """How many `[[…]]` headers each array of tables has had so far."""

    def scan(self) -> None:
        table: Path = ()
        while self._skip_blank():
            if self._text.startswith("[", self._position):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        """A `[table]` or `[[array of tables]]` line; the path that its keys belong to."""
        at = self._position
        brackets = 2 if self._text.startswith("[[", at) else 1
        self._position += brackets
        path: Path = ()
        parts = self._key()
        for number, part in enumerate(parts, start=1):
            path += (part,)
            self._note(path, at)
            if brackets == 2 and number == len(parts):  # noqa: PLR2004 - [[ opens a new element
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                path += (self._elements[path] - 1,)
                self._note(path, at)
        self._skip_blank()
        self._position += brackets
        return path

    def _pair(self, table: Path) -> None:
        """`key = value`."""
        at = self._position
        path = table
        for part in self._key():
            path += (part,)
            self._note(path, at)
        self._skip_blank()
        self._position += len("=")
        self._value(path)

    def _key(self) -> list[str]:
        """A dotted key's parts."""
        parts = []
        while True:
            self._skip_blank()
            quoted = self._match_string()
            if quoted is not None:
                parts.append(str(tomllib.loads(f"key = {quoted}")["key"]))
            else:
                parts.append(self._take(_BARE_KEY))
            self._skip_blank()
            if not self._text.startswith(".", self._position):
                return parts
            self._position += len(".")

    def _value(self, path: Path) -> None:
        self._skip_blank()
        if self._text.startswith("[", self._position):
            self._array(path)
        elif self._text.startswith("{", self._position):
            self._inline_table(path)
        elif self._match_string() is None:
            self._take(_SCALAR)

    def _array(self, path: Path) -> None:
        self._position += len("[")
        number = 0
        while self._skip_blank() and not self._text.startswith("]", self._position):
            self._note((*path, number), self._position)
            self._value((*path, number))
            self._skip_comma()
            number += 1
        self._position += len("]")

    def _inline_table(self, path: Path) -> None:
        self._position += len("{")
        while self._skip_blank() and not self._text.startswith("}", self._position):
            self._pair(path)
            self._skip_comma()
        self._position += len("}")

    def _skip_comma(self) -> None:
        self._skip_blank()
        if self._text.startswith(",", self._position):
            self._position += len(",")

    def _skip_blank(self) -> bool:
        """Skip white space, newlines and comments; whether anything follows."""
        self._take(_BLANK)
        return self._position < len(self._text)

    def _match_string(self) -> str | None:
        for opening, pattern in _STRINGS.items():
            if self._text.startswith(opening, self._position):
                return self._take(pattern)
        return None

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._position)
        if match is None:
            raise ValueError(f"not TOML at character {self._position}")
        self._position = match.end()
        return match[0]

    def _note(self, path: Path, position: int) -> None:
        self.lines.setdefault(path, bisect_right(self._line_starts, position))
