"""A running Forward server as tests see it: connect, wait for events, read what is in the spool."""

from __future__ import annotations

import socket
from typing import Any, Final

import msgpack

from shipper.clock import SystemClock
from shipper.sources.forward.server import ForwardServer
from shipper.sources.spool import Spool
from tests.faults.bulk_server import wait_until
from tests.shipper.sources.forward.forward_messages import messages

TIMEOUT_SECONDS: Final = 15.0


class ShiftedClock(SystemClock):
    """The machine's clock, as late as a test wants it."""

    shift_seconds = 0.0

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return super().monotonic() + self.shift_seconds


class Served:
    """A server, its spool, and clients of it."""

    def __init__(self, server: ForwardServer, spool: Spool, clock: ShiftedClock) -> None:
        self.server = server
        self.spool = spool
        self.clock = clock
        self._clients: list[socket.socket] = []

    def connect(self) -> socket.socket:
        """A client's socket, which does not wait for ever."""
        address = self.server.address
        if address.startswith("unix://"):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(TIMEOUT_SECONDS)
            client.connect(address.removeprefix("unix://"))
        else:
            client = socket.create_connection(self.tcp_address, TIMEOUT_SECONDS)
        self._clients.append(client)
        return client

    @property
    def tcp_address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.server.address.removeprefix("tcp://").rpartition(":")
        return host, int(port)

    def lines(self) -> list[bytes]:
        """What is in the spool."""
        data = b"".join(path.read_bytes() for path in self.spool.segments())
        return data.splitlines(keepends=True)

    def messages(self) -> list[str]:
        """What the applications said."""
        return messages(self.lines())

    def wait_for(self, events: int) -> None:
        """Until so many events are durable."""
        wait_until(
            lambda: self.server.statistics().events >= events, timeout_seconds=TIMEOUT_SECONDS
        )

    def ask(self, message: bytes) -> Any:
        """Send a message from a new client, and the answer to it."""
        client = self.connect()
        client.sendall(message)
        return receive(client)

    def close(self) -> None:
        """Stop the server and let go of the clients."""
        for client in self._clients:
            client.close()
        self.server.stop(TIMEOUT_SECONDS)
        self.spool.close()


def receive(client: socket.socket) -> Any:
    """The next value that the server sends."""
    unpacker = msgpack.Unpacker()
    while True:
        data = client.recv(1)
        assert data, "the server closed the connection"
        unpacker.feed(data)
        for value in unpacker:
            return value
