"""What the unit lets the shipper write, and what a configuration wants to write.

In: an image's root and a configuration. Out: what the unit's ProtectSystem=strict would refuse, and
a key that is not there, with what to do. It must never look at the baking machine's own unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shipper import default_paths
from shipper.bake.root import ImageRoot
from shipper.config import Config
from shipper.listen_address import parse_listen

RUNTIME_DIRECTORY: Final = "/run/afterimage"
"""The unit's RuntimeDirectory."""
_DROP_INS: Final = "/etc/systemd/system/afterimage-shipper.service.d"
_ALLOWED: Final = re.compile(r"^\s*ReadWritePaths\s*=(.*)$", re.MULTILINE)
_BOOT_FOLDER: Final = "/run/"
"""What is in there is made while an instance starts: no image has it."""


def find_refused(root: ImageRoot, config: Config) -> Iterator[str]:
    """Folders and sockets that the unit can't write, and keys that the image does not have."""
    allowed = _find_allowed(root)
    state = str(config.state_directory)
    if not _is_inside(root, state, allowed):
        yield (
            f"state.directory is {state}, where the unit can't write: allow it in a drop-in "
            f"(ReadWritePaths={state})"
        )
    listens = [("sources.forward.listen", forward.listen) for forward in config.forwards]
    if config.metrics is not None:
        listens.append(("metrics.listen", config.metrics.listen))
    for key, listen in listens:
        path = parse_listen(listen).path
        if path and not _is_inside(root, path, allowed):
            here = Path(path)
            yield (
                f"{key} is {path}, where the unit can't make a socket: write "
                f"unix://{RUNTIME_DIRECTORY}/{here.name}, or allow the folder in a drop-in "
                f"(ReadWritePaths={here.parent})"
            )
    for forward in config.forwards:
        key_file = forward.shared_key_file
        if key_file is None or str(key_file).startswith(_BOOT_FOLDER):
            continue
        if not root.find(str(key_file)).is_file():
            yield (
                f"sources.forward.shared_key_file: the image has no {key_file}, without which the "
                "shipper does not start: put it into the image, or name a file below "
                f"{_BOOT_FOLDER} that is there before the unit starts"
            )


def _find_allowed(root: ImageRoot) -> list[Path]:
    """Where the unit may write: its own folders, and what the image's drop-ins add."""
    paths = [default_paths.STATE_DIRECTORY, RUNTIME_DIRECTORY]
    folder = root.find(_DROP_INS)
    if folder.is_dir():
        for file in sorted(folder.glob("*.conf")):
            text = (root.read(f"{_DROP_INS}/{file.name}") or b"").decode("utf-8", "replace")
            for words in _ALLOWED.findall(text):
                paths += (word.strip("\"'").lstrip("-+") for word in words.split())
    return [root.find(path) for path in paths if path.startswith("/")]


def _is_inside(root: ImageRoot, path: str, allowed: list[Path]) -> bool:
    """Whether it is one of these folders, or below one, by the image's own links."""
    found = root.find(path)
    return any(found.is_relative_to(folder) for folder in allowed)
