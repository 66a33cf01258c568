"""The sockets that a Forward server listens on, and who is at the other end of one.

In: `unix:///path` or `tcp://host:port`. Out: listening sockets that do not block. It must never
take a socket file away from a server that still answers, nor anything that is no socket.
"""

from __future__ import annotations

import socket
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from shipper.errors import ConfigError
from shipper.narration import narrate
from shipper.sources.forward.events import Peer

_UNIX: Final = "unix://"
_SOCKET_MODE: Final = 0o660
_FOLDER_MODE: Final = 0o755
_HEARTBEAT_BYTES: Final = 16
_BACKLOG: Final = 512
_PROBE_SECONDS: Final = 1.0
_CREDENTIALS: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What a server listens on."""

    stream: socket.socket
    datagrams: socket.socket | None = None
    """For heartbeats, beside TCP."""
    path: Path | None = None
    file_id: tuple[int, int] = (0, 0)
    """Device and inode of the socket file."""
    address: str
    """As it would be configured, with the port that was chosen."""

    def close(self) -> None:
        """Listen no more; the socket file goes, unless somebody else has put one there."""
        if self.path is not None:
            with suppress(OSError):
                if _file_id(self.path) == self.file_id:
                    self.path.unlink()
        self.stream.close()
        if self.datagrams is not None:
            self.datagrams.close()


def open_listener(address: str) -> Listener:
    """Listen on an address of the configuration.

    Raises:
        ConfigError: it is none, it is in use, or this user may not use it.
    """
    try:
        if address.startswith(_UNIX + "/"):
            return _open_unix(Path(address.removeprefix(_UNIX)), address)
        parts = urlsplit(address)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
            return _open_tcp(parts.hostname, parts.port)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the Forward server can't listen on {address}",
            why=str(error),
            next_step="let [[sources.forward]] listen where nothing else does and this user may",
        ) from error
    raise ConfigError(
        f"{address!r} is nothing to listen on",
        next_step='write listen = "unix:///run/afterimage/forward.sock" or "tcp://127.0.0.1:24224"',
    )


def read_peer(connection: socket.socket) -> Peer | None:
    """Who is at the other end; None: not a unix socket, or the kernel does not say."""
    option = getattr(socket, "SO_PEERCRED", None)
    if connection.family != socket.AF_UNIX or option is None:
        return None
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    except OSError:
        return None
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    return Peer(pid=pid, uid=uid, gid=gid)


def _open_unix(path: Path, address: str) -> Listener:
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    _remove_stale(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(str(path))
        path.chmod(_SOCKET_MODE)  # before anybody can connect
        server.listen(_BACKLOG)
        server.setblocking(False)  # noqa: FBT003 - the socket module's way
        file_id = _file_id(path)
    except BaseException:
        server.close()
        raise
    return Listener(stream=server, path=path, file_id=file_id, address=address)


def _remove_stale(path: Path) -> None:
    """A socket file that nobody listens on any more; OSError: it is something else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise OSError("another server answers there")


def _file_id(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def _open_tcp(host: str, port: int) -> Listener:
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(where)
        server.listen(_BACKLOG)
        server.setblocking(False)  # noqa: FBT003 - the socket module's way
        bound = server.getsockname()
    except BaseException:
        server.close()
        raise
    name = f"[{host}]" if ":" in host else host
    address = f"tcp://{name}:{bound[1]}"
    return Listener(stream=server, datagrams=_open_udp(family, bound, address), address=address)


def _open_udp(family: int, bound: object, address: str) -> socket.socket | None:
    """For heartbeats on the same port; a client that needs none loses nothing without it."""
    server = socket.socket(family, socket.SOCK_DGRAM)
    try:
        server.bind(bound)  # type: ignore[arg-type]  # an address, as the other socket gave it
        server.setblocking(False)  # noqa: FBT003 - the socket module's way
    except OSError as error:
        server.close()
        narrate("warning", f"no UDP heartbeats are answered beside {address}: {error}")
        return None
    return server


def answer_heartbeats(sock: socket.socket) -> None:
    """A datagram of one zero byte gets one back; nothing else gets anything."""
    try:
        while True:
            data, sender = sock.recvfrom(_HEARTBEAT_BYTES)
            if data == b"\0":
                sock.sendto(b"\0", sender)
    except OSError:
        return


def shut(sock: socket.socket) -> None:
    """Read no more than what is there: a client on this machine that writes on hears of it."""
    if sock.family != socket.AF_UNIX:
        return
    try:
        sock.shutdown(socket.SHUT_RD)
    except OSError:
        return
