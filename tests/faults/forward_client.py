"""A Forward client that keeps a chunk until it is acknowledged.

In: a socket's path, a chunk's number and its lines. Out: whether the shipper acknowledged it.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import msgpack

_READ_BYTES = 4096


def send_chunk(
    path: Path, name: str, texts: Sequence[str], *, timeout_seconds: float = 2.0
) -> bool:
    """Send a chunk on a connection of its own; False: no acknowledgement came in time."""
    entries = [[1_700_000_000 + place, {"message": text}] for place, text in enumerate(texts)]
    message = msgpack.packb(["app", entries, {"chunk": name}])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_seconds)
        try:
            client.connect(str(path))
            client.sendall(message)
            answer = client.recv(_READ_BYTES)
        except OSError:
            return False
    return bool(answer) and msgpack.unpackb(answer) == {"ack": name}
