"""The quarantine's journal in a report: written by real runs, read by both renderings."""

from __future__ import annotations

import asyncio
import dataclasses
import re

import pytest

from forensics.errors import RefusedError
from forensics.evidence.chain import build_entry
from forensics.evidence.log import ChainedLog
from forensics.quarantine.claim import load_claim
from forensics.quarantine.entries import parse_entry
from forensics.report.gather import gather_report
from forensics.report.html import render_html
from forensics.report.markdown import render_markdown
from forensics.report.model import ReportModel
from tests.forensics.quarantine.fake_account import INSTANCE, build_state
from tests.forensics.quarantine.quarantines import (
    FailAt,
    KillAt,
    KilledError,
    MemoryEvidence,
    quarantine,
)
from tests.forensics.report.models import build_model

NOW = "2026-01-03T14:00:00.000000000Z"
REFUSAL = "no right to stop <it>"


def _report(evidence: MemoryEvidence) -> ReportModel:
    claim = load_claim(evidence, INSTANCE)
    assert claim is not None
    row = dataclasses.replace(build_model("x").instance, case_id=claim.case_id)
    return asyncio.run(gather_report(None, row, evidence, now=NOW))


def _degraded() -> MemoryEvidence:
    """A run that was killed in the middle, and one that went on and was refused the stop."""
    evidence, state = MemoryEvidence(), build_state()
    with pytest.raises(KilledError):
        quarantine(state, evidence, KillAt(60))
    refusal = FailAt("stop_instance", RefusedError("it was refused", why=REFUSAL))
    quarantine(state, evidence, refusal)
    return evidence


def test_every_row_of_the_journal_has_an_outcome() -> None:
    """Intents, answers, refusals, steps and the end, of a run that was resumed and degraded."""
    model = _report(_degraded())

    assert () == model.warnings
    outcomes = [row.outcome for row in model.journal]
    assert {"joined", "intended", "answered", "failed", "done", "degraded", "skipped"} <= set(
        outcomes
    )
    assert 2 == outcomes.count("joined")
    assert "degraded" == outcomes[-1] == model.quarantine
    assert [] == [row for row in model.journal if not row.outcome or not row.what]
    failed = next(row for row in model.journal if row.outcome == "failed")
    assert ("stop", "ec2:StopInstances") == (failed.step, failed.what)
    assert REFUSAL in failed.detail
    assert any(REFUSAL in reason for reason in model.quarantine_reasons)


def test_both_renderings_show_every_outcome_of_the_journal() -> None:
    """The column 'Outcome' as it is read: in Markdown's table and in the page's."""
    model = _report(_degraded())
    expected = [(row.step, row.outcome) for row in model.journal]

    markdown = render_markdown(model).split("## Quarantine\n")[1].split("\n## ")[0]
    cells = [line.split(" | ") for line in markdown.splitlines() if line.startswith("| 2")]
    said = [(row[1].replace("\\", ""), row[3]) for row in cells]
    page = render_html(model).split('<h2 id="quarantine">')[1].split("</section>")[0]
    rows = re.findall(r'<tr><td class="time">.*?</td>(.*?)</tr>', page)
    shown = [tuple(re.findall(r"<td>(.*?)</td>", row)[index] for index in (0, 2)) for row in rows]

    assert expected == said
    assert expected == shown
    assert "no right to stop &lt;it&gt;" in page


def test_a_journal_of_another_version_is_a_warning_in_the_report() -> None:
    """What this version can't read is named; it is no empty row."""
    evidence = _degraded()
    claim = load_claim(evidence, INSTANCE)
    assert claim is not None
    ChainedLog(evidence, f"cases/{claim.case_id}/journal").append({"kind": "sung", "run": "r"})

    model = _report(evidence)

    (warning,) = model.warnings
    assert "the quarantine's journal" in warning
    assert "can't be read" in warning


@pytest.mark.parametrize(
    "body", [{}, {"kind": "step", "run": "r"}, {"kind": "outcome", "run": "r", "reasons": None}]
)
def test_an_entry_that_lacks_what_its_kind_has_is_refused(body: dict[str, object]) -> None:
    """Never a value with holes."""
    with pytest.raises(Exception, match="entry 1 of the journal can't be read"):
        parse_entry(build_entry("log", None, NOW, body))
