"""What each kind of value in the configuration has to be, and what several have to be together.

In: a key and its value, or the values of all tables. Out: what is wrong, in words that follow the
key's name. Pure. It must never repeat a secret that stands where none belongs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from shipper.config import OutputConfig
from shipper.config_keys import Key, Kind
from shipper.listen_address import is_loopback, parse_listen
from shipper.toml_lines import Path as KeyPath

_TEXT_LIMIT: Final = 256
_LABEL_LIMIT: Final = 64
_INSTANCE_ID_LIMIT: Final = 128
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """One table of a document; a value that is wrong by itself is not among them."""

    at: KeyPath
    values: Mapping[str, Any]
    """By key; the default where the document says nothing that is right."""
    given: frozenset[str]
    """The keys that the document names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossProblem:
    """What is wrong with a value because of another one."""

    at: KeyPath
    what: str


def find_problem(key: Key, value: object) -> str:
    """What is wrong with `value` as a value, or an element of a value, of `key`; empty: nothing."""
    if key.kind in {"integer", "seconds"}:
        return _number_problem(key, value)
    if not isinstance(value, str):
        return f"must be a string, is {type_name(value)}"
    if key.kind in {"choice", "names"}:
        return _choice_problem(key, value)
    return _TEXT_RULES[key.kind](value)


def type_name(value: object) -> str:
    """What TOML calls the value's type."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "a string"}
    names |= {list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


def _number_problem(key: Key, value: object) -> str:
    wanted = (int,) if key.kind == "integer" else (int, float)
    if not isinstance(value, wanted) or isinstance(value, bool) or not math.isfinite(value):
        kind = "a whole number" if key.kind == "integer" else "a number of seconds"
        return f"must be {kind}, is {value if isinstance(value, float) else type_name(value)}"
    if key.least <= value <= key.most:
        return ""
    return f"must be between {key.least} and {key.most}, is {value}"


def _choice_problem(key: Key, text: str) -> str:
    if text in key.choices:
        return ""
    from difflib import get_close_matches

    meant = _abbreviated(text, key.choices) or get_close_matches(text, key.choices, n=1, cutoff=0.5)
    shown = _shown(text)
    if meant:
        return f"can't be {shown}: did you mean {' or '.join(meant)}?"
    return f"can't be {shown}: there are {', '.join(key.choices)}"


def _abbreviated(text: str, choices: Sequence[str]) -> list[str]:
    """The choices that have, for each word of the text, one that begins so: `aws`, `aws_key`."""
    words = [word for word in re.split(r"[-_ ]+", text.lower()) if word]
    return [
        choice
        for choice in choices
        if words and all(any(part.startswith(word) for part in choice.split("-")) for word in words)
    ]


def instance_id_problem(text: str) -> str:
    """What is wrong with `text` as an instance id; empty: nothing."""
    if not text:
        return "is empty"
    if len(text) > _INSTANCE_ID_LIMIT:
        return f"has {len(text)} characters, at most {_INSTANCE_ID_LIMIT} are allowed"
    if _UNSEEN.search(text):
        return "contains white space or control characters"
    return ""


def _text_problem(text: str) -> str:
    if len(text) > _TEXT_LIMIT:
        return f"has {len(text)} characters, at most {_TEXT_LIMIT} are allowed"
    return "contains control characters" if CONTROL.search(text) else ""


def _label_problem(text: str) -> str:
    if not text.strip():
        return "is empty"
    if len(text) > _LABEL_LIMIT:
        return f"has {len(text)} characters, at most {_LABEL_LIMIT} are allowed"
    return _text_problem(text)


def _region_problem(text: str) -> str:
    return "" if _REGION.fullmatch(text) else f"is no region: {_shown(text)}, not e.g. eu-central-1"


def _path_problem(text: str) -> str:
    if not text:
        return "is empty: name a path, or leave the key out"
    if CONTROL.search(text):
        return "contains control characters"
    if text.startswith("~"):
        return f"must be absolute, is {text!r}: ~ is not expanded"
    return "" if text.startswith("/") else f"must be absolute (start with /), is {text!r}"


def _pattern_problem(text: str) -> str:
    problem = _path_problem(text)
    if not problem and text.endswith("/"):
        return f"must match files, {text!r} matches directories: write {text}*.log"
    return problem


def _source_problem(text: str) -> str:
    if text.startswith("/"):
        return _pattern_problem(text)
    if not text:
        return "is empty: name a source, or leave the key out for all"
    return "contains control characters" if CONTROL.search(text) else ""


def _regex_problem(text: str) -> str:
    if not text:
        return "is empty: it would match everything"
    from shipper.wire.regexes import compile_problem

    return compile_problem(text)


def _listen_problem(text: str) -> str:
    if CONTROL.search(text):
        return "contains control characters"
    try:
        parse_listen(text)
    except ValueError as error:
        return str(error)
    return ""


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


_TEXT_RULES: Final[Mapping[Kind, Callable[[str], str]]] = {
    "id": instance_id_problem,
    "text": _text_problem,
    "label": _label_problem,
    "region": _region_problem,
    "path": _path_problem,
    "regex": _regex_problem,
    "regexes": _regex_problem,
    "listen": _listen_problem,
    "patterns": _pattern_problem,
    "sources": _source_problem,
    "urls": _url_problem,
}


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _LABEL_LIMIT else text[:_LABEL_LIMIT] + "…")


# ---- rules between keys


def find_cross_problems(tables: Mapping[str, Sequence[Values]]) -> Iterator[CrossProblem]:
    """What is wrong with values that are right each by itself."""
    for one in tables["output.opensearch"]:
        yield from _output_problems(one)
    for one in tables["sources.tail"]:
        yield from _tail_problems(one)
    for one in tables["transforms.mask"]:
        if not one.given & {"builtin", "patterns"}:
            yield CrossProblem(at=one.at, what="masks nothing: give it builtin or patterns")
    yield from _applied_problems(tables)
    yield from _listen_problems(tables)


def _output_problems(output: Values) -> Iterator[CrossProblem]:
    pairs = (("username_file", "password_file"), ("client_cert_file", "client_key_file"))
    for pair in pairs:
        for name, other in (pair, pair[::-1]):
            if name in output.given and other not in output.given:
                yield CrossProblem(at=(*output.at, name), what=f"needs {other} beside it")
    if output.values["auth"] == "sigv4":
        if "region" not in output.given:
            yield CrossProblem(at=(*output.at, "auth"), what='needs region beside "sigv4"')
        for name in sorted(output.given & {"username_file", "password_file"}):
            what = 'can\'t go with auth = "sigv4": requests are signed, not logged in'
            yield CrossProblem(at=(*output.at, name), what=what)
        return
    for name in sorted(output.given & {"region", "service"}):
        yield CrossProblem(at=(*output.at, name), what='is only for auth = "sigv4"')


def _tail_problems(tail: Values) -> Iterator[CrossProblem]:
    ways = ("multiline", "multiline_start", "multiline_continuation")
    first, *others = [name for name in ways if name in tail.given] or [""]
    for name in others:
        yield CrossProblem(at=(*tail.at, name), what=f"can't go with {first}: choose one")
    if not first and "multiline_seconds" in tail.given:
        what = f"needs {', '.join(ways[:-1])} or {ways[-1]} beside it"
        yield CrossProblem(at=(*tail.at, "multiline_seconds"), what=what)


def _applied_problems(tables: Mapping[str, Sequence[Values]]) -> Iterator[CrossProblem]:
    """Rules for sources that are not there: a mask that never masks is worse than none."""
    listens = [one.values["listen"] for one in tables["sources.forward"]]
    if None in listens:
        return  # missing, or wrong by itself: what its name is to be nobody knows
    names = [
        *("journald" for _ in tables["sources.journald"]),
        *(f"forward:{listen}" for listen in listens),
        *(one.values["name"] for one in tables["sources.stdin"]),
    ]
    for table in ("transforms.mask", "transforms.drop", "transforms.rate"):
        for one in tables[table]:
            for number, pattern in enumerate(one.values["paths"]):
                if not pattern.startswith("/") and not _names_any(pattern, names):
                    there = f"there are {', '.join(names)}" if names else "only files are followed"
                    what = f"names no source: {_shown(pattern)} is no absolute pattern, and {there}"
                    yield CrossProblem(at=(*one.at, "paths", number), what=what)


def _names_any(pattern: str, names: Sequence[str]) -> bool:
    """Whether the pattern names one of these, as the rule itself is going to ask."""
    from shipper.wire.globs import names_source

    return any(names_source(pattern, name) for name in names)


def _listen_problems(tables: Mapping[str, Sequence[Values]]) -> Iterator[CrossProblem]:
    seen: set[str] = set()
    for name in ("sources.forward", "metrics"):
        for one in tables[name]:
            if one.values["listen"] is None:
                continue  # missing, or wrong by itself
            at = (*one.at, "listen")
            address = parse_listen(one.values["listen"])
            if str(address) in seen:
                yield CrossProblem(at=at, what=f"is taken: another table listens on {address}")
            seen.add(str(address))
            if address.is_local:
                continue
            if name == "metrics":
                what = f"must be this machine's alone, {address} is not: write 127.0.0.1"
                yield CrossProblem(at=at, what=what)
            elif "shared_key_file" not in one.given:
                what = (
                    f"needs shared_key_file beside it: other machines can reach {address}; "
                    "write 127.0.0.1 or a unix socket where they need not"
                )
                yield CrossProblem(at=at, what=what)


# ---- allowed, and still probably not meant


def output_warnings(output: OutputConfig) -> list[str]:
    """What is allowed, and still probably not meant; `run` and `check` say it."""
    plain = [url for url in output.urls if url.startswith("http://") and not _is_local(url)]
    if not plain:
        return []
    what = "the password goes" if output.password_file else "records go"
    return [f"{what} unencrypted to {', '.join(plain)}: use https"]


def _is_local(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")
