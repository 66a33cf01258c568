"""What is on the screen, as text: the one place that calls Textual's private compositor."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = "AFTERIMAGE_UPDATE_SNAPSHOTS"
"""Set in the environment: write the snapshots anew instead of comparing."""

PATIENCE_TURNS = 500


def screen_text(pilot: Pilot[int]) -> str:
    """The screen's lines, right-stripped, styles left out."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


async def wait_until(pilot: Pilot[int], what: str, is_so: Callable[[], bool]) -> None:
    """Give the app turns until it is so; fail, showing the screen, if it never is."""
    for _ in range(PATIENCE_TURNS):
        if is_so():
            await pilot.pause()
            return
        await pilot.pause(0.01)
    raise AssertionError(f"never came: {what}\n{screen_text(pilot)}")


async def wait_for_text(pilot: Pilot[int], text: str) -> None:
    """Give the app turns until the screen shows the text."""
    await wait_until(pilot, text, lambda: text in screen_text(pilot))


def compare_snapshot(name: str, text: str) -> None:
    """The text is what snapshots/NAME.txt holds."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get(UPDATE):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
