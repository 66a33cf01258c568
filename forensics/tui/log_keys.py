"""The keys of the timeline: each is one question to the pager or one copy to the clipboard.

In: key presses (the registry in actions.py says which). Out: jumps, searches, filters, copies.
It must never keep state of its own beside what "context" has to bring back.
"""

from __future__ import annotations

import json
import time
from typing import Any, ClassVar, Final

from forensics.moments import parse_wish, render_span, shift_time
from forensics.safe_text import safe_text
from forensics.store.protocol import Bucket, Cursor, Document
from forensics.tui.actions import bindings
from forensics.tui.commands import find_command, link_of
from forensics.tui.log_view import LogView, levels_query
from forensics.tui.modals import Choice, Question
from forensics.tui.pager import Filter, start_of, with_words
from forensics.tui.scroll_map import ScrollMap
from shipper.wire.levels import LEVELS

CONTEXT_SECONDS: Final = 300
ERRORS: Final = frozenset(("error", "critical"))
WARNINGS: Final = frozenset(("warn",))


class LogKeys(LogView):
    """A LogView with all its keys."""

    BINDINGS = bindings("log")
    places: ClassVar[tuple[str, ...]] = ("log", "rows")
    _outside_context: tuple[list[Filter], Document] | None = None

    def action_first(self) -> None:
        if (pager := self.pager) is None:
            return

        async def read() -> None:
            await pager.go_start()
            self.show_window(at_end=False)

        self.run_work("reading", read)

    def action_last(self) -> None:
        if (pager := self.pager) is None:
            return

        async def read() -> None:
            await pager.go_end()
            self.show_window(at_end=True)

        self.run_work("reading", read)

    def action_find(self) -> None:
        self.app.push_screen(
            Question(
                "Find words in the messages",
                "Whole words, in any order, upper or lower case. Enter searches the whole store.",
                value=self.search,
            ),
            lambda words: None if words is None else self.find(words),
        )

    def action_find_next(self) -> None:
        self._seek_words(1)

    def action_find_previous(self) -> None:
        self._seek_words(-1)

    def _seek_words(self, step: int) -> None:
        if self.pager is None:
            return
        if not self.search:
            self.say("Nothing is being searched for: / starts a search.")
            return
        self.seek(with_words(self.pager.query, self.search), step, f"“{self.search}”")

    def action_next_error(self) -> None:
        self._seek_level(ERRORS, 1, "error")

    def action_previous_error(self) -> None:
        self._seek_level(ERRORS, -1, "error")

    def action_next_warning(self) -> None:
        self._seek_level(WARNINGS, 1, "warning")

    def action_previous_warning(self) -> None:
        self._seek_level(WARNINGS, -1, "warning")

    def _seek_level(self, levels: frozenset[str], step: int, what: str) -> None:
        if self.pager is not None:
            self.seek(levels_query(self.pager.query, levels), step, what)

    def action_go_to_time(self) -> None:
        def check(text: str) -> str:
            try:
                self._parse_wish(text)
            except ValueError as error:
                return str(error)
            return ""

        self.app.push_screen(
            Question(
                "Go to a time",
                f"14:05 (the day under the cursor) · 2h ago · 2026-01-03T14:05:12Z · zone: "
                f"{self.zone.tzname(None) or 'local'}",
                check=check,
            ),
            lambda text: self.go_to_time(self._parse_wish(text)) if text else None,
        )

    def _parse_wish(self, text: str) -> str:
        return parse_wish(
            text, around=self.time_at_cursor, now_nanos=time.time_ns(), zone=self.zone
        )

    def go_to_time(self, at: str) -> None:
        """Go to the first event at or after a time."""
        if (pager := self.pager) is None:
            return

        async def read() -> None:
            found = await pager.go_to(Cursor(at))
            self.show_window(at_end=not found)
            if not found:
                self.say("No event at or after that time: this is the last one.")

        self.run_work("reading", read)

    def action_next_bucket(self) -> None:
        self._go_to_bucket(self._map.next_filled(self.time_at_cursor, 1), "bar with events")

    def action_previous_bucket(self) -> None:
        self._go_to_bucket(self._map.next_filled(self.time_at_cursor, -1), "bar with events")

    def action_next_gap(self) -> None:
        self._go_to_gap(1)

    def action_previous_gap(self) -> None:
        self._go_to_gap(-1)

    def _go_to_gap(self, step: int) -> None:
        """To the event after a silence: exact in what is held, beyond it as fine as the bars."""
        if (pager := self.pager) is None:
            return
        number = pager.window.next_gap(self.cursor, step)
        bucket = self._map.next_after_gap(self.time_at_cursor, step)
        if number is not None and not self._is_nearer(bucket, number, step):
            self.place(number, max(0, number - self.visible_height // 2))
        else:
            self._go_to_bucket(bucket, f"gap of {render_span(self._map.gap_seconds)} or more")

    def _is_nearer(self, bucket: Bucket | None, number: int, step: int) -> bool:
        """Whether the bars know of a gap that lies between the cursor and that row."""
        row = None if self.pager is None else self.pager.window.row(number)
        if bucket is None or not isinstance(row, Document):
            return False
        end = shift_time(bucket.start, self._map.width_seconds)
        return end <= row.timestamp if step > 0 else bucket.start > row.timestamp

    @property
    def _map(self) -> ScrollMap:
        return ScrollMap() if self.pager is None else self.pager.map

    def _go_to_bucket(self, bucket: Bucket | None, what: str) -> None:
        if bucket is None:
            self.say(f"No further {what} that way.")
        else:
            self.go_to_time(bucket.start)

    def action_filter(self) -> None:
        if self.pager is None:
            return
        choices = filter_choices(self.document)
        self.app.push_screen(
            Choice("Keep only", [choice.label for choice in choices]),
            lambda number: None if number is None else self.add_filter(choices[number]),
        )

    def add_filter(self, one: Filter) -> None:
        """One filter more; one of the same kind goes."""
        if self.pager is None:
            return
        names = {name for name, _ in one.changes}
        kept = [old for old in self.pager.filters if not names & {name for name, _ in old.changes}]
        self.set_filters([*kept, one])

    def action_drop_filters(self) -> None:
        if self.pager is not None and self.pager.filters:
            self._outside_context = None
            self.set_filters([])
        else:
            self.say("No filter is on.")

    def action_drop_last_filter(self) -> None:
        if self.pager is not None and self.pager.filters:
            self._outside_context = None
            self.set_filters(self.pager.filters[:-1])
        else:
            self.say("No filter is on.")

    def action_context(self) -> None:
        if (pager := self.pager) is None:
            return
        if self._outside_context is not None:
            filters, document = self._outside_context
            self._outside_context = None
            pager.filters = filters
            self.load(start_of(document))
            return
        current = self.document
        if current is None:
            self.say("Put the cursor on an event first.")
            return
        self._outside_context = (pager.filters, current)
        since = shift_time(current.timestamp, -CONTEXT_SECONDS)
        until = shift_time(current.timestamp, CONTEXT_SECONDS)
        self.set_filters([Filter("±5 min around it", (("since", since), ("until", until)))])

    @property
    def in_context(self) -> bool:
        """Whether `x` is on."""
        return self._outside_context is not None

    def action_copy_event(self) -> None:
        if (document := self._document_or_say()) is not None:
            value: dict[str, Any] = {
                "_index": document.index, "_id": document.id, **document.fields
            }  # fmt: skip
            self.copy(json.dumps(value, default=str), "The event as JSON")

    def action_copy_link(self) -> None:
        if (document := self._document_or_say()) is not None:
            self.copy(link_of(document), "The event's permalink")

    def action_copy_command(self) -> None:
        if (document := self._document_or_say()) is not None:
            self.copy(find_command(document), "The command")

    def _document_or_say(self) -> Document | None:
        if self.document is None:
            self.say("Put the cursor on an event first.")
        return self.document

    def copy(self, text: str, what: str) -> None:
        """Hand text to the terminal's clipboard; whether it takes it, no program can know."""
        self.app.copy_to_clipboard(text)
        self.say(f"{what} was sent to the terminal's clipboard.")

    def action_pause(self) -> None:
        self.following = not self.following
        self.say("Following new events." if self.following else "Paused: new events wait.")
        self.post_message(self.Changed())


def filter_choices(document: Document | None) -> list[Filter]:
    """What can be kept: by the event under the cursor, and by kind."""
    choices = []
    if document is not None and document.path:
        label = f"this file: {safe_text(document.path, 150)}"
        choices.append(Filter(label, (("paths", frozenset((document.path,))),)))
    if document is not None and document.level in LEVELS:
        choices.append(
            Filter(f"level {document.level}", (("levels", frozenset((document.level,))),))
        )
    for level in ("warn", "error"):
        worse = frozenset(LEVELS[LEVELS.index(level) :])
        choices.append(Filter(f"level {level} and worse", (("levels", worse),)))
    choices += [
        Filter("log lines", (("families", frozenset(("logs",))),)),
        Filter("what happened to the instance", (("families", frozenset(("lifecycle",))),)),
        Filter("what its shipper said of itself", (("families", frozenset(("vitals",))),)),
    ]
    return choices
