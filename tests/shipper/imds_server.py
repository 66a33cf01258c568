"""A local HTTP server that behaves as IMDSv2 does, with the faults that a real one shows."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

DOCUMENT = {
    "accountId": "123456789012",
    "architecture": "arm64",
    "availabilityZone": "eu-central-1a",
    "billingProducts": None,
    "imageId": "ami-0123456789abcdef0",
    "instanceId": "i-0123456789abcdef0",
    "instanceType": "m7g.large",
    "privateIp": "10.0.0.7",
    "region": "eu-central-1",
}
HOST_NAME = "ip-10-0-0-7.eu-central-1.compute.internal"
_TOKEN_SECONDS = range(1, 21_601)
_HANG_LIMIT_SECONDS = 20.0


@dataclass
class Imds:
    """The server's behaviour, and what it was asked."""

    url: str = ""
    document: str = json.dumps(DOCUMENT)
    group: str | None = "web"
    """None: the instance doesn't allow its tags in the metadata."""
    is_off: bool = False
    """HttpEndpoint=disabled: 403 to everything."""
    swallowed_tokens: int = 0
    """So many token answers die on the way, as beyond the hop limit, or before DHCP is done."""
    failing_tokens: int = 0
    """So many token requests are answered 503."""
    requests: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    imds: ClassVar[Imds]
    tokens: ClassVar[set[str]]

    def do_PUT(self) -> None:
        """Give a token, for 1 s to 6 h, to nobody behind a proxy."""
        imds = self.imds
        imds.requests.append(f"PUT {self.path}")
        if imds.swallowed_tokens:
            imds.swallowed_tokens -= 1
            imds.released.wait(_HANG_LIMIT_SECONDS)
            return
        if imds.failing_tokens:
            imds.failing_tokens -= 1
            self._answer(503)
            return
        if imds.is_off or "X-Forwarded-For" in self.headers:
            self._answer(403)
            return
        lifetime = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if (
            self.path != "/latest/api/token"
            or not lifetime.isdigit()
            or int(lifetime) not in _TOKEN_SECONDS
        ):
            self._answer(400)
        else:
            token = secrets.token_urlsafe()
            self.tokens.add(token)
            self._answer(200, token)

    def do_GET(self) -> None:
        """Answer what is known, to a bearer of a token alone."""
        imds = self.imds
        imds.requests.append(f"GET {self.path}")
        known = {
            "/latest/dynamic/instance-identity/document": imds.document,
            "/latest/meta-data/local-hostname": HOST_NAME,
            "/latest/meta-data/tags/instance/aws:autoscaling:groupName": imds.group,
        }
        if imds.is_off:
            self._answer(403)
        elif self.headers.get("X-aws-ec2-metadata-token") not in self.tokens:
            self._answer(401)
        elif (text := known.get(self.path)) is None:
            self._answer(404)
        else:
            self._answer(200, text)

    def _answer(self, status: int, text: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name upstream
        """Keep quiet."""


@contextmanager
def serve_imds() -> Iterator[Imds]:
    """A running server; its behaviour may be changed while it runs."""
    imds = Imds()
    handler = type("Handler", (_Handler,), {"imds": imds, "tokens": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    imds.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield imds
    finally:
        imds.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
