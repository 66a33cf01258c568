"""A report as Markdown: for a ticket, a chat, a repository.

In: the model. Out: text, the same for the same model. Every value passes `markdown_text` (prose and
table cells) or `markdown_fence` (quoted lines); nothing a log says can end a cell, a fence or a
heading, or become a link.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from forensics.findings.finding import Finding
from forensics.moments import render_utc
from forensics.report.model import BLANKS, ReportModel, TimelineRow
from forensics.report.words import (
    instance_facts,
    render_ask_again,
    render_bytes,
    render_completeness,
    render_headline,
    render_no_papers,
    render_quarantine,
    render_snapshots,
    render_source,
)
from forensics.safe_text import markdown_fence, markdown_text

LINES_LIMIT: Final = 100
"""Lines of one record that are quoted."""
_NEWLINE: Final = "\n"
LINE_LIMIT: Final = 1_000
"""Characters of one quoted line; what is cut is counted, and the id leads to the rest."""


def render_markdown(model: ReportModel) -> str:
    """The whole report."""
    parts = [
        *_header(model),
        *_findings(model),
        *_instance(model),
        *_completeness(model),
        *_last_words(model),
        *_timeline(model),
        *_evidence(model),
        *_quarantine(model),
        *_peers(model),
        *_limits(model),
        *_blanks(),
        *_scope(model),
    ]
    return "\n".join(parts) + "\n"


def _header(model: ReportModel) -> list[str]:
    case = f" · case {_text(model.case_id)}" if model.case_id else ""
    return [
        f"# Post-mortem of {_text(model.instance.instance_id)}",
        "",
        f"Written {render_utc(model.scope.generated_at)}{case}. All times are UTC.",
        "",
        "| | |",
        "| --- | --- |",
        f"| **What happened** | {_text(render_headline(model))} |",
        f"| **Is anything missing** | {_text(render_completeness(model))} |",
        f"| **State** | {_text(model.instance.state)} |",
        f"| **Quarantine** | {_text(render_quarantine(model))} |",
        f"| **Snapshots** | {_text(render_snapshots(model))} |",
        "",
        *(f"> **Not asked or not answered:** {_text(warning)}" for warning in model.warnings),
        *([""] if model.warnings else []),
    ]


def _findings(model: ReportModel) -> list[str]:
    lines = ["## Findings", ""]
    if not model.findings:
        return [*lines, "None: nothing stored speaks of a failure.", ""]
    for number, finding in enumerate(model.findings, start=1):
        lines += _finding(number, finding)
    return lines


def _finding(number: int, finding: Finding) -> list[str]:
    role = "cause" if number == 1 else "also"
    return [
        f"### {number}\\. {_text(finding.title)} ({role}, {finding.confidence})",
        "",
        _text(finding.statement),
        "",
        *_table(
            ("Time", "Where", "Quote", "Document"),
            (
                (render_utc(ref.at), ref.where, ref.quote, ref.id or "not stored")
                for ref in finding.evidence
            ),
        ),
    ]


def _instance(model: ReportModel) -> list[str]:
    facts = [*instance_facts(model.instance), *model.aws_says.items()]
    return ["## Instance", "", *_table(("Fact", "Value"), facts)]


def _completeness(model: ReportModel) -> list[str]:
    rows = (
        (row.path, render_bytes(row.stored_bytes), render_source(row), ", ".join(row.sources))
        for row in model.completeness
    )
    return [
        "## Completeness",
        "",
        _text(render_completeness(model)),
        "",
        *_table(("File", "Stored", "Completeness", "Sources"), rows),
    ]


def _last_words(model: ReportModel) -> list[str]:
    lines = ["## Last words", ""]
    if not model.last_words:
        return [*lines, "None are stored.", ""]
    for words in model.last_words:
        quoted = [line for row in words.lines for line in _quote(row)]
        lines += [f"### {_text(words.path)}", "", markdown_fence(quoted, LINE_LIMIT), ""]
    return lines


def _quote(row: TimelineRow) -> list[str]:
    """A record as it stands in a fence: further lines of it are set in."""
    first, *more = row.text.split("\n", LINES_LIMIT)
    if len(more) == LINES_LIMIT:
        more[-1] = f"… (+{more[-1].count(_NEWLINE) + 1:,} lines)"
    return [f"{render_utc(row.at)} {_letter(row)} {first}", *(f"    {line}" for line in more)]


def _timeline(model: ReportModel) -> list[str]:
    rows = (
        (render_utc(row.at), _origin(row), row.action, row.text, row.id) for row in model.timeline
    )
    left_out = (
        [f"{model.timeline_left_out:,} records are left out; the store has them.", ""]
        if model.timeline_left_out
        else []
    )
    return [
        "## Timeline",
        "",
        *left_out,
        *_table(("Time", "Origin", "What", "Text", "Document"), rows),
    ]


def _evidence(model: ReportModel) -> list[str]:
    snapshots = (
        (
            snapshot.snapshot_id,
            snapshot.volume_id,
            f"{snapshot.size_gib} GiB",
            snapshot.state,
            render_utc(snapshot.started_at),
        )
        for snapshot in model.snapshots
    )
    register = (
        (row.id, row.kind, row.size, row.digest, render_utc(row.at), row.note)
        for row in model.evidence
    )
    custody = (
        (str(row.n), render_utc(row.at), row.who, row.action, row.subject, row.detail, row.digest)
        for row in model.custody
    )
    nothing = render_no_papers(model)
    return [
        "## Evidence",
        "",
        "### Snapshots",
        "",
        *_table(("Snapshot", "Volume", "Size", "State", "Content of"), snapshots, nothing),
        "### Register",
        "",
        *_table(("Object", "Kind", "Size", "SHA-256", "Time", "Note"), register, nothing),
        "### Custody",
        "",
        *_table(("No.", "Time", "Who", "Action", "Subject", "Detail", "Digest"), custody, nothing),
    ]


def _quarantine(model: ReportModel) -> list[str]:
    rows = (
        (render_utc(row.at), row.step, row.what, row.outcome, row.detail) for row in model.journal
    )
    return [
        "## Quarantine",
        "",
        f"Outcome: {_text(render_quarantine(model))}",
        "",
        *(f"- because: {_text(reason)}" for reason in model.quarantine_reasons),
        "",
        *_table(("Time", "Step", "What", "Outcome", "Detail"), rows, render_no_papers(model)),
    ]


def _peers(model: ReportModel) -> list[str]:
    rows = (
        (
            peer.instance_id,
            peer.state,
            peer.availability_zone,
            render_utc(peer.launched_at),
            render_utc(peer.last_sign_at),
        )
        for peer in model.peers
    )
    return [
        "## Peers",
        "",
        "Instances of the same image and group.",
        "",
        *_table(("Instance", "State", "Zone", "Launched", "Last sign"), rows),
    ]


def _limits(model: ReportModel) -> list[str]:
    return ["## Limits of method", "", *(f"- {_text(limit)}" for limit in model.limits), ""]


def _blanks() -> list[str]:
    lines = ["## For a person to fill in", ""]
    for title, prompt in BLANKS:
        lines += [f"### {title}", "", f"*{prompt}*", "", "…", ""]
    return lines


def _scope(model: ReportModel) -> list[str]:
    scope = model.scope
    facts = [
        ("Written by", f"afterimage {scope.tool_version}"),
        ("Written at", render_utc(scope.generated_at)),
        ("Store", scope.store or "none asked"),
        ("Account", scope.account or "none asked"),
        ("Time range", f"{render_utc(scope.since)} to {render_utc(scope.until)}"),
        ("Records", f"{scope.records:,} stored, the last {scope.records_looked_at:,} looked at"),
        ("Ask again", render_ask_again(model)),
    ]
    return ["## How this was made", "", *_table(("What", "Value"), facts)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], nothing: str = "None.") -> list[str]:
    body = [f"| {' | '.join(map(_text, row))} |" for row in rows]
    if not body:
        return [_text(nothing), ""]
    return [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *body, ""]


def _text(text: str) -> str:
    return markdown_text(text, LINE_LIMIT)


def _origin(row: TimelineRow) -> str:
    return f"{row.origin} (simulated)" if row.simulated else row.origin


def _letter(row: TimelineRow) -> str:
    return row.action[:1].upper() or "·"
