"""The SQLite store's file: its tables, how it is opened, and what its errors mean.

In: a path. Out: a connection set up for writing or for reading, or an error of forensics.errors
that says what to do. It must never make or change a file that is not an Afterimage store.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from forensics.errors import (
    ForensicsError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UnreachableError,
    UsageError,
)

APPLICATION_ID: Final = 0x41667465
"""`Afte` in the file's header: how `file` and we tell a store from any other SQLite file."""

SCHEMA_VERSION: Final = 1

BUSY_TIMEOUT_MILLIS: Final = 10_000

_AS_IT_LIES: Final = "mode=ro&immutable=1"

# The time order of pages is (timestamp, stream, source, offset, id): protocol.Cursor.
# The *story* (vitals and lifecycle) is small; its own indexes keep it apart from the logs.
_SCHEMA: Final = """
CREATE TABLE documents (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL,
    index_name TEXT    NOT NULL,
    family     TEXT    NOT NULL,
    timestamp  INTEGER NOT NULL,
    created    INTEGER,
    instance   TEXT    NOT NULL,
    stream     TEXT    NOT NULL,
    source     INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    length     INTEGER NOT NULL,
    path       TEXT    NOT NULL,
    level      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX documents_by_id ON documents (id, index_name);
CREATE INDEX documents_by_time ON documents (timestamp, stream, source, offset);
CREATE INDEX documents_by_instance ON documents (instance, timestamp, stream, source, offset);
CREATE INDEX documents_by_source ON documents (stream, source, offset, length)
    WHERE stream <> '';
CREATE INDEX story_by_time ON documents (timestamp) WHERE family <> 'logs';
CREATE INDEX story_by_instance ON documents (instance, timestamp) WHERE family <> 'logs';
CREATE VIRTUAL TABLE words USING fts5(
    message, content='', detail='none', columnsize=0, tokenize='ascii'
);
CREATE TABLE streams (
    instance      TEXT    NOT NULL,
    stream        TEXT    NOT NULL,
    first_created INTEGER,
    last_created  INTEGER,
    records       INTEGER NOT NULL,
    word_at       INTEGER NOT NULL,
    word_offset   INTEGER NOT NULL,
    word_seq      INTEGER,
    birth_at      INTEGER NOT NULL,
    birth_seq     INTEGER,
    closing_at    INTEGER NOT NULL,
    closing_seq   INTEGER,
    PRIMARY KEY (instance, stream)
) STRICT, WITHOUT ROWID;
"""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection for the collector: the file is made where there is none.

    Raises:
        UsageError: a file that is no store, or one of a newer Afterimage.
        UnreachableError: the folder or file can't be written.
    """
    location = str(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # logs hold secrets
    except OSError as error:
        raise UnreachableError(
            f"the store {location} can't be written",
            why=error.strerror or str(error),
            next_step="give the collector a file in a folder that it may write",
        ) from error
    try:
        connection = _connect(path, "mode=rw")
        with _closing_on_error(connection):
            if not _has_tables(connection, location):
                _create(connection)
            _check_version(connection, location)
            connection.execute("PRAGMA synchronous = FULL")  # a commit survives power loss
            connection.execute("PRAGMA cache_size = -65536")
            connection.execute("PRAGMA journal_size_limit = 67108864")
    except sqlite3.Error as error:
        raise explain(error, location) from error
    return connection


def open_for_appending(path: Path) -> sqlite3.Connection:
    """A connection for one short write into a store that exists (lifecycle documents)."""
    location = str(path)
    require_file(path)
    try:
        connection = _connect(path, "mode=rw")
        with _closing_on_error(connection):
            _check_version(connection, location)
            connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        raise explain(error, location) from error
    return connection


def open_for_reading(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection that can't write, and whether it reads the file as it lies, without its WAL.

    A file that can't be written is read like any other while a collector has it open. Without one,
    SQLite would have to make files beside it to read its WAL; then it is taken as it lies.

    Raises:
        NotFoundError: no such file.
        UsageError: a file that is no store, or one of a newer Afterimage.
        UnreachableError: no right to read it.
    """
    require_file(path)
    modes = ["mode=rw"] if is_writable(path) else ["mode=ro", _AS_IT_LIES]
    for mode in modes:
        try:
            connection = _connect(path, mode)
            with _closing_on_error(connection):
                connection.execute("PRAGMA query_only = ON")
                _check_version(connection, str(path))
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if mode == "mode=ro" and code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
                continue
            raise explain(error, str(path)) from error
        return connection, mode == _AS_IT_LIES
    raise AssertionError("the last mode returns or raises")


def is_writable(path: Path) -> bool:
    """Whether this process may write the file and beside it; evidence is often neither."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def require_file(path: Path) -> None:
    """NotFoundError where there is no such file."""
    if not path.is_file():
        raise NotFoundError(
            f"there is no store {path}",
            next_step="name the collector's file, or start one: "
            f"forensics collector --listen 127.0.0.1:9200 --store {path}",
        )


def explain(error: sqlite3.Error, location: str) -> ForensicsError:
    """What an error of SQLite means for a person, and what to do next."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return IntegrityError(
            f"the store {location} is damaged",
            why=str(error),
            next_step="copy the file with its -wal aside as evidence, then try "
            f'sqlite3 {location} ".recover" | sqlite3 recovered.sqlite',
        )
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return UnreachableError(
            f"the store {location} is locked",
            why=str(error),
            next_step="another program is writing to it; try again, or find it with lsof",
        )
    if code == sqlite3.SQLITE_READONLY:
        return RefusedError(
            f"the store {location} can't be written",
            why=str(error),
            next_step="work on a writable copy, or ask for the right to write file and folder",
        )
    if code == sqlite3.SQLITE_FULL:
        return UnreachableError(
            f"the store {location} can't grow",
            why=str(error),
            next_step="free space on its disk; nothing was half-written",
        )
    return UnreachableError(
        f"the store {location} can't be used",
        why=f"{error} ({getattr(error, 'sqlite_errorname', 'no code')})",
        next_step="check that file and folder can be read and written, and that the disk is well",
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.resolve()))}?{mode}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_MILLIS / 1000,
    )
    connection.execute("PRAGMA foreign_keys = OFF")  # none declared; touches the file: early errors
    return connection


@contextlib.contextmanager
def _closing_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _has_tables(connection: sqlite3.Connection, location: str) -> bool:
    """Whether there is anything in the file; a file of another program is refused."""
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise _foreign(location) from error
        raise
    return bool(tables)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
        f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )


def _check_version(connection: sqlite3.Connection, location: str) -> None:
    if not _has_tables(connection, location):
        raise _foreign(location)
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        raise _foreign(location)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"the store {location} was made by a newer Afterimage",
            why=f"its schema has version {version}, this program knows {SCHEMA_VERSION}",
            next_step="upgrade: pip install --upgrade 'afterimage-forensics[forensics]'",
        )


def _foreign(location: str) -> UsageError:
    return UsageError(
        f"{location} is not an Afterimage store",
        why="it is empty, no SQLite file, or one of another program",
        next_step="name a file that `forensics collector --store` has made",
    )
