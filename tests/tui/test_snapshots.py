"""Whole screens as text, at the smallest and at a wide size.

Set AFTERIMAGE_UPDATE_SNAPSHOTS=1 to write them anew, then read the difference.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from forensics.config import Settings
from forensics.ledger.model import InstanceState, SnapshotRow
from forensics.tui.app import AfterimageApp
from forensics.tui.instance_screen import InstanceScreen
from forensics.tui.session import LiveSession
from shipper.wire.times import parse_time
from tests.tui.real_store import ALIVE, DEAD, death, fill
from tests.tui.screen_text import compare_snapshot, screen_text, wait_for_text, wait_until
from tests.tui.virtual_store import FakeSession, VirtualStore, instance

SIZES = [(80, 24), (140, 40)]
SNAPSHOT = SnapshotRow(
    snapshot_id="snap-0123456789abcdef0", volume_id="vol-0123456789abcdef0", state="completed",
    started_at="2026-01-03T14:06:00.000000000Z", size_gib=8, case_id="case-1",
    tags={"afterimage:case": "case-1"},
)  # fmt: skip
ROWS = [
    instance(1, snapshots=(SNAPSHOT,)),
    instance(2, state=InstanceState.RUNNING, last_sign_at="2026-01-03T14:29:58.000000000Z"),
    instance(3, state=InstanceState.TERMINATED, last_word="ERROR disk full"),
]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_screens_look_as_committed(size: tuple[int, int]) -> None:
    """The list, an instance's four panels, the details, the help."""
    session = FakeSession(
        rows=ROWS, source=VirtualStore(50_000, step_nanos=1_000_000_000), warnings=["no account"]
    )
    app = AfterimageApp(session)
    at = f"{size[0]}x{size[1]}"
    async with app.run_test(size=size) as pilot:
        await wait_for_text(pilot, "2 of 3 need a look")
        compare_snapshot(f"instances-{at}", screen_text(pilot))
        await pilot.press("enter")
        await wait_until(pilot, "it", lambda: isinstance(app.screen, InstanceScreen))
        screen = app.screen
        assert isinstance(screen, InstanceScreen)
        log = screen.log_view
        await wait_until(pilot, "all", lambda: screen.report is not None and not log.working)
        await wait_for_text(pilot, "50,000 of 50,000")
        compare_snapshot(f"timeline-{at}", screen_text(pilot))
        await pilot.press("E", "enter")
        await wait_for_text(pilot, "Time")
        await wait_until(pilot, "rest", lambda: not log.working)
        await pilot.pause(0.1)
        compare_snapshot(f"details-{at}", screen_text(pilot))
        for panel in ("snapshots", "facts", "report"):
            screen.action_show_panel(panel)
            await pilot.pause()
            compare_snapshot(f"{panel}-{at}", screen_text(pilot))
        screen.action_show_panel("timeline")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "q closes")
        compare_snapshot(f"help-{at}", screen_text(pilot))


@pytest.mark.slow
async def test_a_real_store_gives_the_whole_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite, ledger, timeline, findings, completeness and report together, without an account."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(time, "time_ns", lambda: parse_time("2026-01-03T14:30:00Z"))
    path = tmp_path / "store.db"
    fill(path, death())
    session = LiveSession(
        Settings(store=str(path), evidence=tmp_path / "evidence", profile=None, region=None)
    )
    app = AfterimageApp(session, DEAD[:8])
    try:
        async with app.run_test(size=(100, 30)) as pilot:
            await wait_until(pilot, "it", lambda: isinstance(app.screen, InstanceScreen))
            await wait_for_text(pilot, "Memory ran out (likely)")
            await wait_for_text(pilot, "Nothing known is missing")
            await wait_for_text(pilot, "›01-03 14:01:40.000 · service.log    MemoryError: no more")
            await wait_for_text(pilot, "5,426 of 5,426")
            await pilot.press("E")
            await wait_for_text(pilot, "›01-03 13:58:21.000 E")
            await pilot.press("{")
            await wait_for_text(pilot, "28 m 01 s without events")
            await pilot.press("g")
            await wait_for_text(pilot, "request 0 served")
            await pilot.press("o", *["backspace"] * 11, *str(tmp_path / "out"), "enter")
            await wait_for_text(pilot, "Written:")
            written = sorted(one.name for one in (tmp_path / "out").iterdir())
            assert [f"post-mortem-{DEAD}.html", f"post-mortem-{DEAD}.md"] == written
            await pilot.press("q")
            await wait_for_text(pilot, ALIVE)
            await wait_for_text(pilot, "the account was not asked")
    finally:
        await session.close()
