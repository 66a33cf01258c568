"""Real journal files, made by systemd's own `systemd-journal-remote` of entries in export format.

In: entries as fields. Out: a `.journal` file that any reader of systemd's takes for one of its own;
and what systemd's own reader finds in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REMOTE: Final = Path("/lib/systemd/systemd-journal-remote")
HAS_TOOLS: Final = REMOTE.exists() and shutil.which("journalctl") is not None
BOOT: Final = "0123456789abcdef0123456789abcdef"
FIRST_MICROS: Final = 1_700_000_000_000_000
_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One entry to be."""

    values: Sequence[tuple[str, bytes]]
    micros: int
    """After the boot, and after FIRST_MICROS."""
    boot: str = BOOT


def build_message(number: int, *values: tuple[str, bytes], boot: str = BOOT) -> Written:
    """The n-th message, a second after the one before it."""
    message = ("MESSAGE", f"message {number}".encode())
    return Written(values=(message, *values), micros=number * 1_000_000, boot=boot)


def save_journal(path: Path, entries: Sequence[Written]) -> Path:
    """A journal file with the entries, in their order."""
    export = b"".join(_export(entry) for entry in entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [REMOTE, "-o", path, "-"], input=export, check=True, capture_output=True, timeout=_SECONDS
    )
    return path


def load_with_journalctl(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What systemd's own reader finds, entry by entry."""
    command = ["journalctl", "--directory", str(folder), "--output", "json", "--all", *arguments]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        timeout=_SECONDS,
        env={**os.environ, "SYSTEMD_COLORS": "0"},
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _export(entry: Written) -> bytes:
    head = (
        f"__REALTIME_TIMESTAMP={FIRST_MICROS + entry.micros}\n"
        f"__MONOTONIC_TIMESTAMP={entry.micros}\n_BOOT_ID={entry.boot}\n"
    )
    return head.encode() + b"".join(render_value(*value) for value in entry.values) + b"\n"


def render_value(name: str, content: bytes) -> bytes:
    """A field as the export format and the native protocol have it: its length, then its bytes."""
    return b"%b\n%b%b\n" % (name.encode(), len(content).to_bytes(8, "little"), content)
