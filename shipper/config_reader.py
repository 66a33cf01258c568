"""Reading the configuration: one TOML file, refused unless every key is right.

In: the file's text. Out: a `Config`, or all its problems at once, each with its line. It must never
ignore a key that it doesn't know, and never look at the machine: that is `shipper.check`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shipper.config import Config, OutputConfig, TailConfig
from shipper.config_keys import KEYS, LIST_KINDS, TABLES, Key, keys_of
from shipper.config_rules import CONTROL, Values, find_cross_problems, find_problem, type_name
from shipper.errors import ConfigError
from shipper.toml_lines import Path as KeyPath
from shipper.toml_lines import find_lines

_FILE_LIMIT_BYTES: Final = 1 << 20
_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]")
_TYPED: Final = 0.85
"""How alike two names are of which one is the other with a slip of the finger."""


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
    what = _twice_text(text.splitlines()[line - 1 : line]) if message.startswith("Cannot") else ""
    return Problem(line=line, key="", what=what or f"not TOML: {where}")


def _twice_text(lines: Sequence[str]) -> str:
    """What is wrong with a table that stands there already; empty: the line is no header."""
    header = next((match for line in lines if (match := _HEADER.match(line))), None)
    table = TABLES.get(header[2]) if header else None
    if header is None or table is None:
        return ""
    name = header[2]
    if table.form != "array":
        return f"{table.header(name)} stands here again: write it once, with all its keys"
    return (
        f"[{name}] and [[{name}]] can't stand in one file, nor can [{name}] twice: write "
        f"[[{name}]], in two pairs of brackets, each time"
    )


@dataclass(slots=True)
class _Reader:
    """Turns a parsed document into a `Config` and gathers what is wrong on the way."""

    lines: Mapping[KeyPath, int]
    last_line: int
    problems: list[Problem] = field(default_factory=list)

    def read(self, document: Mapping[str, Any]) -> Config:
        self._refuse_unknown((), document)
        tables = {name: self._read_table(document, name) for name in TABLES}
        for problem in find_cross_problems(tables):
            self._add(problem.at, problem.what)
        if self.problems:
            return _NOTHING  # the caller gets None
        return _build_config(tables, has_source=bool(document.get("sources")))

    def _read_table(self, document: Mapping[str, Any], name: str) -> list[Values]:
        """The values of a table, as often as it stands; once where it is always there."""
        table = TABLES[name]
        at = tuple(name.split("."))
        value: Any = document
        for depth, part in enumerate(at):
            if not isinstance(value, dict):
                self._add(at[:depth], f"must be a table: write {_first_header(at[:depth])}")
                return []
            if part not in value:
                return [self._values(at, name, {})] if table.form == "always" else []
            value = value[part]
        if table.form == "array":
            return self._read_array(at, name, value)
        if not isinstance(value, dict):
            self._add(at, f"must be a table: write [{name}], once")
            return []
        return [self._values(at, name, value)]

    def _read_array(self, at: tuple[str, ...], name: str, given: object) -> list[Values]:
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            self._add(at, f"must be a table in two pairs of brackets: write [[{name}]]")
            return []
        if not given:
            self._add(at, "is empty: leave it out")
        return [self._values((*at, number), name, one) for number, one in enumerate(given)]

    def _values(self, at: KeyPath, table: str, given: Mapping[str, Any]) -> Values:
        """The values of one table, defaults where it says nothing."""
        self._refuse_unknown(at, given)
        values: dict[str, Any] = {}
        for key in keys_of(table):
            path = (*at, key.name)
            values[key.name] = key.default
            if key.name in given:
                if self._is_right(key, path, given[key.name]):
                    value = given[key.name]
                    values[key.name] = tuple(value) if isinstance(value, list) else value
            elif key.default is None:
                self._add(path, f"is missing: e.g. {key.example}")
        return Values(at=at, values=values, given=frozenset(given))

    def _is_right(self, key: Key, path: KeyPath, value: object) -> bool:
        """Whether the value obeys its key's rule; what doesn't is added to the problems."""
        before = len(self.problems)
        if key.kind not in LIST_KINDS:
            self._check(key, path, value)
        elif not isinstance(value, list):
            self._add(path, f"must be a list of strings, is {type_name(value)}")
        elif not value:
            self._add(path, "is empty: name at least one, or leave the key out")
        else:
            for number, element in enumerate(value):
                self._check(key, (*path, number), element)
        return len(self.problems) == before

    def _check(self, key: Key, path: KeyPath, value: object) -> None:
        problem = find_problem(key, value)
        if problem:
            self._add(path, problem)

    def _refuse_unknown(self, at: KeyPath, given: Mapping[str, Any]) -> None:
        known = _known_names(_dotted(at))
        for name, value in given.items():
            path = (*at, name)
            shown = _dotted(path)
            if name not in known:
                self._add(path, _unknown_text(name, shown, known))
            elif isinstance(value, dict) and shown not in TABLES:
                self._refuse_unknown(path, value)  # [sources], [output]: tables of tables

    def _add(self, path: KeyPath, what: str) -> None:
        line = next(
            (self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines),
            self.last_line,
        )
        key = _dotted(path)
        problem = Problem(line=line, key=key, what=f"{key} {what}")
        if problem not in self.problems:
            self.problems.append(problem)


def _first_header(at: KeyPath) -> str:
    """How a table inside the table `at` is written."""
    name = next(name for name in TABLES if name.startswith(f"{_dotted(at)}."))
    return TABLES[name].header(name)


def _dotted(path: Iterable[str | int]) -> str:
    """A path as people write it: array indices left out, control characters made visible."""
    parts = (part for part in path if isinstance(part, str))
    return ".".join(CONTROL.sub(lambda match: ascii(match[0])[1:-1], part) for part in parts)


def _known_names(at: str) -> tuple[str, ...]:
    """The names that may stand directly in the table `at` (empty: the top)."""
    prefix = f"{at}." if at else ""
    dotted = [*TABLES, *(f"{key.table}.{key.name}" for key in KEYS)]
    names = (name[len(prefix) :].split(".")[0] for name in dotted if name.startswith(prefix))
    return tuple(dict.fromkeys(names))


def _unknown_text(name: str, shown: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    slip = get_close_matches(name, known, n=1, cutoff=_TYPED)
    nearest = slip or get_close_matches(name, known, n=1, cutoff=0.5)
    elsewhere = list(dict.fromkeys(key.table for key in KEYS if key.name == name))
    if elsewhere and not slip and shown not in TABLES:
        tables = " or ".join(TABLES[table].header(table) for table in elsewhere)
        return f"is unknown: {name} belongs in {tables}"
    if nearest:
        return f"is unknown: did you mean {nearest[0]}?"
    return f"is unknown: there are {', '.join(known)}"


def _build_config(tables: Mapping[str, Sequence[Values]], *, has_source: bool) -> Config:
    """The values of all tables, every one of them right."""

    def build(name: str) -> tuple[Any, ...]:
        make = TABLES[name].config
        return tuple(make(**_convert(name, one.values)) for one in tables[name]) if make else ()

    def first(name: str) -> Any:
        return next(iter(build(name)), None)

    return Config(
        output=first("output.opensearch"),
        identity=first("identity"),
        state_directory=Path(tables["state"][0].values["directory"]),
        # whoever names a source says what is shipped: nothing else is
        tails=build("sources.tail") if has_source else (TailConfig(),),
        forwards=build("sources.forward"),
        journald=first("sources.journald"),
        stdin=first("sources.stdin"),
        masks=build("transforms.mask"),
        drops=build("transforms.drop"),
        rates=build("transforms.rate"),
        limits=first("limits"),
        metrics=first("metrics"),
    )


def _convert(table: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """TOML's values as the classes want them."""
    converted = dict(values)
    for key in keys_of(table):
        value = values[key.name]
        if key.kind == "path":
            converted[key.name] = Path(value) if value else None
        elif key.kind == "seconds":
            converted[key.name] = float(value)
    return converted


_NOTHING: Final = Config(output=OutputConfig(urls=()))
"""In place of a configuration with problems, which nobody gets."""
