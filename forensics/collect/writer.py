"""The collector's writer: one thread, one connection, one commit for all requests that wait.

In: `_bulk` bodies. Out: a future per body that is done after its documents are committed and
synced, never before. Requests that arrive during a commit share the next one. It must never answer
for a document that a crash could still take, and never leave half a request behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import shutil
import sqlite3
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from forensics.collect.bulk import BulkSyntaxError, Item, parse_bulk
from forensics.errors import ForensicsError, RefusedError, UnreachableError
from forensics.store.sqlite_schema import explain, open_for_writing
from forensics.store.sqlite_write import insert

GROUP_LIMIT_BYTES: Final = 16 << 20
"""A commit takes no more bodies once it has this much: the first one waits for the last."""

_STOP_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Stored:
    """A request's items, and the row of each that has no error (None: the id was there)."""

    items: list[Item]
    seqs: list[int | None]


@dataclass(frozen=True, slots=True)
class WriterStatistics:
    """A snapshot for health and the minute's line."""

    documents: int
    created: int
    conflicts: int
    refused: int
    waiting: int
    oldest_seconds: float
    disk_free_bytes: int


@dataclass(frozen=True, slots=True)
class _Request:
    body: bytes
    default_index: str
    future: Future[Stored] = field(default_factory=Future)
    at_seconds: float = field(default_factory=time.monotonic)


class Writer:
    """Owns the store's file while it runs; `start` it, `submit` bodies, `stop` it."""

    def __init__(self, path: Path, *, disk_floor_bytes: int) -> None:
        self._path = path
        self._disk_floor_bytes = disk_floor_bytes
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._started: Future[None] = Future()
        self._waiting: dict[int, _Request] = {}
        self._lock = threading.Lock()
        self._documents = 0
        self._counts = {"created": 0, "conflicts": 0, "refused": 0}

    def start(self) -> None:
        """Take the file and begin; raises where another collector has it, or it can't be used."""
        self._thread.start()
        self._started.result(timeout=_STOP_TIMEOUT_SECONDS)

    def submit(self, body: bytes, default_index: str) -> Future[Stored]:
        """The future of a body: `Stored` once committed; BulkSyntaxError or ForensicsError."""
        request = _Request(body, default_index)
        with self._lock:
            self._waiting[id(request)] = request
        self._requests.put(request)
        return request.future

    def stop(self) -> None:
        """Commit what waits, fold the WAL into the file, close it; safe to call twice."""
        if self._thread.is_alive():
            self._requests.put(None)
            self._thread.join(_STOP_TIMEOUT_SECONDS)

    def statistics(self) -> WriterStatistics:
        """What was stored since the start, and what waits now."""
        with self._lock:
            waiting = list(self._waiting.values())
        oldest = min((request.at_seconds for request in waiting), default=None)
        return WriterStatistics(
            documents=self._documents,
            **self._counts,
            waiting=len(waiting),
            oldest_seconds=0.0 if oldest is None else time.monotonic() - oldest,
            disk_free_bytes=shutil.disk_usage(self._path.parent).free,
        )

    def _run(self) -> None:
        try:
            lock = _take_lock(self._path)
        except ForensicsError as error:
            self._started.set_exception(error)
            return
        try:
            try:
                connection = open_for_writing(self._path)
                (self._documents,) = connection.execute("SELECT count(*) FROM documents").fetchone()
            except ForensicsError as error:
                self._started.set_exception(error)
                return
            except sqlite3.Error as error:
                self._started.set_exception(explain(error, str(self._path)))
                return
            self._started.set_result(None)
            try:
                self._serve(connection)
            finally:
                connection.close()
        finally:
            os.close(lock)

    def _serve(self, connection: sqlite3.Connection) -> None:
        running = True
        while running:
            group = [self._requests.get()]
            size = 0
            while group[-1] is not None:
                size += len(group[-1].body)
                if size >= GROUP_LIMIT_BYTES:
                    break
                try:
                    group.append(self._requests.get_nowait())
                except queue.Empty:
                    break
            running = group[-1] is not None
            requests = [request for request in group if request is not None]
            if requests:
                self._write(connection, requests)
        with contextlib.suppress(sqlite3.Error):  # a full disk, a reader: the WAL is kept and good
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _write(self, connection: sqlite3.Connection, group: list[_Request]) -> None:
        """One transaction for the group; then, and only then, the answers."""
        outcomes: list[Stored | Exception] = []
        try:
            self._check_disk()
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._store(connection, request) for request in group]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - worker boundary: whoever waits gets an answer
            failure = explain(error, str(self._path)) if isinstance(error, sqlite3.Error) else error
            outcomes = [failure] * len(group)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        for request, outcome in zip(group, outcomes, strict=True):
            self._answer(request, outcome)

    def _store(self, connection: sqlite3.Connection, request: _Request) -> Stored | Exception:
        """Insert one request; its own trouble stays its own, the file's stops the group."""
        try:
            items = parse_bulk(request.body, request.default_index)
        except BulkSyntaxError as error:
            return error
        documents = [item.document for item in items if item.document is not None]
        connection.execute("SAVEPOINT request")
        try:
            seqs = insert(connection, documents, time.time_ns())
        except sqlite3.OperationalError:  # the disk, a lock: every request has it
            raise
        except Exception as error:  # noqa: BLE001 - worker boundary: one request's bug is its own 500
            connection.execute("ROLLBACK TO request")
            connection.execute("RELEASE request")
            return error
        connection.execute("RELEASE request")
        return Stored(items, seqs)

    def _answer(self, request: _Request, outcome: Stored | Exception) -> None:
        with self._lock:
            del self._waiting[id(request)]
        if isinstance(outcome, Exception):
            request.future.set_exception(outcome)
            return
        created = sum(seq is not None for seq in outcome.seqs)
        self._documents += created
        self._counts["created"] += created
        self._counts["conflicts"] += len(outcome.seqs) - created
        self._counts["refused"] += len(outcome.items) - len(outcome.seqs)
        request.future.set_result(outcome)

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self._path.parent).free
        if free < self._disk_floor_bytes:
            raise UnreachableError(
                "the disk is nearly full",
                why=f"{free:,} bytes are free, the floor is {self._disk_floor_bytes:,}",
                next_step="free space: shippers keep their lines and try again",
            )


def _take_lock(path: Path) -> int:
    """The lock beside the file, held by the open descriptor: a crash gives it back."""
    lock_path = path.with_name(f"{path.name}-collector-lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UnreachableError(
            f"the store {path} can't be written",
            why=f"{lock_path}: {error.strerror}",
            next_step="give the collector a file in a folder that it may write",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise RefusedError(
            f"another collector has the store {path}",
            why=f"{lock_path} is locked",
            next_step="send to that one, or give this one a file of its own",
        ) from error
    return descriptor
