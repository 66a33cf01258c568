"""The answer on top of an instance: state and why, cause, last signs, completeness, in five lines.

In: the ledger's row, findings, the report's model as far as they are there yet. Out: safe lines.
Pure. It must never say "complete" or "no sign of failure" before that was looked at.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from forensics.findings.finding import Finding
from forensics.ledger.model import InstanceRow, InstanceState
from forensics.moments import local_moment, nanos_or_none, render_age, render_moment
from forensics.report.model import ReportModel
from forensics.report.words import render_cause, render_completeness, render_headline
from forensics.safe_text import fold_lines, safe_text
from forensics.tui.instance_rows import STATE_LETTERS, judge


class AnswerLine(NamedTuple):
    """A label and what it says, both safe."""

    label: str
    text: str
    kind: str = "plain"
    """`plain`, `good`, `bad` or `dim`."""


def build_answer(
    row: InstanceRow,
    *,
    findings: Sequence[Finding] | None,
    report: ReportModel | None,
    now_nanos: int,
    zone: dt.tzinfo,
) -> list[AnswerLine]:
    """Five lines; None: that was not looked at yet, or could not be."""
    known = (row.instance_type, row.image_id, row.group, row.availability_zone)
    where = " · ".join(safe_text(value, 60) for value in known if value)
    state = f"{STATE_LETTERS[row.state]} {row.state} · {safe_text(row.instance_id, 60)}"
    return [
        AnswerLine("", f"{state} · {where}" if where else state, _state_kind(row, now_nanos)),
        _cause(findings, report),
        AnswerLine("State", _why(row, report, now_nanos)),
        AnswerLine("Last sign", _heard(row, now_nanos, zone)),
        _completeness(row, report, zone),
    ]


def is_outdated(row: InstanceRow, report: ReportModel | None) -> bool:
    """Whether the store has other records by now than those that the report speaks of."""
    return report is not None and row.records != report.scope.records


def _state_kind(row: InstanceRow, now_nanos: int) -> str:
    return "bad" if judge(row, now_nanos).why else "good"


def _why(row: InstanceRow, report: ReportModel | None, now_nanos: int) -> str:
    outcome = safe_text(report.quarantine, 20) if report is not None else ""
    ended = f"quarantine {outcome}" if outcome else ""
    reason = safe_text(row.state_reason, 300) or "no source says why"
    if row.state is not InstanceState.QUARANTINED:
        return " · ".join(filter(None, (judge(row, now_nanos).why, reason, ended)))
    # The ledger's reason begins with the quarantine and its case: once is enough.
    others = [part for part in reason.split("; ") if not part.startswith("quarantine: ")]
    case = f"case {safe_text(row.case_id, 80)}" if row.case_id else ""
    told = (ended or "set aside by a quarantine", case, "; ".join(others))
    return " · ".join(filter(None, told))


def _cause(findings: Sequence[Finding] | None, report: ReportModel | None) -> AnswerLine:
    if report is not None:
        findings, sentence = report.findings, render_headline(report)
    elif findings is not None:
        sentence = render_cause(findings[0] if findings else None)
    else:
        return AnswerLine("Cause", "looking…", "dim")
    more = f" · {len(findings) - 1} more in the report (4)" if len(findings) > 1 else ""
    return AnswerLine("Cause", f"{safe_text(sentence, 500)}{more}", "bad" if findings else "plain")


def _heard(row: InstanceRow, now_nanos: int, zone: dt.tzinfo) -> str:
    if not row.last_sign_at:
        return "never: no shipper of this instance reached the store"
    sign = f"{render_moment(row.last_sign_at, zone)}, {render_age(row.last_sign_at, now_nanos)} ago"
    bye = "said goodbye" if row.closed else "no goodbye"
    word = f" · last word: “{safe_text(fold_lines(row.last_word), 300)}”" if row.last_word else ""
    return f"{sign} · {bye}{word}"


def _completeness(row: InstanceRow, report: ReportModel | None, zone: dt.tzinfo) -> AnswerLine:
    if report is None:
        return AnswerLine("Bytes", f"{row.records:,} log lines stored; checking for holes…", "dim")
    if report.broken_sources:  # not by missing bytes: altered records and some holes have none
        kind = "bad"
    else:
        kind = "plain" if report.open_sources or not report.completeness else "good"
    sentence = safe_text(render_completeness(report), 500)
    made_at = nanos_or_none(report.scope.generated_at)
    if made_at is not None and is_outdated(row, report):
        sentence = f"As of {local_moment(made_at, zone):%H:%M:%S}: {sentence}"
    return AnswerLine("Bytes", sentence, kind)
