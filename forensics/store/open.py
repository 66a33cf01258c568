"""Opens the store that a location names.

In: `sqlite:PATH`, a path, or an `http(s)://` URL. Out: a `Store` that has answered once. It must
never guess: a location of another form is an error that names the forms.
"""

from __future__ import annotations

from pathlib import Path

from forensics.errors import UsageError
from forensics.store.protocol import Store

_FORMS = "give sqlite:PATH, a path, or http(s)://HOST:PORT"


async def open_store(location: str) -> Store:
    """The store at `location`; close it when done.

    Raises:
        UsageError: not a location, or the URL of a collector.
        NotFoundError: no such file.
        UnreachableError: no answer, or no right to read.
    """
    if location.startswith(("http://", "https://")):
        from forensics.store.opensearch import OpenSearchStore

        return await OpenSearchStore.open(location)
    scheme, colon, rest = location.partition(":")
    if colon and scheme == "sqlite":
        location = rest
    elif "://" in location:
        raise UsageError(f"{location!r} names no store", next_step=_FORMS)
    if not location:
        raise UsageError("no store is named", next_step=_FORMS)
    from forensics.store.sqlite import SqliteStore

    return await SqliteStore.open(_path(location))


def _path(location: str) -> Path:
    return Path(location).expanduser()
