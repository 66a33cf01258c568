"""`/metrics` and `/healthz` over HTTP, for this machine alone.

In: an address, and once a turn what the loop has to say. Out: the last rendered text, to one client
at a time. A thread of its own serves and never touches the loop's state; the loop renders only when
somebody asked. It must never wait for a client for longer than its timeout, nor believe one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from shipper.errors import ConfigError
from shipper.listen_address import ListenAddress
from shipper.listening import Stream, open_stream
from shipper.metrics import OPENMETRICS_TYPE, PROMETHEUS_TYPE, render_prometheus
from shipper.narration import printable

CLIENT_SECONDS: Final = 2.0
"""How long one client may take, over all, and how long a text of the loop is waited for."""
FRESH_SECONDS: Final = 1.0
"""A text this young is served again."""
STUCK_SECONDS: Final = 15.0
"""The loop turns several times a second; one that did not for so long is stuck."""

_REQUEST_LIMIT_BYTES: Final = 8192
_BACKLOG: Final = 8
_RETRY_SECONDS: Final = 0.1
_SOCKET_MODE: Final = 0o666
"""Whoever is on the machine may ask, as on a loopback port; there is no secret in the answer."""


class Answer(NamedTuple):
    """What a request gets."""

    status: str
    content_type: str
    body: str


class MetricsServer:
    """Serves what the loop last said. `turn` is the loop's, everything else this object's own."""

    def __init__(self, address: ListenAddress, *, client_seconds: float = CLIENT_SECONDS) -> None:
        """Listen.

        Raises:
            ConfigError: the address is taken, or can't be had.
        """
        self._client_seconds = client_seconds
        self._stream = open_listener(address)
        self._changed = threading.Condition()
        self._text = ""
        self._text_at = float("-inf")
        self._is_wanted = False
        self._problem = "the shipper is starting"
        self._turned_at = time.monotonic()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """The TCP port; 0 for a unix socket."""
        return self._stream.address.port

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def turn(self, problem: str, render: Callable[[], str]) -> None:
        """The loop went round: `problem` says why it is not healthy (empty: it is).

        `render` makes the OpenMetrics text, and is called at most once a second, and only while
        somebody waits for it.
        """
        self._turned_at = time.monotonic()
        self._problem = problem
        if not self._is_wanted:
            return
        text = render()
        with self._changed:
            self._text = text
            self._text_at = time.monotonic()
            self._is_wanted = False
            self._changed.notify_all()

    def stop(self) -> None:
        """End; the socket's file goes."""
        self._is_stopped = True
        with self._changed:
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._stream.socket.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._stream.close()
        if self._thread.ident is not None:
            self._thread.join(self._client_seconds)

    def _serve(self) -> None:
        while not self._is_stopped:
            try:
                client, _ = self._stream.socket.accept()
            except OSError:  # stopped; or the client is gone, or no descriptor is left
                if not self._is_stopped:
                    time.sleep(_RETRY_SECONDS)
                continue
            with client, contextlib.suppress(OSError):  # a client that goes away harms itself
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        deadline = time.monotonic() + self._client_seconds
        request = _read_request(client, deadline)
        if not request:
            return
        answer = self._judge(request)
        body = answer.body.encode("utf-8", "backslashreplace")
        head = (
            f"HTTP/1.0 {answer.status}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        if request.startswith(b"HEAD "):
            body = b""
        _send(client, head + body, time.monotonic() + self._client_seconds)

    def _judge(self, request: bytes) -> Answer:
        line, _, headers = request.partition(b"\r\n")
        words = line.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):  # noqa: PLR2004 - HTTP's own
            return _plain("400 Bad Request", "this is HTTP: GET /metrics or GET /healthz")
        if words[0] not in {b"GET", b"HEAD"}:
            return _plain("405 Method Not Allowed", "only GET")
        path = words[1].partition(b"?")[0]
        if path == b"/healthz":
            return self._judge_health()
        if path == b"/metrics":
            return self._judge_metrics(b"application/openmetrics-text" in headers.lower())
        return _plain("404 Not Found", "there are /metrics and /healthz")

    def _judge_health(self) -> Answer:
        still_seconds = time.monotonic() - self._turned_at
        problem = self._problem
        if still_seconds > STUCK_SECONDS:
            problem = f"the shipper's loop has not moved for {still_seconds:.0f} s"
        if problem:
            return _plain("503 Service Unavailable", printable(problem))
        return _plain("200 OK", "ok")

    def _judge_metrics(self, wants_openmetrics: bool) -> Answer:  # noqa: FBT001 - one caller
        text = self._wait_text()
        if not text:
            return _plain("503 Service Unavailable", "the shipper's loop has said nothing yet")
        if wants_openmetrics:
            return Answer("200 OK", OPENMETRICS_TYPE, text)
        return Answer("200 OK", PROMETHEUS_TYPE, render_prometheus(text))

    def _wait_text(self) -> str:
        """The loop's text, fresh where it answers in time; empty: it never did."""
        asked_at = time.monotonic()
        if asked_at - self._text_at < FRESH_SECONDS:
            return self._text
        with self._changed:
            self._is_wanted = True
            self._changed.wait_for(
                lambda: self._text_at >= asked_at or self._is_stopped, timeout=self._client_seconds
            )
            return self._text


def open_listener(address: ListenAddress) -> Stream:
    """A listening socket.

    Raises:
        ConfigError: somebody listens there, or it can't be had.
    """
    try:
        return open_stream(address, backlog=_BACKLOG, mode=_SOCKET_MODE)
    except OSError as error:
        raise ConfigError(
            f"metrics.listen: nobody can listen on {address}",
            why=error.strerror or str(error),
            next_step="name an address that is free, or leave [metrics] out",
        ) from error


def _read_request(client: socket.socket, deadline: float) -> bytes:
    """The request line and headers; empty: they did not come in time, or never end."""
    data = b""
    while b"\r\n\r\n" not in data and b"\n\n" not in data:
        left = deadline - time.monotonic()
        if left <= 0 or len(data) > _REQUEST_LIMIT_BYTES:
            return b""
        client.settimeout(left)
        piece = client.recv(_REQUEST_LIMIT_BYTES)
        if not piece:
            return b""
        data += piece
    return data


def _send(client: socket.socket, data: bytes, deadline: float) -> None:
    view = memoryview(data)
    while view:
        left = deadline - time.monotonic()
        if left <= 0:
            return
        client.settimeout(left)
        view = view[client.send(view) :]


def _plain(status: str, text: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", f"{text}\n")
