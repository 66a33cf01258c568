"""An image's mounted root: every path is looked up inside it, as the booted image would.

In: a directory, and absolute paths of the image. Out: their bytes, read or replaced atomically.
It must never leave the directory: a link in the image that says `/etc` means the image's `/etc`,
not that of the machine that bakes.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shipper.errors import ConfigError

_LINKS_LIMIT: Final = 40  # the kernel's own limit


@dataclass(frozen=True, slots=True)
class ImageRoot:
    """The root of a mounted image."""

    directory: Path

    @classmethod
    def open(cls, directory: Path) -> ImageRoot:
        """The root at `directory`.

        Raises:
            ConfigError: there is no such directory.
        """
        try:
            real = directory.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise ConfigError(
                f"--root {directory} can't be used",
                why=str(error),
                next_step="mount the image and name the directory that holds its /etc and /usr",
            ) from error
        if not real.is_dir():
            raise ConfigError(f"--root {directory} is not a directory", next_step="mount the image")
        return cls(real)

    def find(self, path: str, *, follow_last: bool = True) -> Path:
        """Where the image's `path` is on this machine: links followed, inside the root.

        What doesn't exist yet is taken as it is named.

        Raises:
            ConfigError: the links go in a circle.
        """
        done: list[str] = []
        todo = path.split("/")[::-1]
        links = 0
        while todo:
            part = todo.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                done = done[:-1]  # the root's parent is the root
                continue
            here = self.directory.joinpath(*done, part)
            if not here.is_symlink() or not (todo or follow_last):
                done.append(part)
                continue
            links += 1
            if links > _LINKS_LIMIT:
                raise ConfigError(
                    f"{path} in {self.directory} is a circle of links",
                    next_step="repair the image",
                )
            target = str(here.readlink())
            if target.startswith("/"):
                done = []
            todo += target.split("/")[::-1]
        return self.directory.joinpath(*done)

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None: there is none."""
        try:
            return self.find(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_mode(self, path: str) -> int:
        """A file's permission bits."""
        return self.find(path).stat().st_mode & 0o7777

    def read_link(self, path: str) -> str | None:
        """A link's target as it is written; None: there is no link."""
        here = self.find(path, follow_last=False)
        return str(here.readlink()) if here.is_symlink() else None

    def make_parents(self, path: str) -> list[str]:
        """Make the directories above `path`; returns the ones that were missing, outer ones first.

        They are named as they lie in the root, links followed.
        """
        parent = self.find(path.rpartition("/")[0])
        missing: list[Path] = []
        while not parent.is_dir():
            missing.append(parent)
            parent = parent.parent
        for directory in reversed(missing):
            directory.mkdir(mode=0o755)
            directory.chmod(0o755)  # whatever the umask says
        return [f"/{one.relative_to(self.directory)}" for one in reversed(missing)]

    def write(self, path: str, data: bytes, mode: int) -> None:
        """Replace a file, or a link in its place: old or new bytes, also after a power cut."""
        target = self.find(path, follow_last=False)
        file, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
                os.fchmod(stream.fileno(), mode)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def write_link(self, path: str, target: str) -> None:
        """Replace a link, or make it."""
        here = self.find(path, follow_last=False)
        temporary = here.with_name(f".{here.name}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(here)

    def remove(self, path: str) -> None:
        """Take a file or a link away; the link itself, not what it points to."""
        self.find(path, follow_last=False).unlink()

    def remove_empty(self, path: str) -> bool:
        """Take a directory away if nothing is in it; whether it went."""
        try:
            self.find(path, follow_last=False).rmdir()
        except OSError:
            return False
        return True
