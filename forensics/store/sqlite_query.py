"""A `Query` as SQL over the SQLite store's tables: conditions, parameters and the index to walk.

In: a query. Out: SQL text and parameters; every value of the query is a parameter. It must never
touch a connection.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from forensics.store.documents import split_words
from forensics.store.protocol import Cursor, Query
from shipper.wire.times import parse_time

PLACE: Final = ("timestamp", "stream", "source", "offset", "id")
"""The columns of the time order: protocol.Cursor."""

Value = str | int


@dataclass(frozen=True, slots=True)
class Selection:
    """What stands between FROM and ORDER BY."""

    sql: str
    parameters: tuple[Value, ...]


def build_selection(query: Query, *, place: Cursor | None = None, beyond: str = ">") -> Selection:
    """`documents … WHERE …` of a query, and of the places beyond one (`>` after, `<` before)."""
    conditions: list[str] = []
    parameters: list[Value] = []

    def hold(condition: str, *values: Value) -> None:
        conditions.append(condition)
        parameters.extend(values)

    story = "logs" not in query.families
    if story:
        hold("family <> 'logs'")  # as the partial indexes say it
    for column, wanted in (
        ("family", query.families),
        ("level", query.levels),
        ("path", query.paths),
        ("action", query.actions),
        ("instance", query.instance_ids),
    ):
        if wanted or column == "family":
            hold(f"{column} IN ({_marks(wanted)})", *sorted(wanted))
    if query.since:
        since = parse_time(query.since)
        hold("(timestamp >= ? OR created >= ?)", since, since)
    if query.until:
        until = parse_time(query.until)
        hold("(timestamp <= ? OR created <= ?)", until, until)
    if query.match:
        words = split_words(query.match)
        if words:
            hold("seq IN (SELECT rowid FROM words WHERE words MATCH ?)", _match(words))
        else:
            hold("0")
    if place is not None:
        hold(
            f"({', '.join(PLACE)}) {beyond} (?, ?, ?, ?, ?)",
            parse_time(place.timestamp),
            *place[1:],
        )
    table = f"documents INDEXED BY {_index(query, story=story)}"
    return Selection(f"{table} WHERE {' AND '.join(conditions)}", tuple(parameters))


def build_aggregate(query: Query, columns: str, *, ending: str = "") -> Selection:
    """A SELECT of `columns`, expressions of this program, over a query's documents."""
    selection = build_selection(query)
    sql = f"SELECT {columns} FROM {selection.sql} {ending}"  # noqa: S608 - values are parameters
    return Selection(sql, selection.parameters)


def build_page(query: Query, place: Cursor | None, *, backward: bool) -> Selection:
    """The whole SELECT of a page, without a LIMIT: its reader stops where the page is full."""
    direction = "DESC" if backward else "ASC"
    selection = build_selection(query, place=place, beyond="<" if backward else ">")
    order = ", ".join(f"{column} {direction}" for column in PLACE)
    return Selection(
        f"SELECT id, index_name, timestamp, body FROM {selection.sql} ORDER BY {order}",  # noqa: S608 - values are parameters
        selection.parameters,
    )


def _index(query: Query, *, story: bool) -> str:
    """The index whose order is the page's order; the planner can't know how rare a word is."""
    one_instance = len(query.instance_ids) == 1
    if story:
        return "story_by_instance" if one_instance else "story_by_time"
    return "documents_by_instance" if one_instance else "documents_by_time"


def _match(words: Collection[str]) -> str:
    return " AND ".join(f'"{word}"' for word in words)


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
