"""The application on a demo instance: a small HTTP service with two logs and, if told, a fault.

In: a folder for its logs and a fault to have. Out: `app.log` (ISO times, levels) and `access.log`
(combined format, rotated by renaming), and its port as the first line on stdout. Standard library
alone; it knows nothing of Afterimage, as an application should, unless it is told to log to the
shipper's socket instead of to `app.log`.
"""

from __future__ import annotations

import argparse
import http.server
import json
import logging
import logging.handlers
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

MIB: Final = 1 << 20
LEAK_PER_REQUEST_BYTES: Final = MIB
MEMORY_ROOM_BYTES: Final = 64 * MIB
ROTATE_AT_BYTES: Final = 4 * 1024
FAILS_AFTER_REQUESTS: Final = 60


class Shop:
    """What the service does for a request, and the fault it has."""

    def __init__(self, fault: str) -> None:
        self._fault = fault
        self._limit_is_real = fault == "leak" and limit_memory(MEMORY_ROOM_BYTES)
        self._requests = 0
        self._sessions: list[bytearray] = []
        self._log = logging.getLogger("shop")

    @property
    def healthy(self) -> bool:
        """Whether a health check should be answered with 200."""
        return self._fault != "errors" or self._requests < FAILS_AFTER_REQUESTS

    def handle(self, path: str) -> int:
        """Do the work of one request; the HTTP status of its answer."""
        self._requests += 1
        if self._fault == "leak":
            self._sessions.append(bytearray(LEAK_PER_REQUEST_BYTES))
            leaked_bytes = len(self._sessions) * LEAK_PER_REQUEST_BYTES
            if leaked_bytes > MEMORY_ROOM_BYTES and not self._limit_is_real:
                raise MemoryError("this system does not enforce RLIMIT_AS: the demo does instead")
            if len(self._sessions) % 10 == 0:
                self._log.warning("session cache holds %d sessions", len(self._sessions))
        if not self.healthy:
            self._log.error("db-1.internal:5432 refused the connection, giving up on %s", path)
            return 503
        self._log.info("order %06d priced in %d ms", self._requests, random.randint(2, 40))  # noqa: S311 - not a secret
        return 200


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET; one line in access.log for each."""

    shop: Shop
    access: logging.Logger

    def do_GET(self) -> None:
        """Serve the health check or an order."""
        if self.path == "/health":
            status = 200 if self.shop.healthy else 503
        else:
            status = self.shop.handle(self.path)
        body = b"ok\n" if status == 200 else b"no\n"  # noqa: PLR2004 - HTTP's OK
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        """One access-log line, in the combined format."""
        now = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        agent = self.headers.get("User-Agent", "-") if getattr(self, "headers", None) else "-"
        line = format % args
        self.access.info('%s - - [%s] %s "-" "%s"', self.client_address[0], now, line, agent)


class Server(http.server.HTTPServer):
    """One request after the other: threads would blur which one ran out of memory."""

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a request; out of memory ends the service, as it would without a supervisor."""
        try:
            super().process_request(request, client_address)
        except MemoryError:
            logging.getLogger("shop").critical("out of memory, the service ends", exc_info=True)
            logging.shutdown()
            os._exit(1)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """A request that failed otherwise, e.g. because its client went away."""
        logging.getLogger("shop").error("request failed: %r", sys.exception())


def limit_memory(room_bytes: int) -> bool:
    """Let the process grow by `room_bytes` and no more; whether the kernel enforces that.

    Linux does; macOS accepts RLIMIT_AS and ignores it.
    """
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return False
    used_bytes = int(statm.read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes + room_bytes, hard))
    return True


class Said(logging.Formatter):
    """A message as a JSON text: what was handed to the shipper, for who counts it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        return json.dumps(record.getMessage())


def open_socket(address: str, said: Path) -> None:
    """Have all loggers hand their records to the shipper, and note each message beside."""
    from shipper.logging_handler import ForwardHandler

    note = logging.FileHandler(said, encoding="utf-8")
    note.setFormatter(Said())
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in (note, ForwardHandler("shop", address)):
        root.addHandler(handler)  # basicConfig would give it a format for files


def open_app_log(folder: Path) -> None:
    """Have all loggers write to app.log."""
    app = logging.FileHandler(folder / "app.log", encoding="utf-8")
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    app.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[app])


def open_access_log(folder: Path) -> logging.Logger:
    """access.log and its logger."""
    access = logging.getLogger("access")
    access.propagate = False
    access.addHandler(
        logging.handlers.RotatingFileHandler(
            folder / "access.log", maxBytes=ROTATE_AT_BYTES, backupCount=999, encoding="utf-8"
        )
    )
    return access


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--fault", choices=("none", "leak", "errors"), default="none")
    parser.add_argument("--forward", metavar="ADDRESS", help="The shipper's socket.")
    parser.add_argument("--said", type=Path, help="With --forward: note each message here.")
    options = parser.parse_args()
    # An orderly end: what a handler still holds is handed over.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options.logs.mkdir(parents=True, exist_ok=True)
    if options.forward:
        open_socket(options.forward, options.said)
    else:
        open_app_log(options.logs)
    access = open_access_log(options.logs)
    Handler.shop, Handler.access = Shop(options.fault), access
    server = Server(("127.0.0.1", 0), Handler)
    logging.getLogger("shop").info("listening on port %d", server.server_port)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
