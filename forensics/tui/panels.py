"""The text panels of an instance: snapshots, facts, report.

In: the ledger's row and the report's model. Out: lines for a `TextPane`, which makes them safe.
Pure. It must never leave out what a source said.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from forensics.ledger.model import InstanceRow, SnapshotRow
from forensics.moments import render_moment
from forensics.report.model import ReportModel
from forensics.tui.commands import shell_word
from forensics.tui.text_pane import Line

_MARKUP: Final = re.compile(r"\\([^A-Za-z0-9\s])|\*\*|`")
"""What Markdown adds: an escape before a character, which is the text's own, and its marks."""
_CELL_EDGE: Final = re.compile(r"(?<!\\)\|")


def known_snapshots(row: InstanceRow, report: ReportModel | None) -> Sequence[SnapshotRow]:
    """What EC2 says now; and those that the report took from the custody log."""
    known = {one.snapshot_id for one in row.snapshots}
    kept = report.snapshots if report is not None else ()
    return (*row.snapshots, *(one for one in kept if one.snapshot_id not in known))


def build_snapshots(row: InstanceRow, report: ReportModel | None, zone: dt.tzinfo) -> list[Line]:
    """Each snapshot with volume, time, case and tags; and who was not asked for more."""
    lines: list[Line] = []
    for one in known_snapshots(row, report):
        command = f"aws ec2 describe-snapshots --snapshot-ids {shell_word(one.snapshot_id)}"
        started = render_moment(one.started_at, zone)
        texts = [
            Line(f"{one.snapshot_id} · {one.state} · {one.size_gib} GiB", "head"),
            Line(f"of volume {one.volume_id}, started {started}"),
            Line(command, "dim", command),
        ]
        if one.case_id:
            texts.append(Line(f"case {one.case_id}", copied=one.case_id))
        texts += [Line(f"  {name} = {one.tags[name]}", "dim") for name in sorted(one.tags)]
        lines += [
            line._replace(copied=line.copied or one.snapshot_id, command=command)
            for line in (*texts, Line(""))
        ]
    takes = f"forensics quarantine {shell_word(row.instance_id)} --dry-run"
    if not lines and report is not None:
        lines = [
            Line("Nobody who was asked knows a snapshot of this instance's volumes."),
            Line("A quarantine takes them; this shows how:", "dim"),
            Line(takes, "dim", takes, takes),
        ]
    return [*lines, *(Line(text, "dim") for text in _unasked(row, report))]


def _unasked(row: InstanceRow, report: ReportModel | None) -> list[str]:
    """Who could know of more snapshots and was not heard: their silence is no answer."""
    if report is None:
        return ["The case's custody log is still being read."]
    texts = []
    if not report.scope.account and not {"ec2", "snapshots"} & set(row.sources):
        texts.append("The account was not asked or did not answer: EC2 may know of more.")
    if not row.case_id:
        texts.append("No case of this instance is known, so no custody log was read.")
    return [*texts, *(f"Not answered: {warning}" for warning in report.warnings)]


def build_facts(row: InstanceRow) -> list[Line]:
    """What each source says, as it was answered: the merged row, streams, then AWS call by call."""
    merged = {
        "instance_id": row.instance_id, "state": row.state, "why": row.state_reason,
        "image": row.image_id, "group": row.group, "type": row.instance_type,
        "zone": row.availability_zone, "account": row.account_id, "ip": row.private_ip,
        "launched_at": row.launched_at, "ended_at": row.ended_at,
        "first_seen_at": row.first_seen_at, "last_sign_at": row.last_sign_at,
        "case": row.case_id, "mentioned by": list(row.sources),
    }  # fmt: skip
    streams = [
        {
            "stream": one.stream, "first": one.first_at, "last": one.last_at,
            "records": one.records, "birth": dict(one.birth),
            "closing": dict(one.closing) or "none: no goodbye",
        }
        for one in row.streams
    ]  # fmt: skip
    lines = [*_json("The ledger's row", merged), *_json("Its streams", streams)]
    for call in sorted(row.raw):
        lines += _json(call, row.raw[call])
    command = f"forensics show {shell_word(row.instance_id)} --json"
    return [line._replace(command=command) for line in lines]


def _json(title: str, value: Any) -> list[Line]:
    text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
    return [Line(title, "head"), *(Line(part) for part in text.split("\n")), Line("")]


def build_report(report: ReportModel | None, saved: Sequence[Path]) -> list[Line]:
    """Where it was written, and what it says as plain text; None: not there yet."""
    if report is None:
        return [Line("The report is being gathered…", "dim")]
    from forensics.report.markdown import render_markdown

    lines = [Line(f"Written: {path}", "head") for path in saved]
    lines += [Line("o writes it to a folder, as Markdown and HTML", "dim"), Line("")]
    return lines + plain_markdown(render_markdown(report))


def plain_markdown(text: str) -> list[Line]:
    """Our own Markdown without its marks: headings, cells apart, quoted lines as they stand."""
    lines: list[Line] = []
    fence = ""
    for part in text.split("\n"):
        if fence:
            fence = "" if part == fence else fence
            lines += [Line(f"  {part}")] if fence else []
        elif part.startswith("```"):
            fence = part.removesuffix("text")
        elif part.startswith("#"):
            lines.append(Line(_unmarked(part.lstrip("# ")), "head"))
        elif part.startswith("|"):
            cells = [_unmarked(cell.strip()) for cell in _CELL_EDGE.split(part)[1:-1]]
            if any(cell.strip("- :") for cell in cells):
                lines.append(Line("  ".join(cells)))
        else:
            lines.append(Line(_unmarked(part.removeprefix("> "))))
    return lines


def _unmarked(text: str) -> str:
    return _MARKUP.sub(r"\1", text)
