"""The shipper's configuration: one TOML file, read once, refused unless every key is right.

In: the file's text. Out: a `Config`, or all its problems at once, each with its line. `KEYS` is the
one table behind parsing, the baked default and docs/config.md. It must never ignore a key that it
doesn't know, and never look at the machine: that is `shipper.check`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from shipper.errors import ConfigError
from shipper.toml_lines import find_lines

DEFAULT_FILE: Final = Path("/etc/afterimage/shipper.toml")
DEFAULT_STATE_DIRECTORY: Final = "/var/lib/afterimage"
DEFAULT_PATHS: Final = ("/var/log/**/*.log", "/var/log/syslog", "/var/log/messages")

EXAMPLE_URLS: Final = 'urls = ["https://centre.example:9200"]'

_FILE_LIMIT_BYTES: Final = 1 << 20
_TEXT_LIMIT: Final = 256
_INSTANCE_ID_LIMIT: Final = 128
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityConfig:
    """What the configuration says of the machine; empty text: ask IMDS."""

    instance_id: str = ""
    image_id: str = ""
    region: str = ""
    availability_zone: str = ""
    account_id: str = ""
    host_name: str = ""
    group: str = ""
    instance_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailConfig:
    """One `[[sources.tail]]`: files to follow, by absolute glob patterns."""

    paths: tuple[str, ...] = DEFAULT_PATHS


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputConfig:
    """`[output.opensearch]`: where records go; secrets are named by file, never written here."""

    urls: tuple[str, ...]
    username_file: Path | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration, every rule already checked."""

    output: OutputConfig
    identity: IdentityConfig = IdentityConfig()
    state_directory: Path = Path(DEFAULT_STATE_DIRECTORY)
    tails: tuple[TailConfig, ...] = (TailConfig(),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a configuration file."""

    line: int
    """From 1; 0 where the file itself can't be read."""
    key: str
    """Dotted, e.g. `output.opensearch.urls`; empty where no key is meant."""
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the configuration, as the reader of docs/config.md sees it."""

    table: str
    name: str
    kind: Literal["id", "text", "path", "patterns", "urls"]
    default: str | tuple[str, ...] | None
    """None: it has no default and must be given."""
    meaning: str


KEYS: Final = (
    Key(table="identity", name="instance_id", kind="id", default="",
        meaning="The machine's id. Set it on a host without IMDS, which then is not asked; never "
        "in an image that several instances start from."),
    Key(table="identity", name="image_id", kind="text", default="",
        meaning="The image that the instance was started from."),
    Key(table="identity", name="instance_type", kind="text", default="",
        meaning="The machine's type, e.g. `m7g.large`."),
    Key(table="identity", name="region", kind="text", default="",
        meaning="The region, e.g. `eu-central-1`."),
    Key(table="identity", name="availability_zone", kind="text", default="",
        meaning="The availability zone, e.g. `eu-central-1a`."),
    Key(table="identity", name="account_id", kind="text", default="",
        meaning="The account that owns the instance."),
    Key(table="identity", name="host_name", kind="text", default="",
        meaning="The host's name."),
    Key(table="identity", name="group", kind="text", default="",
        meaning="The Auto Scaling group's name. IMDS knows it only where the instance allows tags "
        "in its metadata."),
    Key(table="state", name="directory", kind="path", default=DEFAULT_STATE_DIRECTORY,
        meaning="Where checkpoints, the stream's name and dead letters are kept. Must survive a "
        "restart, must not be part of an image."),
    Key(table="sources.tail", name="paths", kind="patterns", default=DEFAULT_PATHS,
        meaning="Files to follow, as absolute glob patterns; `**` stands for any depth. New files "
        "are found while running, rotated ones are read to their end."),
    Key(table="output.opensearch", name="urls", kind="urls", default=None,
        meaning="The centre's nodes, or a collector: `http(s)://host:port`, with a path where a "
        "proxy wants one. One is used until it fails, then the next."),
    Key(table="output.opensearch", name="username_file", kind="path", default="",
        meaning="A file that holds the user's name. Goes with `password_file`."),
    Key(table="output.opensearch", name="password_file", kind="path", default="",
        meaning="A file that holds the password. Read again when it changes."),
    Key(table="output.opensearch", name="ca_file", kind="path", default="",
        meaning="Certificate authorities (PEM) to trust instead of the system's."),
    Key(table="output.opensearch", name="client_cert_file", kind="path", default="",
        meaning="The client's certificate (PEM) for mutual TLS. Goes with `client_key_file`."),
    Key(table="output.opensearch", name="client_key_file", kind="path", default="",
        meaning="The private key (PEM) of `client_cert_file`."),
)  # fmt: skip
"""Every key that this version knows, in the order of the documentation."""

TABLES: Final = {
    "identity": "Who the machine is. Each key that is set overrides what IMDSv2 says.",
    "state": "What the shipper remembers between two starts.",
    "sources.tail": "Files to follow. The table may be repeated.",
    "output.opensearch": "Where the records go: OpenSearch, or anything that takes its `_bulk`.",
}
"""Every table, with its meaning; only `sources.tail` is an array of tables."""

NOT_YET: Final = {
    "sources.forward": "give the application a log file and follow it with [[sources.tail]]",
    "sources.journald": "let the units write to files and follow them with [[sources.tail]]",
    "output.opensearch.auth": "use username_file and password_file, or a client certificate",
}
"""Designed, not built: refused by name, with what to do meanwhile."""

_TOGETHER: Final = (("username_file", "password_file"), ("client_cert_file", "client_key_file"))


def load_config(path: Path) -> Config:
    """The configuration in the file `path`.

    Raises:
        ConfigError: it can't be read or is wrong; the text lists all problems, each with its line.
    """
    config, problems = read_config(path)
    if config is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "".join(f"\n  {path}:{problem.line}: {problem.what}" for problem in problems)
        raise ConfigError(
            f"the configuration has {count}", why=listed, next_step="docs/config.md has every key"
        )
    return config


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


def output_warnings(output: OutputConfig) -> list[str]:
    """What is allowed, and still probably not meant; `run` and `check` say it."""
    plain = [url for url in output.urls if url.startswith("http://") and not _is_loopback(url)]
    if not plain:
        return []
    what = "the password goes" if output.password_file else "records go"
    return [f"{what} unencrypted to {', '.join(plain)}: use https"]


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def instance_id_problem(text: str) -> str:
    """What is wrong with `text` as an instance id; empty: nothing."""
    if not text:
        return "is empty"
    if len(text) > _INSTANCE_ID_LIMIT:
        return f"has {len(text)} characters, at most {_INSTANCE_ID_LIMIT} are allowed"
    if _UNSEEN.search(text):
        return "contains white space or control characters"
    return ""


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
        problem = {
            "id": instance_id_problem,
            "text": _text_problem,
            "path": _path_problem,
            "patterns": _pattern_problem,
            "urls": _url_problem,
        }[key.kind](value)
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
    return ".".join(_CONTROL.sub(lambda match: ascii(match[0])[1:-1], part) for part in parts)


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


def _text_problem(text: str) -> str:
    if len(text) > _TEXT_LIMIT:
        return f"has {len(text)} characters, at most {_TEXT_LIMIT} are allowed"
    return "contains control characters" if _CONTROL.search(text) else ""


def _path_problem(text: str) -> str:
    if not text:
        return "is empty: name a path, or leave the key out"
    if _CONTROL.search(text):
        return "contains control characters"
    if text.startswith("~"):
        return f"must be absolute, is {text!r}: ~ is not expanded"
    return "" if text.startswith("/") else f"must be absolute (start with /), is {text!r}"


def _pattern_problem(text: str) -> str:
    problem = _path_problem(text)
    if not problem and text.endswith("/"):
        return f"must match files, {text!r} matches directories: write {text}*.log"
    return problem


def _url_problem(text: str) -> str:
    if "@" in text:
        # Looked for first, and never repeated: problems are printed and logged.
        return "contains credentials: put them in files, username_file and password_file"
    if not text or _UNSEEN.search(text):
        return "is empty, or contains white space or control characters"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        return f"is no URL ({error})"
    problems = {
        f"must start with http:// or https://, is {text!r}": parts.scheme not in {"http", "https"},
        f"names no host in {text!r}": not parts.hostname,
        f"names port 0 in {text!r}": port == 0,
        f"must end with the path, {text!r} has more": "?" in text or "#" in text,
    }
    return next((problem for problem, applies in problems.items() if applies), "")


# A key that is parsed but not documented, or the reverse, is a bug that shows at import.
if {key.name for key in KEYS if key.table == "identity"} != {
    one.name for one in fields(IdentityConfig)
}:
    raise AssertionError("KEYS and IdentityConfig name different keys")
