"""The null sink as the benches hold it: start, counts, and what came, read after the run.

In: a folder. Out: counts while it runs; requests with their times, and an `Account` of lines and
ids, once it has ended. It must never read a body while a shipper is measured.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests.bench.corpus import MARKER, Corpus
from tests.bench.sink import ENTRY

_ID: Final = re.compile(rb'^\{"create":\{[^\n]*?"_id":"([^"\n]+)"[^\n]*\}\}$', re.MULTILINE)
_LOG_ACTION: Final = re.compile(rb'^\{"create":\{[^\n]*\}\}$', re.MULTILINE)
_TIMEOUT_SECONDS: Final = 30.0


class Counts(NamedTuple):
    """What the sink has answered so far."""

    documents: int
    body_bytes: int
    requests: int


class Request(NamedTuple):
    """One answered request."""

    arrived: float
    answered: float
    documents: int
    vitals: int
    plain_bytes: int
    status: int
    is_gzip: bool
    body: bytes
    """As it came; empty where bodies are not kept."""

    def plain_body(self) -> bytes:
        """The body without its compression."""
        return zlib.decompress(self.body, 16 + zlib.MAX_WBITS) if self.is_gzip else self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What of a corpus came."""

    lost: int
    """Lines that a store would not hold: of documents with one id it keeps one."""
    repeated: int
    """Documents that a store would hold beyond the lines."""
    missing_markers: int
    """Marked lines of which no document told, whatever its id."""
    wire_mib: float


class NullSink:
    """A sink in a process of its own. A context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        keeps_bodies: bool = True,
        port: int = 0,
        slots: int = 0,
        service_milliseconds: int = 0,
    ) -> None:
        self._entries = folder / "sink.entries"
        program = Path(__file__).with_name("sink.py")
        keeps = "bodies" if keeps_bodies else "times"
        options = (str(port), str(self._entries), keeps, str(slots), str(service_milliseconds))
        self._process = subprocess.Popen(
            (sys.executable, "-I", str(program), *options), stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=_TIMEOUT_SECONDS
        )

    @property
    def url(self) -> str:
        """Where shippers send to."""
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> Counts:
        """What came so far."""
        self._connection.request("GET", "/_counts")
        return Counts(**json.loads(self._connection.getresponse().read()))

    def close(self) -> None:
        """End it; everything that it answered is in the file."""
        self._process.terminate()
        self._process.wait(_TIMEOUT_SECONDS)
        self._connection.close()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def requests(self) -> Iterator[Request]:
        """Everything that was answered, in order."""
        with self._entries.open("rb") as file:
            while len(head := file.read(ENTRY.size)) == ENTRY.size:
                *values, kept = ENTRY.unpack(head)
                yield Request._make([*values, file.read(kept)])

    def discard(self) -> None:
        """Delete the file."""
        self._entries.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def find_ids(body: bytes) -> list[bytes]:
    """The `_id` of each item that has one."""
    return _ID.findall(body)


def take_account(sink: NullSink, corpus: Corpus) -> Account:
    """Compare what came with what was written."""
    ids: set[bytes] = set()
    markers: set[bytes] = set()
    anonymous = wire_bytes = 0
    for request in sink.requests():
        wire_bytes += len(request.body)
        if request.status != 200 or not request.documents:
            continue
        body = request.plain_body()
        found = find_ids(body)
        ids.update(found)
        anonymous += len(_LOG_ACTION.findall(body)) - len(found)
        markers.update(MARKER.findall(body))
    stored = len(ids) + anonymous
    return Account(
        lost=max(0, corpus.lines - stored),
        repeated=max(0, stored - corpus.lines),
        missing_markers=corpus.marked - len(markers),
        wire_mib=wire_bytes / (1 << 20),
    )
