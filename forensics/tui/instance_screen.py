"""One instance: the answer on top, then its timeline, snapshots, facts and report.

In: a ledger row; findings, report and log from the session. Out: what a person on call needs to
know, the most important first. It must never claim what was not looked at yet.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import ContentSwitcher, Static

from forensics.errors import ForensicsError
from forensics.findings.finding import Finding
from forensics.ledger.model import InstanceRow
from forensics.report.model import ReportModel
from forensics.safe_text import safe_text
from forensics.store.protocol import Query
from forensics.tui.actions import bindings
from forensics.tui.answer import build_answer, is_outdated
from forensics.tui.calls import AskedSource
from forensics.tui.copy_pane import CopyPane
from forensics.tui.cursor_view import CursorView
from forensics.tui.details import build_details
from forensics.tui.details_pane import DetailsPane
from forensics.tui.frame import Desk, Frame, content
from forensics.tui.histogram_view import HistogramView
from forensics.tui.instance_rows import is_heard
from forensics.tui.log_keys import LogKeys
from forensics.tui.log_work import LogWork, start_worker, unexpected
from forensics.tui.modals import Question
from forensics.tui.panels import build_facts, build_report, build_snapshots, known_snapshots
from forensics.tui.text_pane import TextPane, wrap_words

PANELS: Final = ("timeline", "snapshots", "facts", "report")
LIVE_SECONDS: Final = 10.0
PATIENCE: Final = 5
"""What takes t seconds is asked for no more often than every 5 t."""
ANSWER_PATIENCE: Final = 20
"""The same of findings and report, which read every stored record."""
WIDE: Final = 120
"""From here on the details stand beside the log."""
TALL: Final = 28
"""From here on an answer may take two lines."""
LABEL_CELLS: Final = 11


class InstanceScreen(Frame):
    """Everything about one instance."""

    places: ClassVar[tuple[str, ...]] = ("instance",)
    BINDINGS = bindings("instance")
    DEFAULT_CSS = """
    InstanceScreen {
        & #answer { height: auto; max-height: 8; padding: 0 1; background: $surface; }
        & #tabs { background: $panel; }
        & ContentSwitcher { height: 1fr; }
        & #chips { display: none; color: $text-warning; }
        & #chips.shown { display: block; }
        & #timeline { height: 1fr; }
        & #events { height: 1fr; layout: vertical; }
        & #events.wide { layout: horizontal; }
        & LogKeys { height: 1fr; width: 1fr; }
        & #details { display: none; height: 5fr; border-top: solid $primary; }
        & #timeline.narrow.detailed LogKeys { height: 2fr; min-height: 3; }
        & #timeline.narrow.detailed HistogramView { display: none; }
        & #details.shown { display: block; }
        & #events.wide #details { width: 45%; height: 100%; border-top: none;
                                  border-left: solid $primary; }
        & #position { color: $text-muted; background: $surface; }
    }
    """

    def __init__(self, desk: Desk, row: InstanceRow) -> None:
        super().__init__(desk)
        self.row = row
        self.findings: Sequence[Finding] | None = None
        self.report: ReportModel | None = None
        self.saved: Sequence[Path] = ()
        self._row_asked_at = time.monotonic()
        self._row_took_seconds = 0.0
        self._answer_due_at = 0.0
        """When it may be gathered anew; infinite: it is being gathered."""
        self._is_opened = False
        """Whether the timeline stands where a person shall begin to read, or was moved by one."""

    def compose_body(self) -> ComposeResult:
        yield Static(id="answer")
        yield Static(id="tabs", classes="line")
        with ContentSwitcher(initial="timeline"):
            with Vertical(id="timeline"):
                yield HistogramView(id="histogram")
                yield Static(id="chips", classes="line")
                with Container(id="events"):
                    yield LogKeys(id="log")
                    yield DetailsPane(id="details")
                yield Static(id="position", classes="line")
            yield CopyPane(id="snapshots")
            yield CopyPane(id="facts")
            yield TextPane(id="report")

    @property
    def log_view(self) -> LogKeys:
        """The timeline."""
        return self.query_one("#log", LogKeys)

    @property
    def details(self) -> TextPane:
        """The details of the event under the cursor."""
        return self.query_one("#details", TextPane)

    @property
    def panel(self) -> str:
        """Which panel shows."""
        return self.query_one(ContentSwitcher).current or PANELS[0]

    def on_mount(self) -> None:
        """Ask for everything at once; what comes first shows first."""
        super().on_mount()
        self.log_view.zone = self.desk.zone
        self.log_view.focus()
        self._show_all()
        self._ask_all()
        self.set_interval(LIVE_SECONDS, self._follow)

    def crumbs(self) -> str:
        return f"Afterimage › {safe_text(self.row.instance_id, 60)} › {self.panel}"

    def flags(self) -> str:
        if not self.is_mounted:
            return ""
        if not self.log_view.following:
            return "paused"
        return "following" if is_heard(self.row, time.time_ns()) else ""

    # --- asking --------------------------------------------------------------------------------

    def _ask_all(self) -> None:
        self._ask("timeline", self._open_log)
        self._ask("answer", self._fetch_answer)

    def _ask(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            try:
                await work()
            except ForensicsError as error:
                self.show_trouble(error)
            except Exception as error:  # noqa: BLE001 - worker boundary: no library may end the TUI
                self.show_trouble(unexpected(what, error))

        start_worker(self, run, what)

    async def _open_log(self) -> None:
        session, calls = self.desk.session, self.desk.calls
        source = await calls.ask("open the timeline", session.open_timeline(self.row))
        query = Query(
            instance_ids=frozenset((self.row.instance_id,)),
            families=frozenset(("logs", "lifecycle")),
        )
        self.log_view.open_log(AskedSource(source, calls), query)

    async def _fetch_answer(self) -> None:
        session, calls = self.desk.session, self.desk.calls
        asked_at, self._answer_due_at = time.monotonic(), math.inf
        try:
            self.findings = await calls.ask("findings", session.fetch_findings(self.row))
            self._show_answer()
            self._open_on_cause()
            self.report = await calls.ask("report", session.fetch_report(self.row))
        finally:
            now = time.monotonic()
            self._answer_due_at = now + max(LIVE_SECONDS, ANSWER_PATIENCE * (now - asked_at))
        self._show_all()

    def _open_on_cause(self) -> None:
        """Once log and findings are there: to the cause's evidence, else to the last log line."""
        log = self.log_view
        if self._is_opened or self.findings is None or not log.loaded or log.working:
            return
        self._is_opened = True
        if log.cursor < log.row_count - 1:
            return  # a person went elsewhere already
        references = self.findings[0].evidence if self.findings else ()
        stored = [reference for reference in references if reference.id]
        for reference in (*stored, *references)[:1]:
            log.open_at(reference.at, reference.id)
        if not references and not is_heard(self.row, time.time_ns()):
            log.open_at_last_line()

    async def _fetch_row(self) -> None:
        only = frozenset((self.row.instance_id,))
        self._row_asked_at = time.monotonic()
        try:
            session = self.desk.session
            ledger = await self.desk.calls.ask("ledger of one", session.fetch_ledger(only))
        finally:
            self._row_took_seconds = time.monotonic() - self._row_asked_at
        for row in ledger.rows:
            if row.instance_id == self.row.instance_id:
                self.row = row
        self.show_trouble(None)
        self._show_all()

    async def _refresh(self) -> None:
        await self._fetch_row()
        await self._open_log()
        await self._fetch_answer()

    async def _follow(self) -> None:
        if self.app.screen is not self or not self.log_view.following:
            return
        await self.log_view.fetch_new()
        if time.monotonic() - self._row_asked_at >= PATIENCE * self._row_took_seconds:
            self._ask("row", self._follow_row)

    async def _follow_row(self) -> None:
        """The ledger's facts go on too; what changes the answer asks for it anew."""
        before = self.row
        await self._fetch_row()
        has_turned = (before.state, before.case_id) != (self.row.state, self.row.case_id)
        is_due = time.monotonic() >= self._answer_due_at
        if has_turned or (is_due and is_outdated(self.row, self.report)):
            self._ask("answer", self._fetch_answer)

    # --- showing -------------------------------------------------------------------------------

    def _show_all(self) -> None:
        self._show_answer()
        self._show_tabs()
        self._show_snapshots()
        self._show_facts()
        self._show_report()
        self._show_position()
        self.show_frame()

    def _show_answer(self) -> None:
        lines = build_answer(
            self.row,
            findings=self.findings,
            report=self.report,
            now_nanos=time.time_ns(),
            zone=self.desk.zone,
        )
        styles = {"good": "$text-success", "bad": "$text-error", "dim": "$text-muted"}
        width = max(10, self.size.width - 2)
        is_reading = self.details.has_class("shown") and self.size.width < WIDE
        most = 2 if self.size.height >= TALL and not is_reading else 1
        parts = []
        for label, text, kind in lines:
            room = width - (LABEL_CELLS if label else 0)
            shown = wrap_words(text, room)
            if len(shown) > most:
                shown = [*shown[: most - 1], f"{' '.join(shown[most - 1 :])[: room - 1]}…"]
            for number, part in enumerate(shown):
                head = (label if number == 0 else "").ljust(LABEL_CELLS) if label else ""
                parts.append(content(f"{head}{part}", styles.get(kind, "")))
        self.query_one("#answer", Static).update(Content("\n").join(parts))

    def _show_tabs(self) -> None:
        snapshots = str(len(known_snapshots(self.row, self.report)))
        if self.report is None:
            snapshots = "…" if snapshots == "0" else f"{snapshots}…"
        names = []
        for number, panel in enumerate(PANELS, start=1):
            count = f" {snapshots}" if panel == "snapshots" else ""
            text = f"{number} {panel}{count}"
            names.append(f"[{text}]" if panel == self.panel else f" {text} ")
        self.query_one("#tabs", Static).update(content(" ".join(names)))

    def _show_snapshots(self) -> None:
        lines = build_snapshots(self.row, self.report, self.desk.zone)
        self.query_one("#snapshots", TextPane).show_lines(lines, keep_place=True)

    def _show_facts(self) -> None:
        self.query_one("#facts", TextPane).show_lines(build_facts(self.row), keep_place=True)

    def _show_report(self) -> None:
        lines = build_report(self.report, self.saved)
        self.query_one("#report", TextPane).show_lines(lines, keep_place=True)

    def _show_position(self) -> None:
        log = self.log_view
        width = max(0, self.size.width - 2)
        right = " · ".join(filter(None, (self._search_text(), log.working and f"{log.working}…")))
        left = log.render_position()
        line = f"{left}{right:>{max(1, width - len(left))}}" if right else left
        self.query_one("#position", Static).update(content(line[:width]))
        pager = log.pager
        if pager is not None:
            histogram = self.query_one("#histogram", HistogramView)
            histogram.show(pager.map, log.time_at_cursor, self.desk.zone)
            chips = self.query_one("#chips", Static)
            chips.set_class(bool(pager.filters), "shown")
            labels = " ".join(f"[{safe_text(one.label, 60)}]" for one in pager.filters)
            hint = "x returns" if log.in_context else "Backspace removes the last"
            chips.update(content(f"only {labels}  {hint}"))

    def _search_text(self) -> str:
        log = self.log_view
        if not log.search:
            return ""
        hits = "counting…" if log.hits is None else f"{log.hits:,} found"
        return f"/{safe_text(log.search, 30)}: {hits}"

    def _show_details(self) -> None:
        if self.details.has_class("shown"):
            self.details.show_lines(build_details(self.log_view.row, self.desk.zone))

    def on_resize(self) -> None:
        """Details stand beside the log where there is room."""
        super().on_resize()
        self.query_one("#events").set_class(self.size.width >= WIDE, "wide")
        self.query_one("#timeline").set_class(self.size.width < WIDE, "narrow")
        self._show_answer()
        self._show_position()

    def on_cursor_view_cursor_moved(self, event: CursorView.CursorMoved) -> None:
        """Another event is under the cursor."""
        event.stop()
        self._show_position()
        self._show_details()

    def on_copy_pane_copied(self, event: CopyPane.Copied) -> None:
        """A line of snapshots or facts, or its command."""
        event.stop()
        if event.text:
            self.log_view.copy(event.text, event.what)
        else:
            self.say("Nothing to copy stands here.")

    def on_log_work_changed(self, event: LogWork.Changed) -> None:
        """Numbers, filters or work changed."""
        event.stop()
        self._open_on_cause()
        self._show_position()
        self.show_frame()

    def on_log_work_failed(self, event: LogWork.Failed) -> None:
        """A question was not answered."""
        event.stop()
        self.show_trouble(event.error)

    def apply_zone(self) -> None:
        self.log_view.zone = self.desk.zone
        self.log_view.refresh()
        super().apply_zone()
        self._show_answer()
        self._show_snapshots()
        self._show_position()
        self._show_details()

    def close_layer(self) -> bool:
        if self.query_one("#trouble").has_class("shown"):
            self.show_trouble(None)
            return True
        if self.details.has_class("shown"):
            self.action_details()
            return True
        if self.log_view.search:
            self.log_view.find("")
            return True
        return False

    def cancel_work(self) -> bool:
        """Stop the timeline's reading, else the gathering of the answer."""
        if self.log_view.cancel_work():
            return True
        if self.report is None and any(not worker.is_finished for worker in self.workers):
            self.workers.cancel_node(self)
            return True
        return False

    # --- keys ----------------------------------------------------------------------------------

    def action_details(self) -> None:
        """Called by the timeline's Enter."""
        shown = self.details.toggle_class("shown").has_class("shown")
        self.query_one("#timeline").set_class(shown, "detailed")
        self._show_answer()
        if shown:
            self._show_details()
            self.details.focus()
        else:
            self.log_view.focus()

    def action_histogram(self) -> None:
        """Called by the timeline's `i`."""
        view = self.query_one("#histogram", HistogramView)
        view.display = not view.display

    def action_show_panel(self, panel: str) -> None:
        switcher = self.query_one(ContentSwitcher)
        switcher.current = panel
        timeline = self.details if self.details.has_class("shown") else self.log_view
        target = timeline if panel == "timeline" else self.query_one(f"#{panel}", TextPane)
        target.focus()
        self._show_tabs()
        self.show_frame()

    def action_next_panel(self) -> None:
        self._step_panel(1)

    def action_previous_panel(self) -> None:
        self._step_panel(-1)

    def _step_panel(self, step: int) -> None:
        number = PANELS.index(self.panel)
        self.action_show_panel(PANELS[(number + step) % len(PANELS)])

    def action_refresh(self) -> None:
        self._ask("answer", self._refresh)

    def action_export(self) -> None:
        if self.report is None:
            self.say("The report is still being gathered.")
            return
        self.app.push_screen(
            Question(
                "Write the report to which folder?",
                "It is made if it is not there. Markdown and HTML, the same facts in both.",
                value="post-mortem",
            ),
            self._export,
        )

    def _export(self, folder: str | None) -> None:
        report = self.report
        if not folder or report is None:
            return

        target = Path(folder).expanduser()

        async def save() -> None:
            from forensics.report.write import RENDERINGS, write_report

            paths = await asyncio.to_thread(write_report, report, target, tuple(RENDERINGS))
            self.saved = [path.resolve() for path in paths]
            self._show_report()
            self.action_show_panel("report")
            self.query_one("#report", TextPane).scroll_home()
            self.say("Written: " + " and ".join(map(str, self.saved)))

        self._ask("export", save)
