"""An evidence store that is a folder: on a laptop, on a share, or synchronised afterwards.

In: keys such as `cases/CASE/journal/000001.json` and bytes. Out: an object that was either put
whole, once, by exactly one caller, or not at all; and the same bytes again.
Must never replace or delete an object, show half of one, or leave its own folder.

A writer that is killed may leave a file in `.partial/`; no key reaches it, and it may be deleted.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forensics.errors import ForensicsError, NotFoundError, UnreachableError, UsageError

_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:+=-]*(?:/[A-Za-z0-9][A-Za-z0-9._@:+=-]*)*")
_PREFIX: Final = re.compile(rf"(?:{_KEY.pattern}/?)?")
_KEY_LIMIT: Final = 512
_PARTIAL: Final = ".partial"
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


class FolderEvidence:
    """The evidence store in the folder `root`; the folder is made at the first put."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"FolderEvidence({str(self.root)!r})"

    @property
    def location(self) -> str:
        """Where the objects are, for a person."""
        return str(self.root)

    def put_new(self, key: str, data: bytes) -> bool:
        """Store `data` under `key` unless the key is taken.

        True: it is stored, and on the disk. False: somebody else was first, and theirs stands.

        Raises:
            UsageError: the key is not one.
            UnreachableError: the folder can't be written.
        """
        target = self._path(key)
        try:
            return self._link_new(target, data)
        except OSError as error:
            raise self._unreachable(key, error) from error

    def get(self, key: str) -> bytes:
        """The object's bytes.

        Raises:
            NotFoundError: there is no such object.
        """
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                return file.read()
        except FileNotFoundError as error:
            raise NotFoundError(
                f"no evidence object {key}",
                why=f"nothing by that key in {self.root}",
                next_step="check --evidence (AFTERIMAGE_EVIDENCE) and the case id",
            ) from error
        except OSError as error:
            raise self._unreachable(key, error) from error

    def list(self, prefix: str = "") -> Sequence[str]:
        """The keys that start with `prefix`, in order."""
        if _PREFIX.fullmatch(prefix) is None:
            raise _bad_key(prefix)
        folder = self.root / prefix.rpartition("/")[0]
        found = []
        for parent, folders, names in os.walk(folder, onerror=self._raise_unless_missing):
            folders[:] = [name for name in folders if not name.startswith(".")]
            relative = Path(parent).relative_to(self.root).as_posix()
            found += [name if relative == "." else f"{relative}/{name}" for name in names]
        return sorted(key for key in found if key.startswith(prefix) and _KEY.fullmatch(key))

    def _path(self, key: str) -> Path:
        if len(key) > _KEY_LIMIT or _KEY.fullmatch(key) is None:
            raise _bad_key(key)
        return self.root / key

    def _link_new(self, target: Path, data: bytes) -> bool:
        if target.exists():
            return False
        self._make_folder(target.parent)
        self._make_folder(self.root / _PARTIAL)
        partial = self.root / _PARTIAL / f"{os.getpid()}-{secrets.token_hex(8)}"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            stored = _link(partial, target)
        finally:
            partial.unlink()
        # Also for the loser: what it is about to rely on must outlive a power cut.
        _sync_folder(target.parent)
        return stored

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            _sync_folder(path.parent)

    def _raise_unless_missing(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise self._unreachable(str(error.filename), error) from error

    def _unreachable(self, key: str, error: OSError) -> ForensicsError:
        return UnreachableError(
            f"the evidence folder can't be used for {key}",
            why=f"{error.strerror or error} ({self.root})",
            next_step="name a folder you can write with --evidence; hard links must work on it",
        )


def _link(partial: Path, target: Path) -> bool:
    try:
        os.link(partial, target)
    except FileExistsError:
        # Over NFS the answer to a link that worked may be lost and its repeat refused.
        return partial.stat().st_nlink > 1
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bad_key(key: str) -> UsageError:
    return UsageError(
        f"{key[:80]!r} is not an evidence key",
        why="a key is parts of letters, digits and . _ @ : + = - joined by /, none starting with .",
        next_step="use a key as `forensics case list` prints them",
    )
