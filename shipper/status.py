"""`shipper status`: what the running shipper last said of itself, and whether it still runs.

In: the state folder. Out: its `status.json` with age and liveness, for a person or as JSON.
It must never take the folder's lock: asking must not keep a shipper from starting.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shipper.dead_letter_file import LetterCount
from shipper.errors import StateError, UnreachableError
from shipper.state_disk import is_full, measure_free
from shipper.statistics import STATUS_SCHEMA, STATUS_VERSION

_STALE_SECONDS: Final = 15.0
"""The agent writes about every second; a machine under pressure gets some slack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `status.json` says, and what the machine says about it."""

    path: Path
    age_seconds: float
    process_lives: bool
    values: Mapping[str, Any]
    free_bytes: int | None
    """On the state folder's file system, now: on a full one the status is an old one."""
    dead_letters_left: int
    """Now: a redrive takes some out while no shipper runs, too."""

    @property
    def is_running(self) -> bool:
        """Whether a shipper works on this folder."""
        return (
            self.process_lives
            and self.age_seconds <= _STALE_SECONDS
            and self.values.get("state") != "stopped"
        )

    @property
    def verdict(self) -> str:
        """One line for a person."""
        pid, age = self.values.get("pid", "?"), f"{self.age_seconds:.0f} s"
        if self.is_running:
            return f"{self.values.get('state', 'running')}, process {pid}, wrote {age} ago"
        if self.values.get("state") == "stopped":
            return f"not running: process {pid} stopped {age} ago"
        if self.process_lives and is_full(self.free_bytes):
            return f"process {pid} exists, its disk is too full for a status since {age}"
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
            next_step="start one (`shipper run -c shipper.toml`), or name its folder with --state",
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
    written_by = (values.get("schema"), values.get("version"))
    if written_by != (STATUS_SCHEMA, STATUS_VERSION):
        raise _damaged(path, f"it is {written_by}, not {(STATUS_SCHEMA, STATUS_VERSION)}")
    return Status(
        path=path,
        age_seconds=max(0.0, time.time() - written_at),
        process_lives=_lives(values.get("pid")),
        values=values,
        free_bytes=measure_free(directory),
        dead_letters_left=LetterCount(directory).read(),
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


def render_json(status: Status) -> str:
    """The agent's document, with what the machine says about it beside it."""
    beside = {
        "file": str(status.path),
        "is_running": status.is_running,
        "process_lives": status.process_lives,
        "age_seconds": round(status.age_seconds, 3),
        "dead_letters_left": status.dead_letters_left,
    }
    return json.dumps({**status.values, **beside}, indent=2) + "\n"
