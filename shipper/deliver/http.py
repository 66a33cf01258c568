"""HTTP to the centre: one kept-alive connection, one `_bulk` request at a time.

In: URLs and files with secrets. Out: `Reply`s. A connection that fails leads to the next URL.
Redirects are not followed: a shipper says its secrets to no one but whom it was told. It must never
wait without a timeout, and never turn a lost answer into one.
"""

from __future__ import annotations

import base64
import http.client
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from shipper.config import OutputConfig
from shipper.deliver.outcome import FILTER_PATH
from shipper.errors import ConfigError
from shipper.ports import NoAnswerError, Reply

if TYPE_CHECKING:
    import ssl

CONNECT_TIMEOUT_SECONDS: Final = 10.0
ANSWER_TIMEOUT_SECONDS: Final = 60.0
_ANSWER_LIMIT_BYTES: Final = 64 << 20
_READ_BYTES: Final = 256 << 10
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class _Place:
    """One URL, taken apart."""

    scheme: str
    host: str
    port: int
    path: str


class BasicAuth:
    """User and password from files, read again when they change: secrets rotate."""

    def __init__(self, username_file: Path | None, password_file: Path | None) -> None:
        self._files = [file for file in (username_file, password_file) if file is not None]
        self._stamps: list[tuple[int, int]] = []
        self._header = ""

    def header(self) -> str:
        """The Authorization header; empty: none is configured.

        Raises:
            NoAnswerError: a file can't be read just now.
        """
        if not self._files:
            return ""
        try:
            stamps = [(found.st_mtime_ns, found.st_ino) for found in map(Path.stat, self._files)]
            if stamps != self._stamps:
                words = [file.read_text(encoding="utf-8").strip("\r\n") for file in self._files]
                self._header = "Basic " + base64.b64encode(":".join(words).encode()).decode()
                self._stamps = stamps
        except (OSError, UnicodeDecodeError) as error:
            raise NoAnswerError(f"the secret can't be read: {error}") from error
        return self._header


class HttpTransport:
    """One connection to the centre; used by one thread."""

    def __init__(
        self,
        output: OutputConfig,
        *,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
        answer_timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
    ) -> None:
        """ConfigError: a certificate or key can't be used."""
        self._places = [_parse_place(url) for url in output.urls]
        self._turn = 0
        self._auth = BasicAuth(output.username_file, output.password_file)
        self._connect_timeout = connect_timeout_seconds
        self._answer_timeout = answer_timeout_seconds
        self._connection: http.client.HTTPConnection | None = None
        is_https = any(place.scheme == "https" for place in self._places)
        self._tls = load_tls(output) if is_https else None

    def send(self, body: bytes) -> Reply:
        """POST a gzip body to `_bulk`; NoAnswerError: it may or may not have been carried out."""
        authorization = self._auth.header()
        was_kept_alive = self._connection is not None
        try:
            return self._exchange(body, authorization, repeated=False)
        except (OSError, http.client.HTTPException) as error:
            # that the centre closed an idle connection says nothing about the centre
            if not was_kept_alive or not isinstance(error, ConnectionError):
                raise self._give_up(error) from error
            self.close()
        try:
            return self._exchange(body, authorization, repeated=True)
        except (OSError, http.client.HTTPException) as error:
            raise self._give_up(error) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _give_up(self, error: Exception) -> NoAnswerError:
        """This connection is of no use: the next try goes to the next URL."""
        place = self._places[self._turn]
        self.close()
        self._turn = (self._turn + 1) % len(self._places)
        return NoAnswerError(f"{place.host}:{place.port}: {str(error) or type(error).__name__}")

    def _exchange(self, body: bytes, authorization: str, *, repeated: bool) -> Reply:
        place = self._places[self._turn]
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect(place)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        if authorization:
            headers["Authorization"] = authorization
        response = _request(
            connection, f"{place.path}/_bulk?filter_path={FILTER_PATH}", body, headers
        )
        answer = _read_answer(response, time.monotonic() + self._answer_timeout)
        if response.will_close:
            self.close()
        return Reply(
            status=response.status,
            body=answer,
            retry_after_seconds=_parse_retry_after(response.getheader("Retry-After", "")),
            location=response.getheader("Location", ""),
            repeated=repeated,
        )

    def _connect(self, place: _Place) -> http.client.HTTPConnection:
        timeout = self._connect_timeout
        if place.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                place.host, place.port, timeout=timeout, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(place.host, place.port, timeout=timeout)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        connection.sock.settimeout(self._answer_timeout)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def load_tls(output: OutputConfig) -> ssl.SSLContext:
    """The TLS settings; ConfigError: a file of them can't be used."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=output.ca_file)
        if output.client_cert_file is not None:
            context.load_cert_chain(output.client_cert_file, output.client_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "a certificate of [output.opensearch] can't be used",
            why=str(error),
            next_step="check ca_file, client_cert_file and client_key_file: PEM, readable",
        ) from error
    return context


def _request(
    connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]
) -> http.client.HTTPResponse:
    """Send, and read the head of the answer, also of one that came before the body was taken."""
    try:
        connection.request("POST", path, body=body, headers=headers)
    except ConnectionError as lost:  # a body that is too large is refused before its end
        try:
            return connection.getresponse()
        except (OSError, http.client.HTTPException):
            raise lost from None
    return connection.getresponse()


def _parse_place(url: str) -> _Place:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    port = parts.port or _DEFAULT_PORTS[scheme]
    return _Place(scheme, parts.hostname or "", port, parts.path.rstrip("/"))


def _parse_retry_after(text: str) -> float:
    """Seconds; the date form, which no centre of ours sends, counts as none."""
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _read_answer(response: http.client.HTTPResponse, deadline: float) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := response.read(_READ_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > _ANSWER_LIMIT_BYTES:
            raise http.client.HTTPException(f"the answer is over {_ANSWER_LIMIT_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("the answer did not end in time")
    return b"".join(pieces)
