"""`forensics logs`: an instance's lines, and with `--timeline` what happened to it between."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from forensics.cli.options import Invocation, global_options
from forensics.errors import UsageError

if TYPE_CHECKING:
    from forensics.ledger.timeline import TimelineEntry
    from forensics.store.protocol import Query, Store

DEFAULT_LIMIT = 500
LEVELS = ("trace", "debug", "info", "notice", "warn", "error", "critical")


@click.command(
    short_help="Print an instance's log lines.",
    help="""\b
forensics logs i-0123456789abcdef0 --since '2h ago' --level warn

Print the last lines of an instance, oldest first: time (UTC), level, file, text. Lines of all its
files are in one order of time. A file is shown by as much of its path's end as no other has.
Control characters are shown, never sent to the terminal.

With --jsonl, or --json, each line is one JSON object: `schema`, `_id` and the stored fields.
""",
)
@click.argument("instance", metavar="ID")
@click.option("--since", metavar="TIME", help="From then on: ISO 8601, 14:05, '2h ago', -2h.")
@click.option("--until", metavar="TIME", help="Up to then.")
@click.option("--match", metavar="WORDS", default="", help="Lines that hold all these words.")
@click.option("--grep", metavar="REGEX", help="Lines in which this pattern is found.")
@click.option("--level", type=click.Choice(LEVELS), help="Lines at this level or a worse one.")
@click.option(
    "--path",
    "paths",
    metavar="PATH",
    multiple=True,
    help="Lines of this file; its path's end is enough.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="How many lines, the last ones.",
)
@click.option("--all", "everything", is_flag=True, help="Every line, from the first.")
@click.option("--timeline", is_flag=True, help="With what AWS, quarantine and shipper did.")
@click.option("--jsonl", is_flag=True, help="One JSON object a line.")
@global_options("store", "profile", "region")
@click.pass_obj
def logs(
    invocation: Invocation,
    instance: str,
    since: str | None,
    until: str | None,
    match: str,
    grep: str | None,
    level: str | None,
    paths: tuple[str, ...],
    limit: int,
    everything: bool,
    timeline: bool,
    jsonl: bool,
) -> int:
    """Print log lines."""
    from forensics.cli.moments import parse_moment
    from forensics.cli.session import run_async
    from forensics.store.protocol import Query

    now = time.time_ns()
    begin = parse_moment(since, now_nanos=now, option="--since") if since else ""
    end = parse_moment(until, now_nanos=now, option="--until") if until else ""
    if begin and end and begin > end:
        raise UsageError(
            "--since is after --until",
            why=f"no line is both after {begin} and before {end}",
            next_step="exchange the two times",
        )
    query = Query(
        families=frozenset(("logs", "lifecycle")) if timeline else frozenset(("logs",)),
        since=begin,
        until=end,
        match=match,
        levels=frozenset(LEVELS[LEVELS.index(level) :]) if level else frozenset(),
        paths=frozenset(paths),
    )
    return run_async(
        _print_logs(
            invocation,
            instance,
            query,
            pattern=_parse_pattern(grep),
            limit=None if everything else limit,
            as_json=jsonl or invocation.json,
        )
    )


def _parse_pattern(grep: str | None) -> re.Pattern[str] | None:
    try:
        return None if grep is None else re.compile(grep)
    except re.error as error:
        raise UsageError(
            f"--grep {grep!r} is no pattern",
            why=str(error),
            next_step="quote what is meant as it is",
        ) from error


async def _print_logs(
    invocation: Invocation,
    instance: str,
    query: Query,
    *,
    pattern: re.Pattern[str] | None,
    limit: int | None,
    as_json: bool,
) -> int:
    from dataclasses import replace

    from forensics.cli.output import narrate, warn_each, write_json_line, write_line
    from forensics.cli.paths import find_path, short_names
    from forensics.cli.reading import Reading
    from forensics.cli.session import opened
    from forensics.proof.declared import load_paths

    settings = invocation.settings()
    color = invocation.use_color()
    async with opened(settings) as session:
        store = await session.require_store()
        row = await session.find_stored(instance, has_logs="lifecycle" not in query.families)
        paths = await load_paths(store, row.instance_id)
        # A path that no shipper of ours named may stand in another shipper's lines.
        asked = frozenset(find_path(paths, path) or path for path in query.paths)
        events = row.events
        if "lifecycle" in query.families:
            ledger = await session.fetch_ledger(frozenset((row.instance_id,)))
            warn_each(ledger.warnings)
            events = ledger.rows[0].events if ledger.rows else events
        reading = Reading(
            store=store,
            query=replace(query, instance_ids=frozenset((row.instance_id,)), paths=asked),
            events=events,
            keep=lambda entry: pattern is None or pattern.search(entry.text) is not None,
        )
        start = None if limit is None else await reading.find_start(limit)
        names, shown, count = short_names(paths), set[str](), 0
        async for entry in reading.read_from(start):
            count += 1
            if as_json:
                write_json_line(_json_line(entry))
            else:
                shown.add(entry.document.path if entry.document is not None else "")
                write_line(_human_line(entry, names, color=color))
        if not count:
            narrate(await _say_nothing(store, row.instance_id, paths))
        elif sys.stderr.isatty():
            for path in sorted(shown & set(paths)):
                narrate(f"{names[path]} is {path}")
        if start is not None and start.more:
            narrate(f"only the last {limit:,} lines: --limit N shows more, --all every one")
    return 0


async def _say_nothing(store: Store, instance_id: str, paths: Sequence[str]) -> str:
    """What there is where no line matches."""
    from forensics.cli.paths import list_paths
    from forensics.moments import render_utc
    from forensics.store.protocol import Cursor, Query
    from shipper.wire.times import LATEST

    all_lines = Query(instance_ids=frozenset((instance_id,)))
    count = await store.count(all_lines)
    first = await store.page(all_lines, limit=1)
    last = await store.page(all_lines, before=Cursor(LATEST), limit=1)
    times = [render_utc(page.documents[0].timestamp) for page in (first, last) if page.documents]
    stored = f"; stored from {' to '.join(times)}" if times else ""
    files = ", ".join(list_paths(paths).splitlines()) or "none known"
    return f"0 of {count:,} lines match{stored}; files: {files}"


def _json_line(entry: TimelineEntry) -> dict[str, object]:
    from forensics.cli.documents import event_document, record_document

    if entry.event is not None:
        return event_document(entry.event, entry.cursor.id)
    assert entry.document is not None  # noqa: S101 - an entry is one or the other
    return record_document(entry.document)


def _human_line(entry: TimelineEntry, names: Mapping[str, str], *, color: bool) -> str:
    from forensics.cli.output import render_log_line

    if entry.event is not None:
        event = entry.event
        origin = f"{event.origin} (simulated)" if event.simulated else event.origin
        return render_log_line(
            entry.at,
            entry.level,
            origin,
            f"{event.action}: {event.message}",
            color=color,
            mark="◆ ",
        )
    path = entry.document.path if entry.document is not None else ""
    where = names.get(path, path)
    return render_log_line(entry.at, entry.level, where, entry.text, color=color)
