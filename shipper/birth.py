"""What a shipper says of its machine when it starts: the facts of the birth document.

In: the machine's own files. Out: fields under their ECS names. It must never fail: what can't be
read is left out.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from shipper import __version__
from shipper.identity import boot_id

_OS_RELEASE_FILE: Final = Path("/etc/os-release")


def read_birth_facts(notices: Sequence[str]) -> dict[str, Any]:
    """The facts; `notices`: what was found damaged in the state folder."""
    facts: dict[str, Any] = {
        "afterimage.shipper.version": __version__,
        "process.pid": os.getpid(),
        "host.os.full": _read_os_name(),
    }
    if boot := boot_id():
        facts["host.boot.id"] = boot
    if notices:
        facts["afterimage.reason"] = "; ".join(notices)
    return facts


def _read_os_name() -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in _OS_RELEASE_FILE.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name == "PRETTY_NAME":
                return value.strip("\"'")
    system = os.uname()
    return f"{system.sysname} {system.release}"
