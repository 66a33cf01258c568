"""A `_bulk` endpoint that keeps nothing: the same null sink for every shipper that is measured.

Prints its port, then answers every request with success for each item, counting documents and raw
bytes of bodies. `GET /_counts` tells what came. Standard library; one thread a connection.
"""

from __future__ import annotations

import gzip
import http.server
import json
import sys
import threading


class Sink(http.server.BaseHTTPRequestHandler):
    """Answers like OpenSearch, stores nothing."""

    protocol_version = "HTTP/1.1"
    documents = 0
    body_bytes = 0
    lock = threading.Lock()

    def do_GET(self) -> None:
        """Counts, health, or the root document that clients look at first."""
        if self.path == "/_counts":
            self._answer({"documents": Sink.documents, "body_bytes": Sink.body_bytes})
        else:
            version = {"number": "3.8.0", "distribution": "opensearch"}
            self._answer({"version": version, "status": "green"})

    def do_HEAD(self) -> None:
        """A client that asks whether somebody is there."""
        self._answer({})

    def do_POST(self) -> None:
        """A bulk body: every item is accepted."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        count = body.count(b'{"create":')  # some shippers put blank lines between items
        with Sink.lock:
            Sink.documents += count
            Sink.body_bytes += len(body)
        self._answer({"took": 1, "errors": False, "items": [{"create": {"status": 201}}] * count})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        """Say nothing."""

    def _answer(self, document: object) -> None:
        text = json.dumps(document, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
