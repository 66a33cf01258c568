"""The program as an image gets it: one zip file, a launcher, and the Python that runs them.

In: this very package, and the image's root. Out: bytes, the same for the same source wherever and
whenever they are built. It must never run anything of the image: it may be another machine's.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from shipper.bake.root import ImageRoot

OLDEST_MINOR: Final = 11
"""Python 3.11 is the first that has tomllib."""

_SUFFIXES: Final = (".py", ".service", ".typed")
_ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_MAIN: Final = b"from shipper.cli import main\n\nraise SystemExit(main())\n"

# Where a unit without a PATH of its own looks, in that order.
_FOLDERS: Final = ("/usr/local/bin", "/usr/bin", "/bin")
_VERSIONED: Final = re.compile(r"python3\.(\d{1,3})")

_LAUNCHER: Final = """\
#!{interpreter}
\"\"\"Starts the Afterimage shipper. Installed by `shipper bake`.\"\"\"

import os
import sys

if sys.version_info < (3, {minor}):
    sys.exit("shipper needs Python 3.{minor} or newer, this one is " + sys.version.split()[0])

# In place of this file's own folder, whose modules are none of ours.
sys.path[0] = os.path.join(
    os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "lib/afterimage/shipper.pyz"
)

from shipper.cli import main

sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of the image that can run the shipper."""

    command: str
    """What stands behind `#!`."""
    version: str


def build_program() -> bytes:
    """The `shipper` package as a zip that Python runs. Stored, not deflated: zlibs differ."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        members = sorted(_sources(files("shipper"), "shipper"))
        for name, data in [("__main__.py", _MAIN), *members]:
            member = zipfile.ZipInfo(name, _ZIP_DATE)
            member.create_system = _UNIX
            member.external_attr = 0o100644 << 16
            archive.writestr(member, data)
    return buffer.getvalue()


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _sources(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(_SUFFIXES):
            yield f"{name}/{entry.name}", entry.read_bytes()


def build_launcher(interpreter: Interpreter | None) -> bytes:
    """`/usr/bin/shipper`; without a known interpreter it takes the `python3` of its day."""
    command = interpreter.command if interpreter else "/usr/bin/env python3"
    return _LAUNCHER.format(interpreter=command, minor=OLDEST_MINOR).encode()


def read_unit() -> bytes:
    """The systemd unit."""
    return files("shipper.bake").joinpath("afterimage-shipper.service").read_bytes()


def find_interpreter(root: ImageRoot) -> Interpreter | None:
    """The image's Python, 3.11 or newer: its `python3` if it is one, else the newest beside it.

    Amazon Linux 2023 and RHEL 9 have a `python3` that is too old, and newer ones under their names.
    """
    for folder in _FOLDERS:
        if root.find(f"{folder}/python3").is_file():
            minor = _minor(root, f"{folder}/python3")
            if minor >= OLDEST_MINOR:
                return Interpreter("/usr/bin/env python3", f"3.{minor}")
            break
    named = [
        (minor, f"{folder}/python3.{minor}")
        for folder in _FOLDERS
        for minor in _named_minors(root, folder)
        if minor >= OLDEST_MINOR
    ]
    if not named:
        return None
    minor, command = max(named, key=lambda one: one[0])
    return Interpreter(command, f"3.{minor}")


def _minor(root: ImageRoot, path: str) -> int:
    """The minor version, told by the name of the file behind the links; -1: it doesn't tell."""
    match = _VERSIONED.fullmatch(root.find(path).name)
    return int(match[1]) if match else -1


def _named_minors(root: ImageRoot, folder: str) -> Iterator[int]:
    here = root.find(folder)
    if not here.is_dir():
        return
    for entry in here.iterdir():
        match = _VERSIONED.fullmatch(entry.name)
        if match and root.find(f"{folder}/{entry.name}").is_file():
            yield int(match[1])
