"""A centre that fails by a seeded plan: a real HTTP `_bulk` server.

In: bulk bodies, of any shipper. Out: OpenSearch's answers, and what was stored. It keeps every
document by (index, id), so that a record that went to two indices, or came with other bytes, is
seen. Which faults there are stands in `fault_plan.py`.
"""

from __future__ import annotations

import gzip
import http.server
import itertools
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

from tests.faults.fault_plan import ITEM_ERRORS, WHOLE_ANSWERS, Faults

__all__ = ["BulkServer", "Faults", "Oracle", "wait_until"]

Document = Mapping[str, Any]

_SILENCE_SECONDS = 30.0
"""How long an answer that never comes is waited for, at most."""
_UNREADABLE = {"type": "mapper_parsing_exception", "reason": "failed to parse"}
_DRIP_PIECES = 20
_DRIP_SECONDS = 0.02


@dataclass
class Oracle:
    """What the server holds, and what it saw that must not be."""

    documents: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    altered: list[str] = field(default_factory=list)
    """Ids that came a second time with another document than the place allows."""
    statuses: Counter[int] = field(default_factory=Counter)
    faults_done: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

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

    def replace(self, index: str, document_id: str, document: dict[str, Any]) -> int:
        """Store it over what has the id."""
        with self.lock:
            is_known = (index, document_id) in self.documents
            self.documents[index, document_id] = document
            return 200 if is_known else 201

    def make_id(self) -> str:
        """An id for a document that came without one."""
        return f"automatic {next(self._numbers)}"

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


ItemJudge = Callable[[str, dict[str, Any]], dict[str, Any] | None]
"""Index and document in; an error answer for the item, or None to store it."""


class BulkServer:
    """The server; a context manager."""

    def __init__(
        self,
        *,
        faults: Faults | None = None,
        fault_requests: int | None = None,
        seed: int = 0,
        judge: ItemJudge | None = None,
        body_limit_bytes: int = 1 << 30,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`fault_requests`: how many requests may meet a fault; None: any number."""
        self.oracle = Oracle()
        self.faults = faults or Faults()
        self.fault_requests = fault_requests
        self.judge = judge
        self.body_limit_bytes = body_limit_bytes
        self.scripted: list[tuple[int, bytes, dict[str, str]]] = []
        """Answers to give instead of storing, first one first."""
        self.seen_headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.is_away = False
        self._random = random.Random(seed)
        self._handler = type("Handler", (_Handler,), {"owner": self})
        self._tls = tls
        self._listen(port)

    def _listen(self, port: int) -> None:
        self._server = _QuietServer(("127.0.0.1", port), self._handler)
        self.port = self._server.server_address[1]
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_away:
            self._close()

    def go_away(self) -> None:
        """Refuse connections, and cut those that there are."""
        self.is_away = True
        self._close()

    def come_back(self) -> None:
        """Listen again at the same port."""
        self._listen(self.port)
        self.is_away = False
        self._thread.start()

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_connections()
        self._thread.join(10)

    def chance(self, share: float) -> bool:
        """The next decision of the plan."""
        return share > 0 and self._random.random() < share

    def pick_fault(self) -> str:
        """What is to go wrong with this request; empty: nothing, or something with its items."""
        if self.fault_requests is not None:
            if self.fault_requests <= 0:
                return ""
            self.fault_requests -= 1
        for name in self.faults.of_requests():
            if self.chance(getattr(self.faults, name)):
                self.oracle.faults_done[name] += 1
                return name
        return ""

    def store(self, body: bytes) -> list[dict[str, Any]]:
        """Carry out a bulk body; the items of the answer."""
        if not body.endswith(b"\n"):
            raise ValueError("a bulk body must end with a newline")
        lines = [line for line in body.split(b"\n") if line]  # empty ones are passed over
        answers = []
        for action_line, document_line in zip(lines[::2], lines[1::2], strict=True):
            ((action, place),) = json.loads(action_line).items()
            try:
                document = json.loads(document_line)
            except ValueError:  # no JSON, or no UTF-8: one item's fault, as OpenSearch has it
                answers.append({action: {"status": 400, "error": _UNREADABLE}})
            else:
                answers.append({action: self._store_item(action, place, document)})
        return answers

    def _store_item(
        self, action: str, place: Mapping[str, str], document: dict[str, Any]
    ) -> dict[str, Any]:
        index = place.get("_index", "afterimage-logs-none")
        document_id = place.get("_id") or self.oracle.make_id()
        error = self._pick_item_error() or (self.judge(index, document) if self.judge else None)
        if error is not None:
            return error
        put = self.oracle.create if action == "create" else self.oracle.replace
        return {"status": put(index, document_id, document)}

    def _pick_item_error(self) -> dict[str, Any] | None:
        if self.fault_requests is not None and self.fault_requests <= 0:
            return None
        for name, (status, kind, reason) in ITEM_ERRORS.items():
            if self.chance(getattr(self.faults, name)):
                self.oracle.faults_done[name] += 1
                return {"status": status, "error": {"type": kind, "reason": reason}}
        return None


class _QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, to cut it."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The connection ends."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """Reset all that are open."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is the point of these tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: BulkServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """What some shippers ask before they send."""
        self._answer(200, b'{"status":"green","version":{"number":"3.4.0"}}', {})

    do_HEAD = do_GET  # noqa: N815 - named by http.server

    def do_POST(self) -> None:
        """One bulk request, or a fault in its place."""
        owner = self.owner
        length = int(self.headers["Content-Length"])
        owner.oracle.requests += 1
        fault = "" if owner.scripted else owner.pick_fault()
        if fault == "reset_mid_body":
            self.rfile.read(length // 2)
            self._reset()
            return
        raw = self.rfile.read(length)
        owner.seen_headers.append(dict(self.headers))
        owner.paths.append(self.path)
        body = gzip.decompress(raw) if "gzip" in self.headers.get("Content-Encoding", "") else raw
        if owner.is_away:
            self._reset()
        elif owner.scripted:
            self._answer(*owner.scripted.pop(0))
        elif len(body) > owner.body_limit_bytes:
            self._answer(413, b"too large", {})
        elif fault in WHOLE_ANSWERS:
            self._answer(*WHOLE_ANSWERS[fault])
        elif fault == "reset_before":
            self._reset()
        else:
            self._store_and_answer(body, fault)

    def _store_and_answer(self, body: bytes, fault: str) -> None:
        items = self.owner.store(body)
        if fault == "short":
            items.pop()
        elif fault == "long":
            items.append(items[-1])
        has_errors = any("error" in next(iter(item.values())) for item in items)
        text = json.dumps({"took": 1, "errors": has_errors, "items": items}).encode()
        if fault == "reset_after":
            self._reset()
        elif fault == "silent":
            self._be_silent()
        elif fault == "garbage":
            self._answer(200, b"<html>gateway</html>", {})
        elif fault == "reset_mid_answer":
            self._answer(200, text, {}, sent=len(text) // 2)
            self._reset()
        elif fault == "drip":
            self._answer(200, text, {}, sent=0)
            self._drip(text)
        else:
            self._answer(200, text, {})
            if fault == "twice":  # a proxy that repeats itself: nobody asked for this one
                self._answer(200, text, {})

    def _answer(
        self, status: int, body: bytes, headers: Mapping[str, str], *, sent: int | None = None
    ) -> None:
        """Answer; `sent`: how much of the body is given."""
        self.owner.oracle.statuses[status] += 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if "X-Opaque-Id" in self.headers:  # OpenSearch says it back
            self.send_header("X-Opaque-Id", self.headers["X-Opaque-Id"])
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])
            self.wfile.flush()

    def _drip(self, text: bytes) -> None:
        size = -(-len(text) // _DRIP_PIECES)
        for at in range(0, len(text), size):
            time.sleep(_DRIP_SECONDS)
            self.wfile.write(text[at : at + size])
            self.wfile.flush()

    def _be_silent(self) -> None:
        """Keep the connection until the other side gives it up."""
        with suppress(OSError):
            self.connection.settimeout(_SILENCE_SECONDS)
            self.connection.recv(1)
        self.close_connection = True

    def _reset(self) -> None:
        """Close so that the other side gets a reset instead of an end."""
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        with suppress(OSError):
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
