"""The text panels: what is known from any source is there, and silence of a source is no answer."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from forensics.findings.finding import Confidence, Finding, Reference
from forensics.ledger.model import InstanceState, SnapshotRow
from forensics.safe_text import markdown_fence
from forensics.tui.app import AfterimageApp
from forensics.tui.instance_screen import InstanceScreen
from forensics.tui.panels import build_report, build_snapshots, known_snapshots, plain_markdown
from tests.tui.screen_text import screen_text, wait_for_text, wait_until
from tests.tui.virtual_store import FakeSession, VirtualStore, instance

KEPT = SnapshotRow(
    snapshot_id="snap-0aaaaaaaaaaaaaaaa", volume_id="vol-0aaaaaaaaaaaaaaaa",
    state="as the custody log has it", started_at="", size_gib=8, case_id="case-1",
)  # fmt: skip
GONE = instance(case_id="case-1", sources=("stream", "lifecycle"))


async def test_snapshots_of_the_custody_log_are_shown_when_ec2_is_silent() -> None:
    """Their number is in the tab, their ids in the panel, as in every other rendering."""
    session = FakeSession(rows=[GONE], snapshots=[KEPT])
    app = AfterimageApp(session, GONE.instance_id)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_for_text(pilot, "2 snapshots 1 ")
        await pilot.press("2")
        await wait_for_text(pilot, KEPT.snapshot_id)
        assert "The account was not asked" in screen_text(pilot)


async def test_a_snapshot_that_both_sources_know_is_shown_once() -> None:
    """EC2's word of its state comes first."""
    now = replace(KEPT, state="completed")
    row = replace(GONE, snapshots=(now,))
    report = replace(await FakeSession().fetch_report(row), snapshots=(now, KEPT))
    assert (now,) == known_snapshots(row, report)


async def test_none_is_never_said_of_a_source_that_was_not_asked() -> None:
    """Before the custody log was read nothing is denied; after it, who was not asked is named."""
    before = [line.text for line in build_snapshots(GONE, None, dt.UTC)]
    assert ["The case's custody log is still being read."] == before
    row = instance(sources=("stream",))
    after = [
        line.text for line in build_snapshots(row, await FakeSession().fetch_report(row), dt.UTC)
    ]
    assert after[0].startswith("Nobody who was asked knows a snapshot")
    assert "The account was not asked or did not answer: EC2 may know of more." in after
    assert "No case of this instance is known, so no custody log was read." in after


async def test_the_report_is_shown_as_plain_text() -> None:
    """No table bars, no escapes; what a log line quotes stays as it was."""
    row = instance(last_word="")
    finding = Finding(
        name="fatal_error", title="An *odd* | error", statement="It said `a_b` | **c**.", weight=1,
        confidence=Confidence.LIKELY,
        evidence=(Reference(id="x", at="", where="/var/log/a.log", quote="[x](y) **b** \\\\ |"),),
    )  # fmt: skip
    report = replace(await FakeSession().fetch_report(row), findings=(finding,))
    texts = [line.text for line in build_report(report, ())]
    assert "1. An *odd* | error (cause, likely)" in texts
    assert "It said `a_b` | **c**." in texts
    assert any("[x](y) **b** \\\\ |" in text for text in texts)
    assert not any(text.startswith(("|", "#")) or "| ---" in text for text in texts)


def test_fenced_lines_stay_as_they_were() -> None:
    """A fence may be longer than three, and holds marks that are the log's own."""
    fenced = markdown_fence(["```", "**a** | # b"])
    assert ["  ```", "  **a** | # b"] == [line.text for line in plain_markdown(fenced)]


@pytest.mark.slow
async def test_an_id_and_a_command_are_copied_by_key() -> None:
    """From the line under the cursor of the snapshots and the facts."""
    session = FakeSession(rows=[GONE], snapshots=[KEPT])
    app = AfterimageApp(session, GONE.instance_id)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_for_text(pilot, "2 snapshots 1 ")
        await pilot.press("2", "j", "y")
        assert KEPT.snapshot_id == app.clipboard
        await pilot.press("C")
        assert f"aws ec2 describe-snapshots --snapshot-ids {KEPT.snapshot_id}" == app.clipboard
        await pilot.press("3", "C")
        assert f"forensics show {GONE.instance_id} --json" == app.clipboard
        await pilot.press("j", "j", "y")
        assert f'"instance_id": "{GONE.instance_id}",' == app.clipboard


@pytest.mark.slow
async def test_a_followed_instance_is_judged_anew_once_lines_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not with every look at the ledger, since it reads all that is stored; until then: as of."""
    row = instance(state=InstanceState.RUNNING, records=7)
    session = FakeSession(rows=[row])
    app = AfterimageApp(session, row.instance_id)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_for_text(pilot, "7 records are stored")
        screen = app.screen
        assert isinstance(screen, InstanceScreen)
        session.rows = [replace(row, records=8)]
        await screen._follow_row()
        await wait_for_text(pilot, "As of 15:00:00: 7 records are stored")
        assert 1 == session.reports
        monkeypatch.setattr(screen, "_answer_due_at", 0.0)
        await screen._follow_row()
        await wait_for_text(pilot, "8 records are stored")
        assert "As of" not in screen_text(pilot)
        monkeypatch.setattr(screen, "_answer_due_at", 0.0)
        await screen._follow_row()
        await pilot.pause()
        assert 2 == session.reports


async def test_details_take_half_the_screen_and_the_keys_that_scroll() -> None:
    """The command comes first; the timeline's own keys still work; Esc gives all back."""
    app = AfterimageApp(FakeSession(rows=[GONE], source=VirtualStore(1_000)), GONE.instance_id)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_for_text(pilot, "1,000 of 1,000")
        screen = app.screen
        assert isinstance(screen, InstanceScreen)
        await pilot.press("enter")
        await wait_for_text(pilot, "forensics logs i-0123456789abcdef0 --since")
        assert screen.details.outer_size.height >= 15
        cursor = screen.log_view.cursor
        await pilot.press("pagedown")
        assert screen.details.scroll_offset.y > 0
        assert cursor == screen.log_view.cursor
        await pilot.press("C")
        assert app.clipboard.startswith("forensics logs")
        await pilot.press("E")
        await wait_until(pilot, "the error", lambda: screen.log_view.cursor != cursor)
        await pilot.press("escape")
        assert screen.log_view.has_focus
