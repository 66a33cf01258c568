"""Whether there is a journal, and the right to read it: the library says neither.

In: a folder, or none for the machine's own journal. Out: nothing, or what to do. It must never
read more of a journal file than its first bytes.
"""

from __future__ import annotations

import grp
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shipper.errors import ConfigError

SYSTEM_FOLDERS: Final = (Path("/run/log/journal"), Path("/var/log/journal"))
_SIGNATURE: Final = b"LPKSHHRH"
"""What every journal file begins with (systemd.journal-files, "Journal File Format")."""
_FILES: Final = ("*.journal", "*/*.journal")


def check_access(folder: Path | None, *, system: Sequence[Path] = SYSTEM_FOLDERS) -> None:
    """Raise ConfigError where nothing can ever be read."""
    folders = [one for one in ((folder,) if folder else system) if one.is_dir()]
    if not folders:
        where = str(folder) if folder else " and ".join(map(str, system))
        raise ConfigError(
            "there is no journal to read",
            why=f"no folder {where}",
            next_step="start systemd-journald, or remove [sources.journald]"
            if folder is None
            else "correct sources.journald.directory, or leave it out for the machine's journal",
        )
    for one in folders:
        if not os.access(one, os.R_OK | os.X_OK):
            raise _no_right(one)
    files = _find_files(folders)
    closed = [file for file in files if not os.access(file, os.R_OK)]
    if closed and len(closed) == len([file for file in files if file.exists()]):
        raise _no_right(closed[0])


def has_files(folder: Path | None, *, system: Sequence[Path] = SYSTEM_FOLDERS) -> bool:
    """Whether there is anything to read yet."""
    return bool(_find_files((folder,) if folder else system))


def _find_files(folders: Sequence[Path]) -> list[Path]:
    return [file for one in folders for pattern in _FILES for file in one.glob(pattern)]


def find_damaged(folder: Path | None, *, system: Sequence[Path] = SYSTEM_FOLDERS) -> dict[str, str]:
    """Files that the library passes over in silence, since they are no journal; and why."""
    damaged = {}
    for one in (folder,) if folder else system:
        for path in (path for pattern in _FILES for path in sorted(one.glob(pattern))):
            try:
                with path.open("rb") as file:
                    head = file.read(len(_SIGNATURE))
            except OSError:
                continue  # gone, or closed to this user: `check_access` tells where all are
            if len(head) == len(_SIGNATURE) and head != _SIGNATURE:
                damaged[str(path)] = "it is no journal file: its first bytes are others"
    return damaged


def _no_right(path: Path) -> ConfigError:
    group_id = path.stat().st_gid
    try:
        group = grp.getgrgid(group_id).gr_name
    except KeyError:
        group = str(group_id)
    return ConfigError(
        "the journal can't be read",
        why=f"{path} is closed to user {os.geteuid()}",
        next_step=f"add the user that the shipper runs as to the group {group}, e.g."
        f" `usermod --append --groups {group} USER`, and start the shipper again",
    )
