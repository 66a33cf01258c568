"""Help and the list of questions asked: text over everything else, closed by q, Esc or its own key.

In: the registry, or the call log. Out: a pane of text. It must never name a key that the registry
does not have.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from forensics.moments import render_moment
from forensics.tui.actions import PLACES, actions_of, key_names
from forensics.tui.calls import CallLog
from forensics.tui.frame import content
from forensics.tui.text_pane import Line, TextPane

INTRODUCTION = {
    "instances": "Which instances need a look, the most urgent first. Enter opens one.",
    "instance": "One instance: the answer on top, four panels below.",
    "log": (
        "Log lines and what happened to the instance (marked *), read from the store as you move: "
        "any length opens at once. Letters: T D I N W E C are levels from trace to critical; ! is "
        "a step that failed; ~ is a line whose own time and reading time are far apart. "
        "~ before a number: estimated from the histogram."
    ),
    "copy": "A cursor marks the line that y copies; C copies the command that shows it again.",
    "text": "Text to read; select with the mouse and copy with Ctrl+c.",
}


class Pane(ModalScreen[None]):
    """Text on top of a screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,at", "close", show=False)
    ]
    DEFAULT_CSS = """
    Pane {
        align: center middle;
        background: $background 30%;
        & > Vertical { width: 92%; max-width: 110; height: 90%;
                       background: $surface; border: round $primary; }
        & .foot { height: 1; padding: 0 1; color: $text-muted; }
    }
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical():
            yield TextPane(id="text")
            yield Static(content("q closes"), classes="foot")

    def on_mount(self) -> None:
        """Show the text."""
        pane = self.query_one("#text", TextPane)
        pane.show_lines(self._lines)
        pane.focus()

    def action_close(self) -> None:
        self.dismiss(None)


def build_help(places: Sequence[str]) -> list[Line]:
    """The keys of these places first, then all others."""
    first = [place for place in places if place in PLACES]
    lines: list[Line] = []
    for place in (*first, *(place for place in PLACES if place not in first)):
        if first and place == next((p for p in PLACES if p not in first), ""):
            lines += [Line("— Elsewhere —", "dim"), Line("")]
        lines.append(Line(PLACES[place], "head"))
        if place in INTRODUCTION:
            lines.append(Line(INTRODUCTION[place], "dim"))
        lines += [
            Line(f"{key_names(action):<16} {action.title:<16} {action.help}")
            for action in actions_of(place)
        ]
        lines.append(Line(""))
    return lines


def build_calls(log: CallLog, zone: dt.tzinfo) -> list[Line]:
    """The questions asked, newest first."""
    lines = [Line("Questions asked, newest first", "head"), Line("")]
    for call in reversed(log.calls):
        at = render_moment(call.at, zone)[11:]
        failed = ":" in call.outcome or call.outcome in ("timed out", "cancelled")
        lines.append(Line(f"{at}  {call.seconds * 1000:7.0f} ms  {call.question}", "plain"))
        lines.append(Line(f"               → {call.outcome}", "error" if failed else "dim"))
    return lines
