"""One HTTP/1.1 connection: a request's pieces out as they are, an answer in, by one deadline.

In: an address, bytes. Out: an `Answer`. Bodies are not copied: `sendmsg` takes head and pieces
together. It must never outlast its deadline, however slowly the other side reads or drips.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from shipper.deliver.addresses import Address

if TYPE_CHECKING:
    import ssl

_ANSWER_LIMIT_BYTES: Final = 64 << 20
_READ_BYTES: Final = 256 << 10
_PIECES_AT_ONCE: Final = 64
_JOINED_BYTES: Final = 64 << 10
"""TLS can't gather pieces: small ones are joined, so that head and body are one packet."""
_LATE_SECONDS: Final = 1.0
"""How long an answer is waited for once the other side takes no more of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes
    retry_after: str
    location: str
    opaque_id: str
    """The request's, where the centre says it back."""
    will_close: bool
    """Nothing else may be asked on this connection."""


class Connection:
    """An open connection; used by one thread."""

    def __init__(
        self, address: Address, *, tls: ssl.SSLContext | None, timeout_seconds: float
    ) -> None:
        """OSError: it can't be opened in time."""
        self.address = address
        """TCP and TLS each have the timeout; of several numbers that a name has, each has it."""
        plain = socket.create_connection((address.host, address.port), timeout=timeout_seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = tls.wrap_socket(plain, server_hostname=address.host) if tls else plain
        except BaseException:
            plain.close()
            raise
        self._is_tls = tls is not None

    def exchange(self, head: bytes, body: Sequence[bytes], deadline: float) -> Answer:
        """Send a POST and read its answer, also one that comes before the body was taken.

        Raises:
            OSError: the connection was lost, or the deadline passed.
            http.client.HTTPException: what came back is no HTTP, or not all of it.
        """
        try:
            self._send([head, *body], deadline)
        except (ConnectionError, TimeoutError) as failed:
            # a body that is too large is refused before its end, and then not read any more
            try:
                return self._read(min(deadline, time.monotonic()) + _LATE_SECONDS)
            except (OSError, http.client.HTTPException):
                raise failed from None
        return self._read(deadline)

    def is_stale(self) -> bool:
        """Whether something came that nobody asked for: its end, or a second answer."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()

    def _send(self, pieces: list[bytes], deadline: float) -> None:
        if self._is_tls:
            if sum(map(len, pieces)) <= _JOINED_BYTES:
                pieces = [b"".join(pieces)]
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    self._socket.settimeout(_left(deadline))
                    view = view[self._socket.send(view) :]
            return
        views = [memoryview(piece) for piece in reversed(pieces) if piece]
        while views:
            self._socket.settimeout(_left(deadline))
            sent = self._socket.sendmsg(views[: -_PIECES_AT_ONCE - 1 : -1])
            while views and sent >= len(views[-1]):
                sent -= len(views.pop())
            if sent:
                views[-1] = views[-1][sent:]

    def _read(self, deadline: float) -> Answer:
        source = _Source(self._socket, deadline)
        reader = _Reader(source)
        response = http.client.HTTPResponse(cast("socket.socket", reader), method="POST")
        response.begin()
        pieces: list[bytes] = []
        size = 0
        while piece := response.read(_READ_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > _ANSWER_LIMIT_BYTES:
                raise http.client.HTTPException(f"the answer is over {size} bytes")
        source.is_over = True
        return Answer(
            status=response.status,
            body=b"".join(pieces),
            retry_after=response.getheader("Retry-After", ""),
            location=response.getheader("Location", ""),
            opaque_id=response.getheader("X-Opaque-Id", ""),
            will_close=response.will_close or bool(reader.peek(1)),
        )


class _Source(io.RawIOBase):
    """A socket to read from; every read has what is left of one deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline
        self.is_over = False
        """Nothing more is read; what was read already can still be looked at."""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As `recv_into`, or TimeoutError."""
        if self.is_over:
            return 0
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)


class _Reader(io.BufferedReader):
    """A socket as `HTTPResponse` wants it, which is still open once the answer is read."""

    def makefile(self, _mode: str) -> _Reader:
        """What `HTTPResponse` asks of a socket."""
        return self

    def close(self) -> None:
        """Done by whoever holds the socket."""


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0.0:
        raise TimeoutError("the request took too long")
    return seconds
