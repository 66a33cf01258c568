"""`forensics show`: the answer first: what happened, is anything missing, what next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from forensics.cli.options import SETTINGS, Invocation, global_options

if TYPE_CHECKING:
    from forensics.config import Settings
    from forensics.report.model import ReportModel

_SOURCES_SHOWN = 20
_EVIDENCE_SHOWN = 3
_CONTEXT_SECONDS = 300


@click.command(
    short_help="Say what happened to an instance, and whether anything is missing.",
    help="""\b
forensics show i-0123456789abcdef0

Say what most likely ended it, with the evidence; whether every byte that it wrote is stored, or
which are missing; its snapshots, its quarantine, what AWS says; and commands to look further.
""",
)
@click.argument("instance", metavar="ID")
@global_options(*SETTINGS)
@click.pass_obj
def show(invocation: Invocation, instance: str) -> int:
    """Say what happened."""
    from forensics.cli.documents import SHOW_SCHEMA, show_document
    from forensics.cli.output import warn_each, write_json, write_line
    from forensics.cli.session import gather_model, run_async

    settings = invocation.settings()
    model = run_async(gather_model(settings, instance))
    commands = build_next_commands(model, settings)
    if invocation.json:
        write_json(SHOW_SCHEMA, show_document(model, commands))
        return 0
    warn_each(model.warnings)
    for line in render_answer(model, commands):
        write_line(line)
    return 0


def render_answer(model: ReportModel, commands: list[str]) -> Iterator[str]:
    """The answer as lines of safe text."""
    from forensics.moments import render_utc
    from forensics.report.words import render_completeness, render_headline
    from forensics.safe_text import safe_text

    row = model.instance
    known = (row.image_id, row.group, row.availability_zone, row.account_id)
    yield safe_text(" · ".join((row.instance_id, str(row.state), *filter(None, known))))
    yield safe_text(
        f"launched {render_utc(row.launched_at)} · last sign {render_utc(row.last_sign_at)}"
        f" · {'said goodbye' if row.closed else 'no goodbye'}"
    )
    yield ""
    yield "WHAT HAPPENED"
    yield f"  {safe_text(render_headline(model))}"
    for reference in model.cause.evidence[:_EVIDENCE_SHOWN] if model.cause else ():
        quote = f"{render_utc(reference.at)} {reference.where} │ {reference.quote}"
        yield f"    {safe_text(quote)}"
    for finding in model.findings[1:]:
        yield f"  Also: {safe_text(finding.title)} ({finding.confidence}). " + safe_text(
            finding.statement
        )
    yield ""
    yield "IS ANYTHING MISSING"
    yield f"  {safe_text(render_completeness(model))}"
    yield from _source_lines(model)
    yield ""
    yield "WHAT IS KEPT"
    yield from _kept_lines(model)
    yield ""
    yield "WHAT AWS SAYS"
    yield f"  {safe_text(row.state_reason or 'nothing')}"
    if model.peers:
        yield ""
        yield "PEERS (same image and group)"
        for peer in model.peers:
            yield safe_text(f"  {peer.instance_id} {peer.state}")
    yield ""
    yield "LOOK NEXT"
    for command in commands:
        yield f"  {command}"


def _source_lines(model: ReportModel) -> Iterator[str]:
    from forensics.report.model import BROKEN
    from forensics.report.words import render_source
    from forensics.safe_text import safe_text

    worst_first = sorted(model.completeness, key=lambda row: row.verdict not in BROKEN)
    for row in worst_first[:_SOURCES_SHOWN]:
        yield safe_text(f"    {row.path}: {render_source(row)}")
    left = len(worst_first) - _SOURCES_SHOWN
    if left > 0:
        yield f"    and {left} more: forensics raw {safe_text(model.instance.instance_id)} --list"


def _kept_lines(model: ReportModel) -> Iterator[str]:
    from forensics.moments import render_utc
    from forensics.report.words import render_quarantine, render_snapshots
    from forensics.safe_text import safe_text

    case = f"case {model.case_id}: " if model.case_id else ""
    yield safe_text(f"  Quarantine: {case}{render_quarantine(model)}")
    for reason in model.quarantine_reasons:
        yield f"    because: {safe_text(reason)}"
    if not model.snapshots:
        count = render_snapshots(model)
        yield safe_text(f"  Snapshots: {'none known' if count == '0' else count}")
    for snapshot in model.snapshots:
        yield safe_text(
            f"  {snapshot.snapshot_id} of {snapshot.volume_id}, {snapshot.size_gib} GiB, "
            f"{snapshot.state}, as of {render_utc(snapshot.started_at)}"
        )


def build_next_commands(model: ReportModel, settings: Settings) -> list[str]:
    """Commands to copy: each names the store if only a flag did."""
    from forensics.cli.commands import given_options
    from forensics.ledger.model import InstanceState
    from forensics.moments import render_second, shift_time
    from forensics.safe_text import safe_text

    given = given_options(settings)
    row = model.instance
    instance = shlex.quote(row.instance_id)
    words = ["{}"]
    if model.scope.store and row.streams:  # of one that shipped nothing both would fail
        words += ["logs {} --timeline --level warn", "raw {} --list"]
    words.append("report {} -o .")
    if model.scope.store and row.last_word_at:
        since = render_second(shift_time(row.last_word_at, -_CONTEXT_SECONDS))
        words[1] = f"logs {{}} --timeline --since {since}"
    paths = [source.path for source in model.completeness if source.holes]
    paths += [reference.where for finding in model.findings[:1] for reference in finding.evidence]
    known = {source.path for source in model.completeness}
    path = next((path for path in paths if path in known), "")
    if path and safe_text(path) == path:  # a path that can't be shown can't be copied either
        words.insert(2, f"raw {{}} {shlex.quote(path)} -o {shlex.quote(path.rsplit('/')[-1])}")
    if row.state in {InstanceState.RUNNING, InstanceState.STOPPED} and not row.case_id:
        words.append("quarantine {} --dry-run")
    return [safe_text(f"forensics{given} {command.format(instance)}") for command in words]
