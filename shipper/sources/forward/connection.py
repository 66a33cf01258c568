"""One client's socket: what comes in goes through its session, what is owed goes out.

In: a socket that does not block. Out: steps of the protocol, and bytes sent. It must never wait for
its client, nor hold more for it than the limits say.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from typing import Final

from shipper.sources.forward.protocol import Session, SessionOptions, Step
from shipper.sources.forward.sockets import read_peer

READ_BYTES: Final = 64 << 10
LARGE_BYTES: Final = 64 << 10
"""Whose unfinished message is above it is the only one that may read on."""
SILENT_SECONDS: Final = 30.0
"""How long an unfinished large message, or a handshake, may stand still."""

_IDLE_SECONDS: Final = 10.0
_UNPROVEN_SECONDS: Final = 0.5
"""The same for one that never sent an event: who only connects takes nobody's place for long."""

_ANSWERED_LIMIT: Final = 64
_OWED_LIMIT_BYTES: Final = 64 << 10
_NONCE_BYTES: Final = 16


class Connection:
    """A client that is connected."""

    def __init__(self, sock: socket.socket, options: SessionOptions, now: float) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the socket module's way
        self.socket = sock
        self.session = Session(
            options, nonce=secrets.token_bytes(_NONCE_BYTES), peer=read_peer(sock)
        )
        self.began_at = now
        self.heard_at = now
        self.is_ended = False
        """Whether nothing more is read: the client closed, or was refused."""
        self.is_lost = False
        """Whether nothing more can be sent."""
        self.has_spoken = False
        """Whether it ever sent a whole event."""
        self._owed = bytearray(self.session.greeting)
        self._answered: dict[bytes, None] = {}

    @property
    def is_large(self) -> bool:
        """Whether its unfinished message takes more than everybody's share."""
        return self.session.held_bytes > LARGE_BYTES

    @property
    def may_go_at(self) -> float:
        """From when on it may be closed to make room for another; clients come again."""
        if self.has_spoken:
            return self.heard_at + _IDLE_SECONDS
        return (self.heard_at if self.session.is_admitted else self.began_at) + _UNPROVEN_SECONDS

    @property
    def has_unread(self) -> bool:
        """Whether the kernel holds something of it: it would be lost with the connection."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    @property
    def is_owed(self) -> bool:
        """Whether bytes wait to be sent."""
        return bool(self._owed) and not self.is_lost

    def read(self, now: float, now_nanos: int, limit_bytes: int) -> Iterator[tuple[int, Step]]:
        """What the kernel holds for it, about `limit_bytes` of it, as (bytes, step)."""
        while limit_bytes > 0 and not self.is_ended:
            try:
                data = self.socket.recv(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # reset: a client that went away
                self.is_ended = self.is_lost = True
                return
            if not data:
                self.is_ended = True
                return
            self.heard_at = now
            limit_bytes -= len(data)
            step = self.session.feed(data, now_nanos)
            self.has_spoken |= bool(step.deliveries)
            self.is_ended |= step.is_closed
            yield len(data), step

    def owe(self, reply: bytes) -> None:
        """Send it, now or as soon as the client reads; one that never reads is let go."""
        self._owed += reply
        if len(self._owed) > _OWED_LIMIT_BYTES:
            self.is_ended = self.is_lost = True

    def send(self) -> None:
        """Send what it takes now."""
        while self.is_owed:
            try:
                del self._owed[: self.socket.send(self._owed)]
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.is_ended = self.is_lost = True

    def note_answered(self, key: bytes) -> None:
        """A chunk's acknowledgement is on its way, and so soon that nobody gave up waiting."""
        self._answered[key] = None
        if len(self._answered) > _ANSWERED_LIMIT:
            del self._answered[next(iter(self._answered))]

    def was_answered(self, key: bytes) -> bool:
        """Whether the client has an answer to it: a chunk that equals it is then another one."""
        return key in self._answered

    def is_stuck(self, now: float) -> bool:
        """Whether it holds memory or a place, and does not go on."""
        if not self.session.is_admitted:
            return now - self.began_at > SILENT_SECONDS
        return self.is_large and now - self.heard_at > SILENT_SECONDS
