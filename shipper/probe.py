"""One look at the centre: does it answer, and what does it say it is?

In: a URL and the output's files. Out: a `Probe`: what went wrong is an answer, not an exception.
It asks `GET /` once, and must never send a record or follow a redirect.
"""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from shipper.config import OutputConfig
from shipper.deliver.addresses import parse_address
from shipper.deliver.credentials import Request, open_credentials
from shipper.deliver.tls import load_tls
from shipper.narration import printable
from shipper.ports import NoAnswerError

TIMEOUT_SECONDS: Final = 5.0

_ANSWER_LIMIT_BYTES: Final = 64 * 1024
_SHOWN_LIMIT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What one URL answered."""

    url: str
    outcome: Literal["ok", "doubtful", "unreachable"]
    what: str


def probe_output(
    url: str, output: OutputConfig, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> Probe:
    """Ask `url` who it is, with the credentials and certificates that a shipper would use.

    Raises:
        ConfigError: a certificate or key can't be used, so that no shipper would start.
    """
    connection = _connect(url, output, timeout_seconds)
    path = urlsplit(url).path.rstrip("/") + "/"
    try:
        connection.request("GET", path, headers=_headers(url, output))
        response = connection.getresponse()
        body = _read(response, time.monotonic() + timeout_seconds)
    except (OSError, http.client.HTTPException) as error:
        return Probe(
            url=url, outcome="unreachable", what=f"does not answer: {_why(error, timeout_seconds)}"
        )
    finally:
        connection.close()
    return _judge(url, response.status, body, is_signed=output.auth == "sigv4")


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    """The body, as far as it comes in time: each `recv` has a timeout, their sum needs one too."""
    body = b""
    while len(body) < _ANSWER_LIMIT_BYTES and time.monotonic() < until:
        piece = response.read1(_ANSWER_LIMIT_BYTES)
        if not piece:
            break
        body += piece
    return body


def _connect(url: str, output: OutputConfig, timeout_seconds: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=timeout_seconds)
    return http.client.HTTPSConnection(
        host, parts.port, timeout=timeout_seconds, context=load_tls(output)
    )


def _headers(url: str, output: OutputConfig) -> dict[str, str]:
    address = parse_address(url)
    headers = {"Host": address.host_header}
    request = Request(
        method="GET",
        url=f"{address.scheme}://{address.host_header}{address.path}/",
        headers=headers,
    )
    try:
        return {**headers, **open_credentials(output).headers(request)}
    except NoAnswerError:
        return headers  # that a file can't be read is a finding of its own


def _judge(url: str, status: int, body: bytes, *, is_signed: bool) -> Probe:
    if is_signed and status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
        # A policy that allows nothing but `_bulk` says the same as one that denies everything.
        what = f"answers {status} to a signed GET /: {_start(body)}"
        return Probe(url=url, outcome="doubtful", what=what)
    if status == http.client.UNAUTHORIZED:
        return Probe(
            url=url,
            outcome="doubtful",
            what="answers 401: it wants other credentials; see username_file and password_file",
        )
    if status == http.client.FORBIDDEN:
        # A shipper's role may write and do nothing else, so this is what a strict centre says.
        return Probe(url=url, outcome="ok", what="answers 403 to GET /: reached, and it knows us")
    name = _name(body)
    if status == http.client.OK and name:
        return Probe(url=url, outcome="ok", what=f"answers: {name}")
    if status >= http.client.INTERNAL_SERVER_ERROR:
        return Probe(url=url, outcome="unreachable", what=f"answers {status}: {_start(body)}")
    return Probe(
        url=url,
        outcome="doubtful",
        what=f"answers {status}, but not as OpenSearch does: {_start(body)}",
    )


def _name(body: bytes) -> str:
    """What the server says it is, e.g. `opensearch 3.4.0`; empty: nothing that we know."""
    try:
        document: Any = json.loads(body)
        version = document["version"]
        words = (version.get("distribution", "elasticsearch"), version["number"])
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ""
    return printable(" ".join(str(word) for word in words))[:_SHOWN_LIMIT]


def _start(body: bytes) -> str:
    text = printable(body[:_SHOWN_LIMIT].decode("utf-8", "replace").strip())
    return repr(text) if text else "nothing more"


def _why(error: Exception, timeout_seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"silent for {timeout_seconds:g} s"
    return printable(str(error)) or type(error).__name__
