"""The pane of one event's details: it scrolls itself and hands the timeline's keys on.

In: key presses while it has the focus. Out: its own scrolling; the rest goes to the log view.
It must never answer a timeline's key by itself.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from forensics.tui.actions import actions_of, bindings
from forensics.tui.text_pane import TextPane


class DetailsPane(TextPane):
    """Details beside or below a log."""

    places: ClassVar[tuple[str, ...]] = ("log", "text")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(one.key, f"on_log({action.call!r})", action.title, show=False, id=one.id)
        for action in actions_of("log")
        for one in bindings("log")
        if isinstance(one, Binding) and (one.id or "").startswith(f"{action.id}#")
    ]

    async def action_on_log(self, call: str) -> None:
        """Do what the key does in the timeline."""
        await self.screen.query_one("#log").run_action(call)
