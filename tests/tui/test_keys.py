"""Each key of the registry does something that can be seen, where the registry says it works."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import ModalScreen

from forensics.ledger.model import InstanceRow, InstanceState
from forensics.tui.actions import PLACES, actions_of
from forensics.tui.app import AfterimageApp
from forensics.tui.copy_pane import CopyPane
from forensics.tui.instance_screen import InstanceScreen
from forensics.tui.instances_screen import InstancesScreen
from tests.tui.screen_text import screen_text, wait_until
from tests.tui.virtual_store import FakeSession, VirtualStore, instance

FIRST: dict[str, list[str]] = {
    "everywhere.close": ["enter"],
    "instances.find_next": ["slash", *"web", "enter"],
    "instances.state_all": ["1"],
    "instance.panel_timeline": ["3"],
    "rows.shift_left": ["l"],
    "log.find_next": ["slash", *"needle", "enter"],
    "log.drop_filters": ["f", "enter"],
    "log.drop_last_filter": ["f", "enter"],
}
"""What is pressed before, where a key needs something to work on."""


class ToldApp(AfterimageApp):
    """Remembers what it told."""

    def __init__(self, session: FakeSession) -> None:
        super().__init__(session)
        self.told: list[str] = []
        self.session = session

    def notify(self, message: str, **options: Any) -> None:
        """Remember, and check that nothing is markup."""
        assert options["markup"] is False
        self.told.append(message)

    def seen(self, pilot: Pilot[int]) -> object:
        """All that a person could notice of a key."""
        stack = len(self.screen_stack)
        return (
            screen_text(pilot), self.theme, self.clipboard, stack, len(self.told),
            self.session.ledgers,
        )  # fmt: skip


def _rows() -> list[InstanceRow]:
    states = list(InstanceState)
    raw = {"DescribeInstances": {f"Field{number}": number for number in range(100)}}
    return [instance(number, state=states[number % len(states)], raw=raw) for number in range(60)]


async def _stand(app: ToldApp, pilot: Pilot[int], place: str) -> None:
    """Stand in the middle of something that the keys of a place can move."""
    while isinstance(app.screen, ModalScreen):
        app.pop_screen()
    if place == "instances" and isinstance(app.screen, InstanceScreen):
        app.pop_screen()
    if isinstance(app.screen, InstancesScreen):
        await wait_until(pilot, "the rows", lambda: app.session.ledgers > 0)
        listing = app.screen.listing
        listing.place(listing.row_count // 2)
        if place == "instances":
            return
        await pilot.press("enter")
        await wait_until(pilot, "the instance", lambda: isinstance(app.screen, InstanceScreen))
    screen = app.screen
    assert isinstance(screen, InstanceScreen)
    log = screen.log_view
    await wait_until(pilot, "the log", lambda: log.loaded and screen.report is not None)
    pager = log.pager
    assert pager is not None
    await wait_until(pilot, "the map", lambda: pager.map_known and not log.working)
    screen.action_show_panel({"text": "report", "copy": "facts"}.get(place, "timeline"))
    if place == "text":
        screen.query_one("#report").scroll_to(y=20, animate=False)
    elif place == "copy":
        screen.query_one("#facts", CopyPane)._go(30)
    else:
        log.place(log.row_count // 2)
        await wait_until(pilot, "the middle", lambda: log.document is not None and not log.working)
    await pilot.pause()


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
async def test_each_key_does_something(place: str) -> None:
    """It changes the screen, the clipboard, the theme, asks again, or says why it can't."""
    store = VirtualStore(1_200_000, step_nanos=1_000_000_000)
    app = ToldApp(FakeSession(rows=_rows(), source=store))
    async with app.run_test(size=(100, 24)) as pilot:
        for action in actions_of(place):
            for key in action.keys:
                await _stand(app, pilot, place)
                await pilot.press(*FIRST.get(action.id, []))
                await pilot.pause()
                await _press_with_effect(app, pilot, key, f"{action.id} by {key}")


async def _press_with_effect(app: ToldApp, pilot: Pilot[int], key: str, what: str) -> None:
    before = app.seen(pilot)
    await pilot.press(key)
    await wait_until(pilot, what, lambda: before != app.seen(pilot))


async def test_q_leaves_from_the_first_screen() -> None:
    """Whatever was pressed before, q gets out."""
    app = ToldApp(FakeSession(rows=_rows()))
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_until(pilot, "the rows", lambda: app.session.ledgers > 0)
        await pilot.press("enter", "question_mark", "q", "q", "q")
        assert app.return_value == 0
