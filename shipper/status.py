"""`shipper status`: what the running shipper last said of itself, and whether it still runs.

In: the state folder. Out: its `status.json` with age and liveness, for a person or as JSON.
It must never take the folder's lock: asking must not keep a shipper from starting.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shipper.errors import StateError, UnreachableError
from shipper.narration import printable

SCHEMA: Final = "afterimage.shipper.status"
SCHEMA_VERSION: Final = 1

_STALE_SECONDS: Final = 15.0
"""The agent writes about every second; a machine under pressure gets some slack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `status.json` says, and what the machine says about it."""

    path: Path
    age_seconds: float
    process_lives: bool
    values: Mapping[str, Any]

    @property
    def is_running(self) -> bool:
        """Whether a shipper works on this folder."""
        return self.process_lives and self.age_seconds <= _STALE_SECONDS

    @property
    def verdict(self) -> str:
        """One line for a person."""
        pid, age = self.values.get("pid", "?"), f"{self.age_seconds:.0f} s"
        if self.is_running:
            return f"running, process {pid}, wrote {age} ago"
        if self.process_lives:
            return f"process {pid} exists but last wrote {age} ago: it hangs, or it is another one"
        return f"not running: process {pid} is gone, it last wrote {age} ago"


def load_status(directory: Path) -> Status:
    """The status in the state folder.

    Raises:
        UnreachableError: no shipper ever wrote one here.
        StateError: it can't be read, or is not what a shipper writes.
    """
    path = directory / "status.json"
    try:
        written_at = path.stat().st_mtime
        values = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnreachableError(
            f"no shipper runs on {directory}",
            why=f"there is no {path}",
            next_step="start one (`shipper run -c FILE`), or name its folder with --state",
        ) from error
    except OSError as error:
        raise StateError(
            f"{path} can't be read",
            why=error.strerror or str(error),
            next_step="ask as the user that the shipper runs as",
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(values, dict):
        raise _damaged(path, "it holds no JSON object")
    return Status(
        path=path,
        age_seconds=max(0.0, time.time() - written_at),
        process_lives=_lives(values.get("pid")),
        values=values,
    )


def _damaged(path: Path, why: str) -> StateError:
    return StateError(
        f"{path} is damaged",
        why=why,
        next_step="a running shipper writes it anew within seconds; if not, restart it",
    )


def _lives(pid: object) -> bool:
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # it exists and is somebody else's
    except (ProcessLookupError, OverflowError):
        return False
    return True


def render_text(status: Status) -> str:
    """The verdict, then every value under its dotted name."""
    lines = [status.verdict, *(f"  {name}: {value}" for name, value in _flatten(status.values))]
    return "".join(f"{printable(line)}\n" for line in lines)


def render_json(status: Status) -> str:
    """The status as one JSON document."""
    document = {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "file": str(status.path),
        "running": status.is_running,
        "process_lives": status.process_lives,
        "age_seconds": round(status.age_seconds, 3),
        "status": status.values,
    }
    return json.dumps(document, indent=2) + "\n"


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            for number, element in enumerate(value):
                yield f"{prefix}{name}[{number}]", _one_line(element)
        else:
            yield f"{prefix}{name}", _one_line(value)


def _one_line(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}={_one_line(element)}" for name, element in value.items())
    return str(value)
