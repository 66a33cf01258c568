"""The text panels: what is known from any source is there, and silence of a source is no answer."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from forensics.ledger.model import SnapshotRow
from forensics.tui.app import AfterimageApp
from forensics.tui.panels import build_snapshots, known_snapshots
from tests.tui.screen_text import screen_text, wait_for_text
from tests.tui.virtual_store import FakeSession, instance

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
