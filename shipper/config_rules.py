"""What each kind of value in the configuration has to be.

In: a key's text. Out: what is wrong with it, in words that follow the key's name. Pure. It must
never repeat a secret that stands where none belongs.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from shipper.config import Key, OutputConfig

_TEXT_LIMIT: Final = 256
_INSTANCE_ID_LIMIT: Final = 128
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def find_problem(key: Key, text: str) -> str:
    """What is wrong with `text` as a value, or an element of a value, of `key`; empty: nothing."""
    return {
        "id": instance_id_problem,
        "text": _text_problem,
        "path": _path_problem,
        "patterns": _pattern_problem,
        "urls": _url_problem,
    }[key.kind](text)


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
