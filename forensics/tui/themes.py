"""The two themes of our own; widgets use only their variables, never a colour.

In: nothing. Out: Textual themes. Contrast of text on background is at least 4.5:1 in both
(tests/tui/test_themes.py).
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="afterimage-dark",
    dark=True,
    primary="#5fa8d3",
    secondary="#9d8cff",
    accent="#c6a0f6",
    warning="#e8b84a",
    error="#ff7b72",
    success="#7ec699",
    foreground="#e6e6e6",
    background="#14171c",
    surface="#1c2128",
    panel="#262c36",
)
LIGHT = Theme(
    name="afterimage-light",
    dark=False,
    primary="#1f5f8b",
    secondary="#5b3fb5",
    accent="#7a2fb0",
    warning="#8a5a00",
    error="#b3261e",
    success="#1e6b3a",
    foreground="#1b1f24",
    background="#fbfbf9",
    surface="#f0f0ec",
    panel="#e2e2dc",
)
THEMES = (DARK, LIGHT)
