"""An oracle in the centre's place: a real HTTP `_bulk` server that fails by a seeded plan.

In: bulk bodies. Out: OpenSearch's answers, and what was stored. It keeps every document by
(index, id), so that a record that went to two indices, or came with other bytes, is seen.
"""

from __future__ import annotations

import gzip
import http.server
import json
import random
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

Document = Mapping[str, Any]


@dataclass
class Oracle:
    """What the server holds, and what it saw that must not be."""

    documents: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    altered: list[str] = field(default_factory=list)
    """Ids that came a second time with another document than the place allows."""
    statuses: Counter[int] = field(default_factory=Counter)
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, index: str, document_id: str, document: dict[str, Any]) -> int:
        """Store it, or say that the id is taken."""
        with self.lock:
            known = self.documents.setdefault((index, document_id), document)
            if known is document:
                return 201
            if (known.get("message"), known.get("afterimage.raw")) != (
                document.get("message"),
                document.get("afterimage.raw"),
            ) and "-v-" not in document_id:
                self.altered.append(document_id)
            return 409

    def logs(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Index, id and fields of every record."""
        return self._family("afterimage-logs-")

    def vitals(self, action: str = "") -> list[dict[str, Any]]:
        """The fields of vitals, in the order they came; of one action, or all."""
        return [
            fields
            for _, _, fields in self._family("afterimage-vitals-")
            if action in {"", fields["event.action"]}
        ]

    def _family(self, prefix: str) -> list[tuple[str, str, dict[str, Any]]]:
        with self.lock:
            return [
                (index, document_id, fields)
                for (index, document_id), fields in self.documents.items()
                if index.startswith(prefix)
            ]


@dataclass(frozen=True)
class Faults:
    """How often each fault is done, as a share of requests (or of items)."""

    too_many: float = 0.0
    """429 for the request."""
    unavailable: float = 0.0
    """503 for the request."""
    item_too_many: float = 0.0
    """429 for an item."""
    reset_before: float = 0.0
    """The connection is reset before anything is stored."""
    reset_after: float = 0.0
    """All is stored, and the answer never comes."""
    garbage: float = 0.0
    """All is stored, and the answer is 200 with no JSON."""
    short: float = 0.0
    """All is stored, and the answer lacks an item."""


ItemJudge = Callable[[str, dict[str, Any]], dict[str, Any] | None]
"""Index and document in; an error answer for the item, or None to store it."""


class BulkServer:
    """The server; a context manager."""

    def __init__(
        self,
        *,
        faults: Faults | None = None,
        seed: int = 0,
        judge: ItemJudge | None = None,
        body_limit_bytes: int = 1 << 30,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.oracle = Oracle()
        self.faults = faults or Faults()
        self.judge = judge
        self.body_limit_bytes = body_limit_bytes
        self.scripted: list[tuple[int, bytes, dict[str, str]]] = []
        """Answers to give instead of storing, first one first."""
        self.seen_headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._random = random.Random(seed)
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _QuietServer(("127.0.0.1", port), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def chance(self, share: float) -> bool:
        """The next decision of the plan."""
        return share > 0 and self._random.random() < share

    def store(self, body: bytes) -> list[dict[str, Any]]:
        """Carry out a bulk body; the items of the answer."""
        lines = body.split(b"\n")
        if lines.pop() != b"":
            raise ValueError("a bulk body must end with a newline")
        answers = []
        for action_line, document_line in zip(lines[::2], lines[1::2], strict=True):
            action = json.loads(action_line)["create"]
            answers.append({"create": self._store_item(action, json.loads(document_line))})
        return answers

    def _store_item(self, action: Mapping[str, str], document: dict[str, Any]) -> dict[str, Any]:
        if self.chance(self.faults.item_too_many):
            error = {"type": "rejected_execution_exception", "reason": "queue is full"}
            return {"status": 429, "error": error}
        refused = self.judge(action["_index"], document) if self.judge else None
        if refused is not None:
            return refused
        return {"status": self.oracle.create(action["_index"], action["_id"], document)}


class _QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is the point of these tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: BulkServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One bulk request, or a fault in its place."""
        owner, faults = self.owner, self.owner.faults
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        owner.seen_headers.append(dict(self.headers))
        owner.paths.append(self.path)
        owner.oracle.requests += 1
        body = gzip.decompress(raw)
        if owner.scripted:
            self._answer(*owner.scripted.pop(0))
        elif len(body) > owner.body_limit_bytes:
            self._answer(413, b"too large", {})
        elif owner.chance(faults.too_many):
            self._answer(429, b"", {"Retry-After": "0"})
        elif owner.chance(faults.unavailable):
            self._answer(503, b"no", {})
        elif owner.chance(faults.reset_before):
            self._reset()
        else:
            self._store_and_answer(body)

    def _store_and_answer(self, body: bytes) -> None:
        owner, faults = self.owner, self.owner.faults
        items = owner.store(body)
        if owner.chance(faults.reset_after):
            self._reset()
        elif owner.chance(faults.garbage):
            self._answer(200, b"<html>gateway</html>", {})
        else:
            if owner.chance(faults.short):
                items.pop()
            has_errors = any("error" in next(iter(item.values())) for item in items)
            text = json.dumps({"took": 1, "errors": has_errors, "items": items})
            self._answer(200, text.encode(), {})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.owner.oracle.statuses[status] += 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """Close so that the other side gets a reset instead of an end."""
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        """Say nothing."""


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float = 20.0) -> None:
    """Poll until it holds; AssertionError: it never did."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come true in time")
        time.sleep(0.01)
