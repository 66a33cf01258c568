"""The TUI: opens on the instances that need a look, or on one instance.

In: settings and perhaps an instance's id. Out: a running terminal program, and an exit code. It
must never change AWS or stored evidence: looking is all it does.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar, Final

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from forensics.config import Settings
from forensics.errors import ForensicsError, UsageError
from forensics.tui.actions import bindings
from forensics.tui.calls import CallLog
from forensics.tui.frame import Desk, Frame
from forensics.tui.hangup import end_with_terminal
from forensics.tui.help_screen import Pane, build_calls, build_help
from forensics.tui.instance_screen import InstanceScreen
from forensics.tui.instances_screen import InstancesScreen
from forensics.tui.log_work import start_worker, unexpected
from forensics.tui.session import LiveSession, Session
from forensics.tui.themes import DARK, LIGHT, THEMES

CLOSE_SECONDS: Final = 5.0


class AfterimageApp(App[int], inherit_bindings=False):
    """The program."""

    TITLE = "Afterimage"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", show=False, priority=True, system=True),
        *bindings("everywhere"),
    ]

    def __init__(self, session: Session, instance_id: str | None = None) -> None:
        super().__init__()
        self.desk = Desk(session, CallLog())
        self._instance_id = instance_id
        # Scrolling that animates would draw, and read, every line on its way.
        self.animation_level = "none"
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name

    def on_mount(self) -> None:
        """Show the instances, and the one that was asked for on top."""
        self.push_screen(InstancesScreen(self.desk))
        if self._instance_id is not None:
            start_worker(self, partial(self._open_named, self._instance_id), "named")

    async def _open_named(self, text: str) -> None:
        from forensics.ledger.load import find_row

        screen = self.screen_stack[-1]
        try:
            only = frozenset((text,))
            session, calls = self.desk.session, self.desk.calls
            ledger = await calls.ask("ledger of one", session.fetch_ledger(only))
            if not any(row.instance_id == text for row in ledger.rows):
                ledger = await calls.ask("ledger of all", session.fetch_ledger())
            self.push_screen(InstanceScreen(self.desk, find_row(ledger, text)))
        except ForensicsError as error:
            self._tell(screen, error)
        except Exception as error:  # noqa: BLE001 - worker boundary: no library may end the TUI
            self._tell(screen, unexpected("opening the instance", error))

    @staticmethod
    def _tell(screen: object, error: ForensicsError) -> None:
        if isinstance(screen, InstancesScreen):
            screen.notice = error
            screen.show_trouble(error)

    def on_instances_screen_opened(self, event: InstancesScreen.Opened) -> None:
        """Open what was chosen."""
        self.push_screen(InstanceScreen(self.desk, event.row))

    @property
    def exit_code(self) -> int:
        """0, or the code of what kept everything from being shown."""
        for screen in self.screen_stack:
            if isinstance(screen, InstancesScreen) and screen.ledger is None and screen.last_error:
                return screen.last_error.exit_code
        return 0

    def copy_to_clipboard(self, text: str) -> None:
        """Hand text to the terminal (OSC 52); lone surrogates can't be handed over."""
        super().copy_to_clipboard(text.encode("utf-8", "replace").decode())

    async def action_back(self) -> None:
        if isinstance(self.screen, ModalScreen) or len(self.screen_stack) > 2:  # noqa: PLR2004 - ours, on Textual's own
            self.pop_screen()
        else:
            self.exit(self.exit_code)

    async def action_quit(self) -> None:
        self.exit(self.exit_code)

    def notify(self, message: str, **options: Any) -> None:
        """Tell it where the keys stand, so that it hides no row; as a toast what doesn't fit."""
        screen = self.screen
        if not (isinstance(screen, Frame) and screen.tell(message)):
            super().notify(message, **options)

    def action_close(self) -> None:
        screen = self.screen
        if isinstance(screen, Frame) and not screen.close_layer():
            screen.cancel_work()

    def action_copy_or_cancel(self) -> None:
        screen = self.screen
        text = screen.get_selected_text()
        if text:
            self.copy_to_clipboard(text)
            self.notify("The selection was sent to the terminal's clipboard.", markup=False)
        elif not (isinstance(screen, Frame) and screen.cancel_work()):
            self.notify("Nothing is selected or running: q goes back, then quits.", markup=False)

    def action_help(self) -> None:
        screen = self.screen
        places = screen.key_places() if isinstance(screen, Frame) else ("everywhere",)
        self.push_screen(Pane(build_help(places)))

    def action_calls(self) -> None:
        self.push_screen(Pane(build_calls(self.desk.calls, self.desk.zone)))

    def action_zone(self) -> None:
        local = dt.datetime.now().astimezone().tzinfo or dt.UTC
        self.desk.zone = local if self.desk.zone is dt.UTC else dt.UTC
        for screen in self.screen_stack:
            if isinstance(screen, Frame):
                screen.apply_zone()

    def action_light(self) -> None:
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name


def run_tui(settings: Settings, instance_id: str | None = None, *, mouse: bool = True) -> int:
    """Run until the person leaves; `mouse=False` leaves selecting to the terminal.

    Raises:
        UsageError: this is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the TUI needs a terminal",
            why="standard input or output is none",
            next_step="use `forensics instances`, `forensics show ID` and `forensics logs ID`",
        )
    end_with_terminal(sys.stdin.fileno())
    session = LiveSession(settings)
    return _run(AfterimageApp(session, instance_id), session.close, mouse=mouse)


def _run(app: AfterimageApp, close: Callable[[], Awaitable[None]], *, mouse: bool) -> int:
    import asyncio

    async def run() -> int:
        try:
            code = await app.run_async(mouse=mouse)
        finally:
            async with asyncio.timeout(CLOSE_SECONDS):
                await close()
        # Textual's own code tells of a crash of its own; ours of what could not be read.
        return app.return_code or code or 0

    return asyncio.run(run())
