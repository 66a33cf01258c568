"""The sockets that a Forward server listens on, and who is at the other end of one.

In: a `ListenAddress`. Out: listening sockets that do not block. It must never believe a client that
says who it is: the kernel does.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Final

from shipper.errors import ConfigError
from shipper.listen_address import ListenAddress
from shipper.listening import Stream, open_stream
from shipper.narration import narrate
from shipper.sources.forward.events import Peer

_SOCKET_MODE: Final = 0o660
_HEARTBEAT_BYTES: Final = 16
_BACKLOG: Final = 512
_CREDENTIALS: Final = struct.Struct("iII")
"""`struct ucred`: a process id, and the ids of a user and a group, which have no sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What a server listens on."""

    stream: Stream
    datagrams: socket.socket | None = None
    """For heartbeats, beside TCP."""

    def close(self) -> None:
        """Listen no more."""
        self.stream.close()
        if self.datagrams is not None:
            self.datagrams.close()


def open_listener(address: ListenAddress) -> Listener:
    """Listen.

    Raises:
        ConfigError: the address is in use, or this user may not use it.
    """
    try:
        stream = open_stream(address, backlog=_BACKLOG, mode=_SOCKET_MODE)
    except OSError as error:
        raise ConfigError(
            f"the Forward server can't listen on {address}",
            why=error.strerror or str(error),
            next_step="let [[sources.forward]] listen where nothing else does and this user may",
        ) from error
    stream.socket.setblocking(False)  # noqa: FBT003 - the socket module's way
    return Listener(stream=stream, datagrams=None if address.path else _open_udp(stream))


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


def _open_udp(stream: Stream) -> socket.socket | None:
    """For heartbeats on the same port; a client that needs none loses nothing without it."""
    server = socket.socket(stream.socket.family, socket.SOCK_DGRAM)
    try:
        server.bind(stream.socket.getsockname())
        server.setblocking(False)  # noqa: FBT003 - the socket module's way
    except OSError as error:
        server.close()
        narrate("warning", f"no UDP heartbeats are answered beside {stream.address}: {error}")
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
