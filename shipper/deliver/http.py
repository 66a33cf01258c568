"""HTTP to the centre: one kept-alive connection, one `_bulk` request at a time.

In: the output's configuration, and bodies. Out: `Reply`s. An address that fails leads to the next.
Redirects are not followed: a shipper says its secrets to no one but whom it was told. It must never
wait without a timeout, and never turn a lost answer into one.
"""

from __future__ import annotations

import http.client
import secrets
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from shipper.config import OutputConfig
from shipper.deliver.addresses import Address, Route, parse_address
from shipper.deliver.connection import Answer, Connection
from shipper.deliver.credentials import Request, open_credentials
from shipper.deliver.outcome import FILTER_PATH
from shipper.deliver.tls import TlsFiles
from shipper.ports import NoAnswerError, Reply

CONNECT_TIMEOUT_SECONDS: Final = 10.0
ANSWER_TIMEOUT_SECONDS: Final = 90.0
"""For a whole request. OpenSearch itself waits a minute for a shard that is not there, and then
says so item by item: that answer must not come too late."""
_HOME_TIMEOUT_SECONDS: Final = 2.0
_UNAUTHORIZED: Final = frozenset((401, 403))
_UNWELL: Final = frozenset((502, 503, 504))
# Escaped as SigV4 wants a query before it is signed; other centres do not mind.
_QUERY: Final = "filter_path=" + quote(FILTER_PATH, safe="")


class HttpTransport:
    """One connection to the centre; used by one thread."""

    def __init__(
        self,
        output: OutputConfig,
        *,
        spread_by: str = "",
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
        answer_timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
    ) -> None:
        """`spread_by`: what shippers differ by, the stream; ConfigError: a file can't be used."""
        addresses = [parse_address(url) for url in output.urls]
        self._route = Route(addresses, spread_by=spread_by)
        self.takes_gzip = not all(address.is_loopback for address in addresses)
        """Whether bodies are compressed: on a loopback interface that would save nothing."""
        self._credentials = open_credentials(output)
        self._tls = TlsFiles(output) if any(one.scheme == "https" for one in addresses) else None
        self._connect_timeout = connect_timeout_seconds
        self._answer_timeout = answer_timeout_seconds
        self._connection: Connection | None = None
        self._name = secrets.token_hex(4)
        self._requests = 0

    def send(self, body: Sequence[bytes]) -> Reply:
        """POST a body's pieces to `_bulk`; NoAnswerError: it may or may not have been done."""
        self._look_home()
        if self._connection is not None and self._connection.is_stale():
            self.close()
        was_kept_alive = self._connection is not None
        connection = self._connection or self._connect()
        try:
            return self._reply(self._exchange(connection, body), repeated=False)
        except (OSError, http.client.HTTPException) as error:
            # that the centre closed an idle connection says nothing about the centre
            if not was_kept_alive or isinstance(error, TimeoutError):
                raise self._give_up(connection.address, error) from error
            self.close()
        connection = self._connect()
        try:
            return self._reply(self._exchange(connection, body), repeated=True)
        except (OSError, http.client.HTTPException) as error:
            raise self._give_up(connection.address, error) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> Connection:
        """To the first address from the current one on that answers; nothing was sent yet."""
        for _ in range(len(self._route) - 1):
            try:
                self._connection = self._open(self._route.current, self._connect_timeout)
                return self._connection
            except OSError:
                self._route.move_on(time.monotonic())
        address = self._route.current
        try:
            self._connection = self._open(address, self._connect_timeout)
        except OSError as error:
            self._route.move_on(time.monotonic())
            raise NoAnswerError(_say(address, error)) from error
        return self._connection

    def _open(self, address: Address, timeout_seconds: float) -> Connection:
        tls = self._tls.context() if self._tls is not None and address.scheme == "https" else None
        return Connection(address, tls=tls, timeout_seconds=timeout_seconds)

    def _look_home(self) -> None:
        """Go back to the first address once it is well; that it is not costs no request."""
        if not self._route.is_home_due(time.monotonic()):
            return
        try:
            connection = self._open(self._route.home, _HOME_TIMEOUT_SECONDS)
        except OSError:
            return
        self.close()
        self._route.go_home()
        self._connection = connection

    def _give_up(self, address: Address, error: Exception) -> NoAnswerError:
        """This connection is of no use: the next try goes to the next address."""
        self.close()
        self._route.move_on(time.monotonic())
        is_timeout = isinstance(error, TimeoutError)
        return NoAnswerError(_say(address, error), is_lost=not is_timeout, is_timeout=is_timeout)

    def _exchange(self, connection: Connection, body: Sequence[bytes]) -> Answer:
        address = connection.address
        self._requests += 1
        target = f"{address.path}/_bulk?{_QUERY}"
        headers = {
            "Host": address.host_header,
            "Content-Type": "application/x-ndjson",
            "Content-Length": str(sum(map(len, body))),
            "Accept-Encoding": "identity",
            "X-Opaque-Id": f"{self._name}-{self._requests}",
        }
        if self.takes_gzip:
            headers["Content-Encoding"] = "gzip"
        request = Request(
            method="POST",
            url=f"{address.scheme}://{address.host_header}{target}",
            headers=headers,
            body=body,
        )
        headers |= self._credentials.headers(request)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
        answer = connection.exchange(head, body, time.monotonic() + self._answer_timeout)
        if answer.opaque_id not in {"", headers["X-Opaque-Id"]}:
            raise http.client.HTTPException("the answer is another request's")
        return answer

    def _reply(self, answer: Answer, *, repeated: bool) -> Reply:
        if answer.status in _UNAUTHORIZED:
            self._credentials.forget()
        if answer.will_close or (answer.status in _UNWELL and len(self._route) > 1):
            self.close()
        if answer.status in _UNWELL:
            self._route.move_on(time.monotonic())
        return Reply(
            status=answer.status,
            body=answer.body,
            retry_after_seconds=_parse_retry_after(answer.retry_after),
            location=answer.location,
            repeated=repeated,
        )


def _say(address: Address, error: Exception) -> str:
    return f"{address}: {str(error) or type(error).__name__}"


def _parse_retry_after(text: str) -> float:
    """Seconds; the date form, which no centre of ours sends, counts as none."""
    return float(text) if text.isascii() and text.isdigit() else 0.0
