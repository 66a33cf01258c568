"""`forensics instances`: every instance that anything has ever mentioned, one line each."""

from __future__ import annotations

import shutil
import sys
import time

import click

from forensics.cli.options import Invocation, global_options

STATES = ("pending", "running", "stopped", "quarantined", "terminated", "unknown")
_LAST_WORD_LIMIT = 60


@click.command(
    short_help="List instances: living, set aside and long gone.",
    help="""\b
forensics instances --state terminated --state quarantined

List every instance that the store, EC2 or Auto Scaling knows: its id, state, image, group, zone,
age, last sign of life and last word. EC2 forgets a terminated instance after about an hour; the
store does not. Newest sign first; times are UTC.
""",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    help="Only those in this state; give it more than once for more.",
)
@global_options("store", "profile", "region")
@click.pass_obj
def instances(invocation: Invocation, states: tuple[str, ...]) -> int:
    """List instances."""
    from forensics.cli.documents import INSTANCES_SCHEMA, instance_document
    from forensics.cli.output import render_table, warn_each, write_json, write_line
    from forensics.cli.session import opened, run_async
    from forensics.ledger.model import Ledger
    from forensics.moments import NOTHING, render_age, render_second
    from forensics.safe_text import fold_lines

    settings = invocation.settings()

    async def load() -> Ledger:
        async with opened(settings) as session:
            return await session.fetch_ledger()

    ledger = run_async(load())
    rows = [row for row in ledger.rows if not states or row.state in states]
    warn_each(ledger.warnings)
    if invocation.json:
        payload = {
            "instances": [instance_document(row) for row in rows],
            "warnings": list(ledger.warnings),
        }
        write_json(INSTANCES_SCHEMA, payload)
        return 0
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    table = render_table(
        ("INSTANCE", "STATE", "IMAGE", "GROUP", "ZONE", "AGE", "LAST SIGN (UTC)", "LAST WORD"),
        (
            (
                row.instance_id,
                str(row.state),
                row.image_id or NOTHING,
                row.group or NOTHING,
                row.availability_zone or NOTHING,
                render_age(row.launched_at or row.first_seen_at, time.time_ns()),
                render_second(row.last_sign_at),
                fold_lines(row.last_word)[:_LAST_WORD_LIMIT] or NOTHING,
            )
            for row in rows
        ),
    )
    for line in table:
        write_line(line[:limit])  # a pipe gets whole lines
    return 0
