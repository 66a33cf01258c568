"""Reading the configuration: one TOML file, refused unless every key is right.

In: the file's text. Out: a `Config`, or all its problems at once, each with its line. It must never
ignore a key that it doesn't know, and never look at the machine: that is `shipper.check`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shipper.config import (
    EXAMPLE_URLS,
    KEYS,
    NOT_YET,
    TABLES,
    Config,
    IdentityConfig,
    Key,
    OutputConfig,
    TailConfig,
)
from shipper.config_rules import CONTROL, find_problem
from shipper.errors import ConfigError
from shipper.toml_lines import find_lines

_FILE_LIMIT_BYTES: Final = 1 << 20
_TOGETHER: Final = (("username_file", "password_file"), ("client_cert_file", "client_key_file"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a configuration file."""

    line: int
    """From 1; 0 where the file itself can't be read."""
    key: str
    """Dotted, e.g. `output.opensearch.urls`; empty where no key is meant."""
    what: str


def load_config(path: Path) -> Config:
    """The configuration in the file `path`.

    Raises:
        ConfigError: it can't be read or is wrong; the text lists all problems, each with its line.
    """
    config, problems = read_config(path)
    if config is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "".join(
            f"\n  {place_of(path, problem.line)}: {problem.what}" for problem in problems
        )
        raise ConfigError(
            f"the configuration has {count}", why=listed, next_step="docs/config.md has every key"
        )
    return config


def place_of(path: Path, line: int) -> str:
    """`PATH:LINE`; the path alone where the trouble is the whole file's."""
    return f"{path}:{line}" if line else str(path)


def read_config(path: Path) -> tuple[Config | None, tuple[Problem, ...]]:
    """The configuration in the file, or None and all that is wrong with it."""
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_LIMIT_BYTES + 1)
    except OSError as error:
        return None, (Problem(line=0, key="", what=f"can't be read: {error.strerror}"),)
    if len(data) > _FILE_LIMIT_BYTES:
        return None, (Problem(line=0, key="", what="is over 1 MiB: not a configuration"),)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return None, (Problem(line=line, key="", what="is not UTF-8, which TOML must be"),)
    return parse_config(text)


def parse_config(text: str) -> tuple[Config | None, tuple[Problem, ...]]:
    """The configuration that `text` says, or None and all that is wrong with it."""
    try:
        document = tomllib.loads(text)
        lines = find_lines(text)
    except tomllib.TOMLDecodeError as error:
        return None, (_syntax_problem(text, str(error)),)
    except RecursionError:
        return None, (Problem(line=1, key="", what="is nested too deep"),)
    reader = _Reader(lines, last_line=text.rstrip("\n").count("\n") + 1)
    config = reader.read(document)
    problems = tuple(sorted(reader.problems, key=lambda problem: problem.line))
    return (None if problems else config), problems


def _syntax_problem(text: str, message: str) -> Problem:
    at = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if at is None:
        line, where = text.count("\n") + 1, message
    else:
        line, where = int(at[1]), f"{message[: at.start()]} at column {at[2]}"
    return Problem(line=line, key="", what=f"not TOML: {where}")


@dataclass(slots=True)
class _Reader:
    """Turns a parsed document into a `Config` and gathers what is wrong on the way."""

    lines: Mapping[tuple[str | int, ...], int]
    last_line: int
    problems: list[Problem] = field(default_factory=list)

    def read(self, document: Mapping[str, Any]) -> Config:
        self._refuse_unknown((), document)
        identity = self._table(document, "identity")
        state = self._table(document, "state")
        output = self._table(document, "output.opensearch")
        self._require_together(output)
        # The values of a document with problems are never used: the caller gets None.
        return Config(
            identity=IdentityConfig(
                **{key.name: identity[key.name] for key in KEYS if key.table == "identity"}
            ),
            state_directory=Path(state["directory"]),
            tails=self._tails(document),
            output=OutputConfig(
                urls=output["urls"] or (),
                **{
                    key.name: Path(output[key.name]) if output[key.name] else None
                    for key in KEYS
                    if key.table == "output.opensearch" and key.kind == "path"
                },
            ),
        )

    def _tails(self, document: Mapping[str, Any]) -> tuple[TailConfig, ...]:
        sources = document.get("sources", {})
        if not isinstance(sources, dict):
            self._add(("sources",), "must be a table: write [[sources.tail]]")
            return ()
        tails = sources.get("tail")
        if tails is None:
            return (TailConfig(),)
        at = ("sources", "tail")
        if not isinstance(tails, list) or not all(isinstance(tail, dict) for tail in tails):
            self._add(at, "must be a table in two pairs of brackets: write [[sources.tail]]")
            return ()
        if not tails:
            self._add(at, "is empty: leave it out to follow the default paths")
        return tuple(
            TailConfig(paths=self._values((*at, number), "sources.tail", tail)["paths"])
            for number, tail in enumerate(tails)
        )

    def _table(self, document: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The values of a table that stands at most once, defaults where it says nothing."""
        path: tuple[str, ...] = ()
        value: Any = document
        for part in name.split("."):
            path += (part,)
            value = value.get(part, {})
            if not isinstance(value, dict):
                shown = ".".join(path)
                self._add(path, f"must be a table: write [{shown}], once")
                return self._values(path, name, {}, required=False)
        return self._values(path, name, value)

    def _values(
        self,
        at: tuple[str | int, ...],
        table: str,
        given: Mapping[str, Any],
        *,
        required: bool = True,
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        self._refuse_unknown(at, given)
        for key in KEYS:
            if key.table != table:
                continue
            path = (*at, key.name)
            values[key.name] = key.default
            if key.name in given:
                if self._is_right(key, path, given[key.name]):
                    value = given[key.name]
                    values[key.name] = tuple(value) if isinstance(value, list) else value
            elif key.default is None and required:
                self._add(path, f"is missing: e.g. {EXAMPLE_URLS}")
        return values

    def _is_right(self, key: Key, path: tuple[str | int, ...], value: object) -> bool:
        """Whether the value obeys its key's rule; what doesn't is added to the problems."""
        before = len(self.problems)
        if key.kind in {"patterns", "urls"}:
            if not isinstance(value, list):
                self._add(path, f"must be a list of strings, is {_type_name(value)}")
            elif not value:
                self._add(path, "is empty: name at least one")
            else:
                for number, element in enumerate(value):
                    self._check_text(key, (*path, number), element)
        else:
            self._check_text(key, path, value)
        return len(self.problems) == before

    def _check_text(self, key: Key, path: tuple[str | int, ...], value: object) -> None:
        if not isinstance(value, str):
            self._add(path, f"must be a string, is {_type_name(value)}")
            return
        problem = find_problem(key, value)
        if problem:
            self._add(path, problem)

    def _require_together(self, output: Mapping[str, Any]) -> None:
        at = ("output", "opensearch")
        for pair in _TOGETHER:
            for name, other in (pair, pair[::-1]):
                if output[name] and not output[other] and (*at, other) not in self.lines:
                    self._add((*at, name), f"needs {other} beside it")

    def _refuse_unknown(self, at: tuple[str | int, ...], given: Mapping[str, Any]) -> None:
        known = _known_names(_dotted(at))
        for name, value in given.items():
            path = (*at, name)
            shown = _dotted(path)
            if shown in NOT_YET:
                self._add(path, f"is not in this version: {NOT_YET[shown]}")
            elif name not in known:
                self._add(path, _unknown_text(name, shown, known))
            elif isinstance(value, dict) and shown not in TABLES:
                self._refuse_unknown(path, value)  # [sources], [output]: tables of tables

    def _add(self, path: tuple[str | int, ...], what: str) -> None:
        line = next(
            (self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines),
            self.last_line,
        )
        key = _dotted(path)
        problem = Problem(line=line, key=key, what=f"{key} {what}")
        if problem not in self.problems:
            self.problems.append(problem)


def _dotted(path: Iterable[str | int]) -> str:
    """A path as people write it: array indices left out, control characters made visible."""
    parts = (part for part in path if isinstance(part, str))
    return ".".join(CONTROL.sub(lambda match: ascii(match[0])[1:-1], part) for part in parts)


def _known_names(at: str) -> tuple[str, ...]:
    """The names that may stand directly in the table `at` (empty: the top)."""
    prefix = f"{at}." if at else ""
    dotted = [*TABLES, *NOT_YET, *(f"{key.table}.{key.name}" for key in KEYS)]
    names = (name[len(prefix) :].split(".")[0] for name in dotted if name.startswith(prefix))
    return tuple(dict.fromkeys(names))


def _unknown_text(name: str, shown: str, known: tuple[str, ...]) -> str:
    elsewhere = [key.table for key in KEYS if key.name == name]
    if elsewhere:
        return f"is unknown: {name} belongs in [{elsewhere[0]}]"
    from difflib import get_close_matches

    buildable = [one for one in known if f"{shown.removesuffix(name)}{one}" not in NOT_YET]
    nearest = get_close_matches(name, buildable, n=1, cutoff=0.5)
    if nearest:
        return f"is unknown: did you mean {nearest[0]}?"
    return f"is unknown: there are {', '.join(buildable)}"


def _type_name(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "a string"}
    names |= {list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")
