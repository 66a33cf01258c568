"""The answer on top of an instance: five lines, and never more than was looked at."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from forensics.findings.finding import Confidence, Finding
from forensics.ledger.model import InstanceRow
from forensics.report.model import HoleRow, PathRow, ReportModel, Verdict
from forensics.tui.answer import build_answer
from tests.tui.conftest import NOW
from tests.tui.virtual_store import FakeSession, instance

FOUND = Finding(
    name="memory", title="Memory ran out", statement="It asked for more.",
    confidence=Confidence.LIKELY, weight=1, evidence=(),
)  # fmt: skip


def _texts(
    row: InstanceRow, findings: list[Finding] | None = None, report: ReportModel | None = None
) -> list[str]:
    lines = build_answer(row, findings=findings, report=report, now_nanos=NOW, zone=dt.UTC)
    assert ["", "Cause", "State", "Last sign", "Bytes"] == [line.label for line in lines]
    return [line.text for line in lines]


def test_before_anything_was_looked_at_nothing_is_claimed() -> None:
    """No cause, no completeness; what the ledger knows is there at once."""
    state, cause, why, sign, missing = _texts(instance())
    assert "Q quarantined · i-00000000000000000 · t3.small" in state
    assert "looking…" == cause
    assert "set aside by a quarantine · EC2: tagged afterimage:state=shelved" == why
    assert sign.startswith("2026-01-03 14:05:12.221Z, 24m ago · no goodbye · last word: “Memory")
    assert "12,345 log lines stored; checking for holes…" == missing


def test_findings_come_before_the_report() -> None:
    """The first is the cause, with how sure it is; no finding is an answer too."""
    assert "Memory ran out (likely). It asked for more." == _texts(instance(), [FOUND])[1]
    assert "1 more in the report (4)" in _texts(instance(), [FOUND, FOUND])[1]
    assert "Nothing stored speaks of a failure." == _texts(instance(), [])[1]


async def test_the_report_brings_completeness_and_how_the_quarantine_ended() -> None:
    """A degraded quarantine is not shown as a complete one."""
    report = replace(await FakeSession().fetch_report(instance()), quarantine="degraded")
    reason = "quarantine: case case-1 (tag afterimage:case); EC2: running"
    texts = _texts(instance(case_id="case-1", state_reason=reason), [FOUND], report)
    assert "quarantine degraded · case case-1 · EC2: running" == texts[2]
    assert texts[4].startswith("12,345 records are stored, but no shipper of ours says")


async def test_an_older_answer_says_of_when_it_is() -> None:
    """While lines keep coming, a number of bytes is never shown as if it were that of now."""
    row = instance(records=7)
    report = await FakeSession().fetch_report(row)
    assert not _texts(row, [], report)[4].startswith("As of")
    later = _texts(instance(records=8), [], report)[4]
    assert later.startswith("As of 15:00:00: 7 records are stored")


@pytest.mark.parametrize("closed", [True, False])
def test_a_goodbye_is_told(closed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Whether the shipper ended in order tells a crash from a stop."""
    sign = _texts(instance(closed=closed))[3]
    assert closed == ("said goodbye" in sign)


def test_an_instance_that_was_never_heard_says_so() -> None:
    """In place of an empty line."""
    assert "no shipper" in _texts(instance(last_sign_at="", last_word=""))[3]


HOLE = HoleRow(source="0123456789abcdef-1", start=100, end=200, reason="the buffer was full")
UNKNOWN_SIZE = HoleRow(source="0123456789abcdef-1", start=100, end=100, reason="rotated away")


@pytest.mark.parametrize(
    ("sources", "kind", "words"),
    [
        ([(Verdict.COMPLETE, None)], "good", "Complete: all"),
        ([(Verdict.COMPLETE, None), (Verdict.OPEN, None)], "plain", "Nothing known is missing"),
        ([(Verdict.COMPLETE, None), (Verdict.MISSING, HOLE)], "bad", "100 bytes are missing"),
        ([(Verdict.OPEN, None), (Verdict.MISSING, UNKNOWN_SIZE)], "bad", "An unknown number"),
        ([(Verdict.COMPLETE, None), (Verdict.ALTERED, None)], "bad", "were altered"),
        ([], "plain", "No log of this instance is stored."),
    ],
    ids=("complete", "not closed", "a hole", "a hole of unknown size", "altered", "nothing stored"),
)
async def test_only_whole_and_closed_files_are_shown_as_good(
    sources: list[tuple[Verdict, HoleRow | None]], kind: str, words: str
) -> None:
    """Altered records and holes of unknown size miss zero bytes, and are bad all the same."""
    rows = tuple(
        PathRow(
            path=f"/var/log/{number}.log",
            files=1,
            sources=("0123456789abcdef-1",),
            stored_bytes=1000,
            verdict=verdict,
            holes=() if hole is None else (hole,),
            problem="its id is of other bytes" if verdict is Verdict.ALTERED else "",
        )
        for number, (verdict, hole) in enumerate(sources)
    )
    row = instance(records=0)
    report = replace(await FakeSession().fetch_report(row), completeness=rows)

    line = build_answer(row, findings=[], report=report, now_nanos=NOW, zone=dt.UTC)[-1]

    assert kind == line.kind
    assert words in line.text
