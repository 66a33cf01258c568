"""What every full screen has: breadcrumb with the zone on top, an error panel, the key bar below.

In: the desk (what all screens share) and what the screen says of itself. Out: those lines, and the
protocol by which the app closes layers, stops work and changes the zone. It must never show text as
markup.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import ClassVar, Final

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from forensics.errors import ForensicsError
from forensics.safe_text import safe_text
from forensics.tui.actions import Action, actions_of, key_name
from forensics.tui.calls import CallLog
from forensics.tui.session import Session

TOLD_SECONDS: Final = 5.0


@dataclass(slots=True)
class Desk:
    """What all screens share."""

    session: Session
    calls: CallLog = field(default_factory=CallLog)
    zone: dt.tzinfo = dt.UTC

    @property
    def zone_name(self) -> str:
        """The zone's name, always on screen."""
        if self.zone is dt.UTC:
            return "UTC"
        return dt.datetime.now(self.zone).strftime("%Z %z") + " (local)"


def content(text: str, style: str = "") -> Content:
    """Text as it stands, never markup; `style` names a theme variable or weight."""
    return Content.styled(text, style) if style else Content(text)


class Frame(Screen[None]):
    """A full screen."""

    places: ClassVar[tuple[str, ...]] = ()
    DEFAULT_CSS = """
    Frame {
        background: $background;
        & .line { height: 1; padding: 0 1; }
        & #crumbs { background: $panel; color: $foreground; text-style: bold; }
        & #keys { background: $panel; color: $foreground; }
        & #trouble { height: auto; max-height: 6; padding: 0 1; background: $error 20%;
                     color: $text-error; border-left: thick $error; display: none; }
        & #trouble.shown { display: block; }
    }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._told = ""
        self._telling: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="crumbs", classes="line")
        yield Static(id="trouble")
        yield from self.compose_body()
        yield Static(id="keys", classes="line")

    def compose_body(self) -> ComposeResult:
        """What stands between breadcrumb and key bar."""
        raise NotImplementedError

    def crumbs(self) -> str:
        """Where the person is. Safe."""
        raise NotImplementedError

    def flags(self) -> str:
        """What is on: live, paused. Safe."""
        return ""

    def show_frame(self) -> None:
        """Draw breadcrumb and key bar anew."""
        width = self.size.width - 2
        right = " · ".join(filter(None, (self.flags(), self.desk.zone_name)))
        left = self.crumbs()[: max(0, width - len(right) - 2)]
        bar = self.query_one("#crumbs", Static)
        bar.update(content(f"{left}{right:>{max(0, width - len(left))}}"))
        keys = content(self._told, "bold") if self._told else content(self._render_keys(width))
        self.query_one("#keys", Static).update(keys)

    def tell(self, text: str) -> bool:
        """Show safe words in place of the keys for a while; False: they don't fit there."""
        text = safe_text(text, 500)
        if cell_len(text) > self.size.width - 2:
            return False
        if self._telling is not None:
            self._telling.stop()
        self._told = text
        self._telling = self.set_timer(TOLD_SECONDS, self._untell)
        self.show_frame()
        return True

    def _untell(self) -> None:
        self._told = ""
        self.show_frame()

    def key_places(self) -> tuple[str, ...]:
        """Where keys work now: the focused widget's, the screen's, everywhere's."""
        own: tuple[str, ...] = getattr(self.focused, "places", ())
        return (*own, *self.places, "everywhere")

    def _render_keys(self, width: int) -> str:
        actions: list[Action] = []
        for place in self.key_places():
            actions += [action for action in actions_of(place) if action.bar]
        # Back and help are always there; the others as far as they fit.
        kept = [action for action in actions if action.place == "everywhere"]
        others = [action for action in actions if action.place != "everywhere"]
        texts = [f"{key_name(action.keys[0])} {action.title}" for action in kept]
        shown: list[str] = []
        for action in others:
            text = f"{key_name(action.keys[0])} {action.title}"
            if len("  ".join([*shown, text, *texts])) <= width:
                shown.append(text)
        return "  ".join([*shown, *texts])

    def on_mount(self) -> None:
        """Draw it."""
        self.show_frame()

    def on_resize(self) -> None:
        """Draw it to the new width."""
        self.show_frame()

    def on_descendant_focus(self) -> None:
        """Other keys work now."""
        self.show_frame()

    def show_trouble(self, error: ForensicsError | None) -> None:
        """What failed, why, and what to do; None: all is well again."""
        panel = self.query_one("#trouble", Static)
        panel.set_class(error is not None, "shown")
        if error is not None:
            lines = [
                f"✗ {safe_text(error.what, 300)}",
                safe_text(error.why, 500),
                f"→ {safe_text(error.next_step, 300)}" if error.next_step else "",
            ]
            panel.update(content("\n".join(filter(None, lines))))

    def close_layer(self) -> bool:
        """Close the top layer; False: there is none."""
        return False

    def cancel_work(self) -> bool:
        """Stop what runs; False: nothing does."""
        return False

    def apply_zone(self) -> None:
        """Show times in the desk's zone."""
        self.show_frame()

    def say(self, text: str) -> None:
        """Tell the person something, once."""
        self.notify(safe_text(text, 500), markup=False)
