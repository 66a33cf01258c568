"""Listening on an address: what is in the way, and the socket where nothing is.

In: a `ListenAddress`. Out: why nobody can listen there, or a listening socket; `check` finds what
the servers refuse. It must never take a socket file away from a process that still listens, or may,
nor anything that is no socket.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from shipper.folders import may_write, nearest_existing
from shipper.listen_address import ListenAddress

TAKEN: Final = "another process listens there"

_PROBE_SECONDS: Final = 1.0
_FOLDER_MODE: Final = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What accepts connections."""

    socket: socket.socket
    address: ListenAddress
    """With the port that was chosen."""
    file_id: tuple[int, int] = (0, 0)
    """Device and inode of a unix socket's file."""

    def close(self) -> None:
        """Listen no more; the socket's file goes, unless somebody else has put one there."""
        if self.address.path:
            with contextlib.suppress(OSError):
                if _file_id(self.address.path) == self.file_id:
                    Path(self.address.path).unlink()
        self.socket.close()


def find_obstacle(address: ListenAddress) -> str:
    """Why nobody can listen there now; empty: it can be had."""
    try:
        if address.path:
            return _find_unix_obstacle(Path(address.path))
        _bind_tcp(address).close()
    except OSError as error:
        return TAKEN if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return ""


def open_stream(address: ListenAddress, *, backlog: int, mode: int) -> Stream:
    """Listen; the file that a killed process left at a unix address is replaced.

    `mode`: of a unix socket's file. OSError: it can't be had; its text is `find_obstacle`'s.
    """
    obstacle = find_obstacle(address)
    if obstacle:
        raise OSError(obstacle)
    if address.path:
        return _open_unix(address, backlog, mode)
    server = _bind_tcp(address)
    try:
        server.listen(backlog)
        port = server.getsockname()[1]
    except BaseException:
        server.close()
        raise
    return Stream(socket=server, address=replace(address, port=port))


def _find_unix_obstacle(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return _folder_problem(nearest_existing(path.parent))
    if not stat.S_ISSOCK(mode):
        return "another file has that name: move it away"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):  # its owner is gone: it is replaced
            return _folder_problem(path.parent)
        except (BlockingIOError, TimeoutError):
            return TAKEN  # by one that has more connections waiting than it takes
        except PermissionError:
            return "a socket is there that this user may not connect to: it may be in use"
    return TAKEN


def _folder_problem(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} is not a directory"
    return "" if may_write(folder) else f"{folder} can't be written by this user"


def _open_unix(address: ListenAddress, backlog: int, mode: int) -> Stream:
    path = Path(address.path)
    path.unlink(missing_ok=True)  # `find_obstacle` has seen that nobody listens on it
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(address.path)
        path.chmod(mode)  # before anybody can connect
        server.listen(backlog)
        file_id = _file_id(address.path)
    except BaseException:
        server.close()
        raise
    return Stream(socket=server, address=address, file_id=file_id)


def _bind_tcp(address: ListenAddress) -> socket.socket:
    family, where = _resolve(address)
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(where)
    except BaseException:
        server.close()
        raise
    return server


def _resolve(address: ListenAddress) -> tuple[socket.AddressFamily, Any]:
    """Where a name points: IPv4 where it has both, since some clients know nothing else."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, where


def _file_id(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
