"""The first screen: which instances need a look, then all of them.

In: ledgers from the session, about every ten seconds. Out: headline, filter line, list, and what is
known of the chosen one. It must never lose the cursor's instance or the last good rows.
"""

from __future__ import annotations

import time
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Static

from forensics.errors import ForensicsError
from forensics.ledger.model import InstanceRow, InstanceState, Ledger
from forensics.moments import render_age, render_moment
from forensics.safe_text import fold_lines, safe_text
from forensics.tui.actions import actions_of, bindings
from forensics.tui.cursor_view import CursorView
from forensics.tui.frame import Desk, Frame, content
from forensics.tui.instance_list import InstanceList
from forensics.tui.instance_rows import SORTS, judge, render_heading, render_headline
from forensics.tui.log_work import start_worker, unexpected
from forensics.tui.modals import Question

REFRESH_SECONDS: Final = 10.0
PATIENCE: Final = 5
"""A ledger that takes t seconds is asked for no more often than every 5 t."""


class InstancesScreen(Frame):
    """Every instance that anything mentions."""

    places: ClassVar[tuple[str, ...]] = ("instances",)
    BINDINGS = bindings("instances")
    DEFAULT_CSS = """
    InstancesScreen {
        & #headline { height: auto; max-height: 3; padding: 0 1; text-style: bold; }
        & #warnings { height: auto; max-height: 4; padding: 0 1; color: $text-warning;
                      display: none; }
        & #warnings.shown { display: block; }
        & #states { color: $text-muted; }
        & #heading { color: $text-primary; text-style: bold; }
        & InstanceList { height: 1fr; }
        & #preview { height: 4; padding: 0 1; background: $surface; }
    }
    """

    class Opened(Message):
        """An instance was chosen."""

        def __init__(self, row: InstanceRow) -> None:
            super().__init__()
            self.row = row

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.ledger: Ledger | None = None
        self._busy = False
        self._asked_at = 0.0
        self._took_seconds = 0.0
        self.last_error: ForensicsError | None = None
        self.notice: ForensicsError | None = None
        """Something else to tell, until it is closed: an instance that was asked for is unknown."""

    def compose_body(self) -> ComposeResult:
        yield Static(id="headline")
        yield Static(id="warnings")
        yield Static(id="states", classes="line")
        yield Static(id="heading", classes="line")
        yield InstanceList(id="list")
        yield Static(id="preview")

    @property
    def listing(self) -> InstanceList:
        """The list."""
        return self.query_one("#list", InstanceList)

    def on_mount(self) -> None:
        """Ask at once, and again while the screen is up."""
        super().on_mount()
        self.listing.focus()
        self._show_all()
        self.fetch()
        self.set_interval(REFRESH_SECONDS, self._tick)

    def crumbs(self) -> str:
        return f"Afterimage › instances · {safe_text(self.desk.session.shown, 120)}"

    def flags(self) -> str:
        if self._busy:
            return "reading…"
        return "live" if self.ledger is not None else ""

    def on_screen_resume(self) -> None:
        """Back from an instance: ages go on, and so may have the rest."""
        if self.ledger is not None:
            self._show_all()
            self._tick()

    def _tick(self) -> None:
        rest = time.monotonic() - self._asked_at
        if self.app.screen is self and rest >= PATIENCE * self._took_seconds:
            self.fetch()

    def fetch(self) -> None:
        """Ask for the ledger, unless that runs already."""
        if self._busy:
            return
        self._busy = True
        self.show_frame()
        start_worker(self, self._fetch, "ledger")

    async def _fetch(self) -> None:
        self._asked_at = time.monotonic()
        try:
            session = self.desk.session
            self.ledger = await self.desk.calls.ask("ledger of all", session.fetch_ledger())
            self.last_error = None
        except ForensicsError as error:
            self.last_error = error
        except Exception as error:  # noqa: BLE001 - worker boundary: no library may end the TUI
            self.last_error = unexpected("reading the instances", error)
        finally:
            self._busy = False
            self._took_seconds = time.monotonic() - self._asked_at
        self.show_trouble(self.last_error or self.notice)
        self._show_all()

    def _show_all(self) -> None:
        ledger = self.ledger
        if ledger is not None:
            self.listing.empty_text = "No instance is in this state: 0 shows all."
            self.listing.show_rows(ledger.rows)
        elif self.last_error is not None:
            self.listing.empty_text = "Nothing could be read: see above. r tries again."
        self.listing.refresh()
        self._show_headline()
        self._show_states()
        self._show_preview()
        self.show_frame()

    def _show_headline(self) -> None:
        panel = self.query_one("#headline", Static)
        if self.ledger is None:
            panel.update(content("" if self.last_error else "Asking the store and the account…"))
            return
        first, second = render_headline(self.ledger.rows, time.time_ns())
        panel.update(content(f"{first}\n{second}" if second else first))
        warnings = self.query_one("#warnings", Static)
        warnings.set_class(bool(self.ledger.warnings), "shown")
        texts = [f"! {safe_text(warning, 300)}" for warning in self.ledger.warnings]
        warnings.update(content("\n".join(texts)))

    def _show_states(self) -> None:
        rows = self.listing.rows
        chips = []
        for action in actions_of("instances"):
            if not action.id.startswith("instances.state_"):
                continue
            state = "" if action.title == "all" else action.title
            count = sum(row.state == state for row in rows) if state else len(rows)
            if count or not state:
                text = f"{action.keys[0]} {action.title} {count:,}"
                chips.append(f"[{text}]" if state == self.listing.state else f" {text} ")
        self.query_one("#states", Static).update(
            content(f"{''.join(chips)}  s by {self.listing.sort}{self._search_text()}")
        )
        width = self.listing.row_width
        self.query_one("#heading", Static).update(content(render_heading(width)))

    def _search_text(self) -> str:
        if not self.listing.search:
            return ""
        search = safe_text(self.listing.search, 30)
        return f"  /{search}: {self.listing.count_found():,} found"

    def _show_preview(self) -> None:
        row = self.listing.chosen
        panel = self.query_one("#preview", Static)
        if row is None:
            panel.update(content(""))
            return
        now = time.time_ns()
        known = [row.group, row.image_id, row.instance_type, row.availability_zone, row.private_ip]
        lines = [
            " · ".join(safe_text(text, 60) for text in (row.instance_id, *known) if text),
            safe_text(judge(row, now).why or row.state_reason or "nothing needs a look", 300),
            self._heard(row, now),
            f"last word: {safe_text(fold_lines(row.last_word), 400) or 'none stored'}",
        ]
        panel.update(content("\n".join(line[: self.size.width - 2] for line in lines)))

    def _heard(self, row: InstanceRow, now: int) -> str:
        if not row.last_sign_at:
            return "never heard: no shipper of this instance reached the store"
        sign = render_moment(row.last_sign_at, self.desk.zone)
        bye = "said goodbye" if row.closed else "no goodbye"
        age = render_age(row.last_sign_at, now)
        return f"heard {age} ago, {sign} · {bye} · {row.records:,} lines stored"

    def on_resize(self) -> None:
        """See `Frame.on_resize`."""
        super().on_resize()
        self.call_after_refresh(self._show_states)  # the heading is as wide as the list then is
        self._show_preview()

    def on_cursor_view_cursor_moved(self, event: CursorView.CursorMoved) -> None:
        """Tell of the instance under the cursor."""
        event.stop()
        self._show_preview()

    def apply_zone(self) -> None:
        super().apply_zone()
        self._show_preview()

    def close_layer(self) -> bool:
        if self.notice is not None:
            self.notice = None
            self.show_trouble(self.last_error)
            return True
        if self.listing.search:
            self.listing.search = ""
            self._show_states()
            return True
        if self.listing.state:
            self.action_show_state("")
            return True
        return False

    def cancel_work(self) -> bool:
        if not self._busy:
            return False
        self.workers.cancel_node(self)
        self._busy = False
        self.show_frame()
        return True

    def action_open(self) -> None:
        row = self.listing.chosen
        if row is not None:
            self.post_message(self.Opened(row))

    def on_click(self, event: object) -> None:
        """A double click opens."""
        if getattr(event, "chain", 1) == 2:  # noqa: PLR2004 - double
            self.action_open()

    def action_refresh(self) -> None:
        self.fetch()

    def action_sort(self) -> None:
        number = SORTS.index(self.listing.sort)
        self.listing.sort = SORTS[(number + 1) % len(SORTS)]
        self.listing.rearrange()
        self._show_states()

    def action_show_state(self, state: str) -> None:
        self.listing.state = str(InstanceState(state)) if state else ""
        self.listing.rearrange()
        self._show_states()

    def action_find(self) -> None:
        self.app.push_screen(
            Question(
                "Find an instance",
                "Words of its id, image, group, zone, address, state or last word.",
                value=self.listing.search,
            ),
            self._find,
        )

    def _find(self, text: str | None) -> None:
        if text is None:
            return
        self.listing.search = text.strip()
        if self.listing.search and not self.listing.find(1, self.listing.cursor):
            self.say(f"No instance shown here has: {self.listing.search}")
        self._show_states()

    def action_find_next(self) -> None:
        self._step(1)

    def action_find_previous(self) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        if not self.listing.search:
            self.say("Nothing is being searched for: / starts a search.")
        else:
            self.listing.find(step)
