"""The plainest client there is: sends bodies that were built before, over two connections.

In: a URL and a folder of bodies. Out: on stdout, the seconds from the first request to the last
answer. What it reaches is the rate at which the node takes these documents. It must never build,
compress or look into a body.
"""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

CONNECTIONS: Final = 2
_PATH: Final = "/_bulk?filter_path=errors"
_HEADERS: Final = {"Content-Type": "application/x-ndjson"}


def send_all(host: str, bodies: Iterator[Path]) -> int:
    """Send bodies, as this connection gets to them, until none is left; how many."""
    connection = http.client.HTTPConnection(host, timeout=60)
    count = 0
    for body in bodies:
        connection.request("POST", _PATH, body=body.read_bytes(), headers=_HEADERS)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200 or answer != b'{"errors":false}':
            raise SystemExit(f"the node does not take {body.name}: {answer[:500]!r}")
        count += 1
    connection.close()
    return count


def main(url: str, folder: str) -> None:
    """Send, and say how long it took."""
    bodies = iter(sorted(Path(folder).iterdir()))  # next() on it is atomic
    began = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as workers:
        list(workers.map(lambda _: send_all(urlsplit(url).netloc, bodies), range(CONNECTIONS)))
    sys.stdout.write(f"{time.monotonic() - began}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
