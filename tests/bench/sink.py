"""A `_bulk` endpoint that stores nothing: the same cheap centre for every shipper that is measured.

In: a port, a file, how much of each request to keep there, and how many requests it can serve at
once. Out: its port on stdout, then success for every item, spelled as OpenSearch does, with the
`filter_path` that the client asked for. It looks into no body beyond counting: what came is
compared after the run, from the file. It must never be what a shipper waits for, unless told so.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote_to_bytes

ENTRY: Final = struct.Struct("<ddIIIHBI")
"""Arrived, answered (monotonic seconds), documents, vitals, plain bytes, status, gzip, kept."""

_HEAD_LIMIT_BYTES: Final = 64 << 10
_STACK_BYTES: Final = 256 << 10
_END_SECONDS: Final = 0.3
"""For requests that are being answered."""
_BUSY: Final = b'{"error":{"type":"rejected_execution_exception","reason":"busy"},"status":429}'
_SHORT_ITEM: Final = b'{"create":{"status":201}}'
_ITEM: Final = (
    b'{"create":{"_index":"afterimage-logs-2026.01.03","_id":"wZfHxI0BQm3mXw7x2Zp1","_version":1,'
    b'"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":1234567,'
    b'"_primary_term":1,"status":201}}'
)
_ROOT: Final = b'{"version":{"number":"3.8.0","distribution":"opensearch"},"status":"green"}'


@dataclass(slots=True, kw_only=True)
class Sink:
    """What all connections share."""

    entries: BinaryIO
    keeps_bodies: bool
    service_seconds: float
    """How long a request takes besides its own work."""
    slots: threading.BoundedSemaphore | None
    """Requests beyond these are refused with 429."""
    documents: int = 0
    body_bytes: int = 0
    requests: int = 0
    is_ending: bool = False
    """What is not answered yet gets no answer."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(
        self,
        times: tuple[float, float],
        counts: tuple[int, int, int],
        status: int,
        body: bytes,
        *,
        is_gzip: bool,
    ) -> None:
        """Account for one request, after its answer."""
        kept = body if self.keeps_bodies and status == 200 else b""
        entry = ENTRY.pack(*times, *counts, status, is_gzip, len(kept))
        with self.lock:
            self.entries.write(entry)
            self.entries.write(kept)
            self.documents += counts[0]
            self.body_bytes += counts[2]
            self.requests += 1

    def counts(self) -> bytes:
        """The answer to `GET /_counts`; what came is in the file by then."""
        with self.lock:
            self.entries.flush()
            return json.dumps(
                {
                    "documents": self.documents,
                    "body_bytes": self.body_bytes,
                    "requests": self.requests,
                }
            ).encode()


def serve(connection: socket.socket, sink: Sink) -> None:
    """One connection, until the client leaves."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting = bytearray()
    with connection, contextlib.suppress(ConnectionError, EOFError):
        while not sink.is_ending:
            head, waiting = _read_head(connection, waiting)
            request, _, fields = head.partition(b"\r\n")
            fields = fields.lower()
            if b"expect: 100-continue" in fields:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            size = _number_after(b"content-length:", fields)
            body, waiting = _read_body(connection, waiting, size)
            if request.startswith(b"POST") and b"_bulk" in request:
                _answer_bulk(connection, sink, request, body, is_gzip=b"encoding: gzip" in fields)
            else:
                answer = sink.counts() if b"/_counts" in request else _ROOT
                _send(connection, 200, answer, has_body=not request.startswith(b"HEAD"))


def _answer_bulk(
    connection: socket.socket, sink: Sink, request: bytes, body: bytes, *, is_gzip: bool
) -> None:
    arrived = time.monotonic()
    if sink.is_ending:
        return
    if sink.slots is not None and not sink.slots.acquire(blocking=False):
        _send(connection, 429, _BUSY)
        sink.note((arrived, time.monotonic()), (0, 0, 0), 429, b"", is_gzip=is_gzip)
        return
    try:
        if sink.service_seconds:
            time.sleep(sink.service_seconds)
        plain = zlib.decompress(body, 16 + zlib.MAX_WBITS) if is_gzip else body
        items = plain.count(b'{"create":')
        vitals = plain.count(b'"_index":"afterimage-vitals')
        item = _SHORT_ITEM if b"items.*.status" in unquote_to_bytes(request) else _ITEM
        answer = b'{"took":1,"errors":false,"items":[%b]}' % b",".join([item] * items)
    finally:
        if sink.slots is not None:
            sink.slots.release()
    _send(connection, 200, answer)
    counts = (items - vitals, vitals, len(plain))
    sink.note((arrived, time.monotonic()), counts, 200, body, is_gzip=is_gzip)


def _read_head(connection: socket.socket, waiting: bytearray) -> tuple[bytes, bytearray]:
    while (end := waiting.find(b"\r\n\r\n")) < 0:
        piece = connection.recv(_HEAD_LIMIT_BYTES)
        if not piece or len(waiting) > _HEAD_LIMIT_BYTES:
            raise EOFError
        waiting += piece
    return bytes(waiting[:end]), waiting[end + 4 :]


def _read_body(connection: socket.socket, waiting: bytearray, size: int) -> tuple[bytes, bytearray]:
    if len(waiting) >= size:
        return bytes(waiting[:size]), waiting[size:]
    body = bytearray(size)
    body[: len(waiting)] = waiting
    view = memoryview(body)
    place = len(waiting)
    while place < size:
        count = connection.recv_into(view[place:])
        if not count:
            raise EOFError
        place += count
    view.release()
    return bytes(body), bytearray()


def _number_after(name: bytes, fields: bytes) -> int:
    _, found, rest = fields.partition(name)
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _send(connection: socket.socket, status: int, body: bytes, *, has_body: bool = True) -> None:
    head = b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
        status,
        len(body),
    )
    connection.sendall(head + body if has_body else head)


def main(port: str, entries: str, keeps: str, slots: str, service_ms: str) -> None:
    """Listen on loopback until SIGTERM; what was answered is in the file then."""
    threading.stack_size(_STACK_BYTES)  # a thousand connections are a thousand threads
    signal.signal(signal.SIGTERM, _end)
    with Path(entries).open("ab", buffering=1 << 20) as file:
        sink = Sink(
            entries=file,
            keeps_bodies=keeps == "bodies",
            service_seconds=int(service_ms) / 1000,
            slots=threading.BoundedSemaphore(int(slots)) if int(slots) else None,
        )
        try:
            _accept(int(port), sink)
        except SystemExit:
            sink.is_ending = True
            time.sleep(_END_SECONDS)
            with sink.lock:
                file.flush()
                os._exit(0)  # threads may wait for clients that stay


def _accept(port: int, sink: Sink) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=4096) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection, sink), daemon=True).start()


def _end(_number: int, _frame: object) -> None:
    raise SystemExit


if __name__ == "__main__":
    main(*sys.argv[1:])
