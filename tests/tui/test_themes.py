"""Both themes of our own can be read: contrast of every text colour, and of the cursor's row."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from forensics.tui.app import AfterimageApp
from forensics.tui.cursor_view import CursorView
from forensics.tui.themes import THEMES
from tests.tui.screen_text import wait_for_text
from tests.tui.virtual_store import FakeSession, instance

TEXTS = ("text-error", "text-warning", "text-success", "text-accent", "text-primary", "foreground")
LEAST_CONTRAST = 4.5


def _luminance(color: Color) -> float:
    parts = [value / 255 for value in (color.r, color.g, color.b)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color, other: Color) -> float:
    """WCAG's contrast ratio."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_has_contrast_on_every_background(theme: Theme) -> None:
    """WCAG AA, 4.5:1, also on the row of the cursor."""
    colours = theme.to_color_system().generate()
    for ground in ("background", "surface", "panel", "primary-muted"):
        for name in TEXTS:
            ratio = contrast(Color.parse(colours[name]), Color.parse(colours[ground]))
            assert ratio >= LEAST_CONTRAST, (name, ground, ratio)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
async def test_the_cursors_row_can_be_read(theme: Theme) -> None:
    """Its background is another one, and text keeps its contrast on it."""
    app = AfterimageApp(FakeSession(rows=[instance()]))
    async with app.run_test(size=(80, 24)) as pilot:
        app.theme = theme.name
        await wait_for_text(pilot, "need a look")
        listing = app.screen.query_one(CursorView)
        row = listing.render_line(listing.cursor)
        for segment in row:
            style = segment.style
            assert style is not None
            if segment.text.strip() and style.color is not None and style.bgcolor is not None:
                front = Color.from_rich_color(style.color)
                back = Color.from_rich_color(style.bgcolor)
                assert contrast(front, back) >= LEAST_CONTRAST, segment
