"""The machine: its state folder, the room on its disk, and who it is.

In: a configuration. Out: findings. It must never change anything, but for a file without a name
that it makes in the state folder to see whether it can.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shipper.checks.finding import Finding, build_finding
from shipper.config import Config
from shipper.errors import ConfigError
from shipper.folders import may_write, nearest_existing

_IMDS_PATIENCE_SECONDS: Final = 2.0
_MIB: Final = 1 << 20


def check_state_directory(directory: Path) -> Iterator[Finding]:
    """Whether the state folder is there and can be written, or can be made."""
    at = ("state", "directory")
    key = "state.directory"
    if directory.is_dir():
        try:
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            what = f"{key}: {directory} can't be written: {error.strerror}"
            yield build_finding("warning", at, what)
        return
    existing = nearest_existing(directory.parent)
    if directory.exists() or not existing.is_dir():
        what = f"{key}: {directory} is not a directory and can't become one"
        yield build_finding("warning", at, what)
    elif not may_write(existing):
        what = f"{key}: {directory} can't be made: {existing} can't be written"
        yield build_finding("warning", at, what)


def check_room(config: Config) -> Iterator[Finding]:
    """Whether the disk has what the limits allow the shipper to take."""
    if not (config.forwards or config.stdin):
        return
    folder = nearest_existing(config.state_directory)
    disk = os.statvfs(folder)
    free_mib = disk.f_bavail * disk.f_frsize // _MIB
    spool_mib = config.limits.spool_mib
    held_mib = disk.f_blocks * disk.f_frsize * config.limits.held_percent // 100 // _MIB
    at = ("limits", "spool_mib")
    if spool_mib > free_mib:
        what = (
            f"limits.spool_mib: {spool_mib} MiB may be spooled and {folder} has {free_mib} MiB "
            "free: a full disk would come first, for every program"
        )
        yield build_finding("warning", at, what)
    elif _is_on_the_same_disk(config, folder) and spool_mib + held_mib > free_mib:
        what = (
            f"limits: files and spool are on one file system with {free_mib} MiB free, and "
            f"{spool_mib} MiB of spool and {held_mib} MiB of deleted files "
            f"(held_percent = {config.limits.held_percent}) could fill it together"
        )
        yield build_finding("warning", at, what)


def _is_on_the_same_disk(config: Config, folder: Path) -> bool:
    device = folder.stat().st_dev
    roots = {
        nearest_existing(Path(pattern.partition("*")[0]).parent)
        for tail in config.tails
        for pattern in tail.paths
    }
    return any(root.stat().st_dev == device for root in roots)


def check_identity(config: Config) -> Iterator[Finding]:
    """Whether the machine can be told by an id."""
    from shipper.identity import find_identity

    at = ("identity",)
    try:
        identity = find_identity(config.identity, patience_seconds=_IMDS_PATIENCE_SECONDS)
    except ConfigError as error:
        yield build_finding("warning", at, f"{error.what}: {error.why}: {error.next_step}")
        return
    source = "set in the configuration" if config.identity.instance_id else "found"
    yield build_finding("ok", at, f"instance id {identity.instance_id}, {source}")
