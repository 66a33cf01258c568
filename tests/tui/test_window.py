"""The window of pages: bounded, consecutive, and where it says it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.store.protocol import Cursor, Document, Page, Query
from forensics.tui.pager import Pager
from forensics.tui.scroll_map import ScrollMap
from forensics.tui.window import MAX_PAGES, PAGE_SIZE, Gap, Window
from shipper.wire.times import format_time, parse_time
from tests.tui.virtual_store import START, VirtualStore

pytestmark = pytest.mark.slow

LOGS = Query(families=frozenset(("logs", "lifecycle")))


def _documents(window: Window) -> list[str]:
    return [row.id for row in window.rows if isinstance(row, Document)]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 9_000), st.lists(st.sampled_from(["up", "down"]), max_size=25))
async def test_however_it_is_moved_a_window_holds_consecutive_events(
    start: int, moves: list[str]
) -> None:
    """No event is skipped or doubled, and no more than eight pages are held."""
    store = VirtualStore(9_000)
    pager = Pager(store, LOGS)
    await pager.go_to(store.document(start).cursor)
    for move in moves:
        await (pager.extend_up() if move == "up" else pager.extend_down())
        assert pager.window.pages_held <= MAX_PAGES
    held = _documents(pager.window)
    first = pager.window.first_cursor
    assert first is not None
    number = first.offset // 100
    assert held == [store.document(number + step).id for step in range(len(held))]


async def test_row_numbers_stay_true_while_pages_come_and_go() -> None:
    """After the start is reached again, row N is event N."""
    store = VirtualStore(20_000)
    pager = Pager(store, LOGS)
    await pager.go_start()
    for _ in range(20):
        await pager.extend_down()
    assert pager.window.base == 21 * PAGE_SIZE - MAX_PAGES * PAGE_SIZE
    while not pager.window.start_reached:
        await pager.extend_up()
    assert pager.settle() == 0
    assert pager.window.base == 0
    row = pager.window.row(3)
    assert isinstance(row, Document)
    assert row.id == store.document(3).id


async def test_a_wrong_estimate_is_corrected_at_the_start() -> None:
    """Row numbers move together, by what settle says, so that the view can move with them."""
    store = VirtualStore(20_000)
    pager = Pager(store, LOGS)
    await pager.go_to(store.document(700).cursor, base=5_000)
    while not pager.window.start_reached:
        await pager.extend_up()
    assert pager.settle() == -(5_000 - 701)
    assert pager.window.base == 0


async def test_an_estimate_too_small_makes_room_above() -> None:
    """There is always a row above the window while there are events above it."""
    store = VirtualStore(20_000)
    pager = Pager(store, LOGS)
    await pager.go_to(store.document(10_000).cursor, base=100)
    await pager.extend_up()
    assert pager.window.base < 0
    pager.settle()
    assert pager.window.base > 0


def test_a_live_log_fills_up_its_last_page() -> None:
    """Many small additions must not push out the pages before them."""
    store = VirtualStore(10_000)
    window = Window()
    window.reset(
        Page([store.document(0)], more=False), base=0, start_reached=True, end_reached=True
    )
    for number in range(1, 400):
        window.append(Page([store.document(number)], more=False))
    assert window.pages_held == 1
    assert len(window.rows) == 400


def _at(seconds: int, number: int) -> Document:
    at = format_time(parse_time(START) + seconds * 1_000_000_000)
    return Document(f"d{number}", "other-index", {"@timestamp": at, "message": "m"})


def test_a_long_silence_is_a_row_of_its_own() -> None:
    """Also between two pages; a short one is none."""
    window = Window()
    first = Page([_at(0, 0), _at(299, 1)], more=True)
    window.reset(first, base=0, start_reached=True, end_reached=False)
    window.append(Page([_at(299 + 11_520, 2)], more=False))
    kinds = [type(row) for row in window.rows]
    assert kinds == [Document, Document, Gap, Document]
    gap = window.rows[2]
    assert isinstance(gap, Gap)
    assert gap.seconds == 11_520


@pytest.mark.parametrize("number", [0, 1, 4_321, 9_999])
async def test_the_map_finds_the_row_of_a_time_and_back(number: int) -> None:
    """Evenly spread events are found nearly exactly, and never a bar (84 events) away."""
    store = VirtualStore(10_000)
    scroll_map = ScrollMap(await store.histogram(LOGS, 120))
    assert scroll_map.total == 10_000
    assert abs(scroll_map.row_at(store.document(number).timestamp) - number) <= 5
    back = parse_time(scroll_map.time_at(number)) - parse_time(store.document(number).timestamp)
    assert abs(back) <= 84 * store.step_nanos


def test_an_empty_map_knows_nothing_and_breaks_nothing() -> None:
    """Before the first histogram came, and for an empty log."""
    scroll_map = ScrollMap()
    assert scroll_map.row_at(START) == 0
    assert scroll_map.next_filled(START, 1) is None
    assert scroll_map.next_after_gap(START, -1) is None
    assert scroll_map.fraction_at(START) == 0.0
    assert scroll_map.time_at(5) == "1970-01-01T00:00:00.000000000Z"


async def test_seek_asks_the_store_for_one_event() -> None:
    """The next error is a question to the store, not a walk through pages."""
    store = VirtualStore(10_000_000)
    pager = Pager(store, LOGS)
    errors = Query(families=LOGS.families, levels=frozenset(("error",)))
    found = await pager.seek(errors, store.document(123_456).cursor, 1)
    before = await pager.seek(errors, store.document(123_456).cursor, -1)
    none = await pager.seek(errors, Cursor(START), -1)
    assert (found, before, none) == (store.document(130_005), store.document(120_005), None)
    assert store.documents_given == 2
