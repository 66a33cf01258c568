"""One thing that `check` has looked at, and small questions that several checks ask.

In: paths. Out: findings and answers. It must never print a secret, nor change anything.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shipper.toml_lines import Path as KeyPath

Severity = Literal["error", "warning", "ok"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    severity: Severity
    key: str
    """The configuration's key that it is about; empty: the file itself."""
    what: str
    line: int = 0
    """The line in the configuration, 0 where no line is meant."""
    exit_code: int = 0
    at: KeyPath = ()
    """Where the key stands, if it may stand several times."""


def build_finding(severity: Severity, at: KeyPath, what: str, *, exit_code: int = 0) -> Finding:
    """A finding about what stands at `at`."""
    key = ".".join(part for part in at if isinstance(part, str))
    return Finding(severity=severity, key=key, what=what, exit_code=exit_code, at=at)


def unreadable_why(path: str) -> str:
    """Why the file can't be read; empty: it can."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return "not a regular file"
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def check_secret_file(at: KeyPath, path: Path, *, is_secret: bool = True) -> Iterator[Finding]:
    """A file that holds a secret, or belongs to one: there, not empty, and not everybody's."""
    key = ".".join(part for part in at if isinstance(part, str))
    why = unreadable_why(str(path))
    if why:
        yield build_finding("warning", at, f"{key}: {path}: {why}")
    elif not path.stat().st_size:
        yield build_finding("warning", at, f"{key}: {path} is empty")
    elif is_secret and path.stat().st_mode & stat.S_IROTH:
        what = f"{key}: everyone can read {path}: chmod 0600 {path}"
        yield build_finding("warning", at, what)
