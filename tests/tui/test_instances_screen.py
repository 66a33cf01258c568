"""The first screen: it answers who needs a look, and it never loses the cursor's instance."""

from __future__ import annotations

import gc
import warnings

import pytest

from forensics.errors import UnreachableError
from forensics.ledger.model import InstanceState
from forensics.tui.app import AfterimageApp
from forensics.tui.instance_rows import SORTS, Need, choose, judge, render_cells, render_headline
from forensics.tui.instance_screen import InstanceScreen
from forensics.tui.instances_screen import InstancesScreen
from shipper.wire.times import format_time
from tests.tui.conftest import NOW
from tests.tui.screen_text import screen_text, wait_for_text, wait_until
from tests.tui.virtual_store import FakeSession, instance

SECOND = 1_000_000_000


def _ago(seconds: int) -> str:
    return format_time(NOW - seconds * SECOND)


RUNNING = instance(1, state=InstanceState.RUNNING, last_sign_at=_ago(5))
SILENT = instance(2, state=InstanceState.RUNNING, last_sign_at=_ago(600))
GONE = instance(3, state=InstanceState.TERMINATED, last_sign_at=_ago(3_600))
CLOSED = instance(4, state=InstanceState.TERMINATED, last_sign_at=_ago(3_600), closed=True)
UNHEARD = instance(5, state=InstanceState.RUNNING, last_sign_at="", last_word="", records=0)
SHELVED = instance(6, last_sign_at=_ago(1_000))
ALL = [RUNNING, SILENT, GONE, CLOSED, UNHEARD, SHELVED]


def test_who_needs_a_look_is_judged_by_state_silence_and_goodbye() -> None:
    """Each reason is told in words."""
    needs = [judge(row, NOW).need for row in ALL]
    assert needs == [
        Need.NONE, Need.SILENT, Need.NO_GOODBYE, Need.NONE, Need.UNHEARD, Need.QUARANTINED,
    ]  # fmt: skip
    assert judge(SILENT, NOW).why == "should be running, but silent for 10 m 00 s"


def test_a_silent_row_says_so_itself() -> None:
    """The headline's count can be found in the list, also without colour."""
    silent = [render_cells(row, 100, NOW)[0].rstrip() for row in (SILENT, UNHEARD, RUNNING, GONE)]
    assert ["R silent 10m", "R never heard", "R running", "T terminated"] == silent


def test_an_end_with_an_error_needs_a_look_although_goodbye_was_said() -> None:
    """A shutdown in order after a fatal line is no calm end."""
    bad = instance(
        4, state=InstanceState.TERMINATED, closed=True, last_word="2026-01-03 ERROR disk full"
    )
    look = judge(bad, NOW)
    assert Need.BAD_END == look.need
    assert "its last word an error" in look.why
    assert "1 ended with an error" in render_headline([bad], NOW)[0]


@pytest.mark.parametrize(("columns", "is_shown"), [(100, False), (120, True)])
async def test_the_image_has_a_column_where_there_is_room(
    columns: int,
    is_shown: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """And every heading stands above its cells."""
    app = AfterimageApp(FakeSession(rows=ALL))
    async with app.run_test(size=(columns, 24)) as pilot:
        await wait_for_text(pilot, "4 of 6 need a look")
        lines = screen_text(pilot).split("\n")
        heading = next(line for line in lines if line.startswith(" State"))
        row = next(line for line in lines if SILENT.instance_id in line and "silent" in line[:20])
        assert is_shown == ("Image" in heading)
        assert heading.index("Instance") == row.index(SILENT.instance_id)
        assert heading.index("Last word") == row.index("MemoryError")


def test_the_headline_is_the_answer() -> None:
    """How many, why, and the most urgent one with its last word."""
    first, second = render_headline(ALL, NOW)
    assert first == (
        "4 of 6 need a look: 1 quarantined, 1 silent though running, 1 ended without a goodbye, "
        "1 never heard."
    )
    assert second.startswith(f"First {SHELVED.instance_id}, set aside by a quarantine: “Memory")
    calm, _ = render_headline([RUNNING, CLOSED], NOW)
    assert calm == "Nothing needs a look: 1 running, all heard lately or closed in order."
    assert render_headline([], NOW)[0] == "No instance is known."


def test_the_order_begins_with_what_needs_a_look() -> None:
    """And every sort has all rows."""
    ordered = choose(ALL, state="", sort=SORTS[0], now_nanos=NOW)
    assert [row.instance_id for row in ordered] == [
        row.instance_id for row in (SHELVED, SILENT, GONE, UNHEARD, RUNNING, CLOSED)
    ]
    for sort in SORTS:
        assert len(choose(ALL, state="", sort=sort, now_nanos=NOW)) == len(ALL)


@pytest.mark.parametrize("width", [60, 79, 100, 139])
def test_a_row_fits_its_columns_and_says_its_state_without_colour(width: int) -> None:
    """Letter and word; never wider than the screen."""
    cells = render_cells(SHELVED, width, NOW)
    assert cells[0].startswith("Q quarantined")
    assert len(" ".join(cells)) <= max(width, 70)


async def test_a_refresh_keeps_the_cursor_on_its_instance() -> None:
    """Rows that come, go and change their order move around it."""
    session = FakeSession(rows=ALL)
    app = AfterimageApp(session)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_for_text(pilot, "4 of 6 need a look")
        screen = app.screen
        assert isinstance(screen, InstancesScreen)
        await pilot.press("j", "j")
        assert screen.listing.chosen is GONE
        session.rows = [instance(number) for number in range(10, 40)] + [GONE, RUNNING]
        await pilot.press("r")
        await wait_for_text(pilot, "of 32 need a look")
        assert screen.listing.chosen is GONE


async def test_an_unreachable_store_is_told_and_r_tries_again() -> None:
    """What, why, what next; the program stays, and ends with the error's code."""
    error = UnreachableError("No answer from the store", why="refused", next_step="press r")
    session = FakeSession(error=error)
    app = AfterimageApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "✗ No answer from the store")
        assert "→ press r" in screen_text(pilot)
        assert app.exit_code == 3
        session.error, session.rows = None, ALL
        await pilot.press("r")
        await wait_for_text(pilot, "4 of 6 need a look")
        assert "✗" not in screen_text(pilot)
        session.error = error
        await pilot.press("r")
        await wait_for_text(pilot, "✗ No answer")
        assert SHELVED.instance_id in screen_text(pilot)
        assert app.exit_code == 0


async def test_warnings_of_the_ledger_are_a_banner() -> None:
    """What could not be asked is not hidden."""
    app = AfterimageApp(FakeSession(rows=ALL, warnings=["EC2 did not answer: no states"]))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "! EC2 did not answer: no states")


async def test_an_unknown_id_is_told_with_the_nearest() -> None:
    """The list is there to choose from."""
    app = AfterimageApp(FakeSession(rows=ALL), "i-00000000000000009")
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_for_text(pilot, "✗ no instance i-00000000000000009")
        assert "did you mean" in screen_text(pilot)
        assert isinstance(app.screen, InstancesScreen)
        await wait_for_text(pilot, "4 of 6 need a look")
        assert "✗ no instance" in screen_text(pilot)


async def test_the_beginning_of_an_id_is_enough() -> None:
    """If only one id starts so."""
    app = AfterimageApp(FakeSession(rows=[SHELVED]), "i-0000")
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_until(pilot, "it", lambda: isinstance(app.screen, InstanceScreen))
        await wait_for_text(pilot, SHELVED.instance_id)
        await pilot.press("q")
        await wait_until(pilot, "the list", lambda: isinstance(app.screen, InstancesScreen))
        await pilot.press("q")
        assert app.return_value == 0


@pytest.mark.slow
async def test_find_goes_to_rows_and_hides_none() -> None:
    """Words in any field; n goes on."""
    session = FakeSession(rows=[*ALL, instance(7, last_word="disk [/red] full"), instance(8)])
    app = AfterimageApp(session)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_for_text(pilot, "need a look")
        await pilot.press("slash", *"full [/red]", "enter")
        await wait_for_text(pilot, "1 found")
        screen = app.screen
        assert isinstance(screen, InstancesScreen)
        chosen = screen.listing.chosen
        assert chosen is not None
        assert chosen.last_word == "disk [/red] full"
        assert screen.listing.row_count == 8


@pytest.mark.slow
async def test_ten_thousand_instances_stay_quick() -> None:
    """Shown, sorted, filtered and walked through without a pause that a person feels."""
    states = list(InstanceState)
    rows = [
        instance(number, state=states[number % 6], last_sign_at=_ago(number % 5_000))
        for number in range(10_000)
    ]
    app = AfterimageApp(FakeSession(rows=rows))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_for_text(pilot, "of 10000 need a look")
        screen = app.screen
        assert isinstance(screen, InstancesScreen)
        listing = screen.listing
        listing.rearrange()
        for _ in range(50):
            listing.action_page_down()
            screen_text(pilot)
        listing.action_last()
        assert listing.cursor == 9_999


@pytest.mark.slow
async def test_leaving_while_a_refresh_begins_leaves_nothing_unawaited() -> None:
    """`rrrrq` in one breath ends in order: a worker that never began holds no coroutine."""
    session = FakeSession(rows=ALL)
    app = AfterimageApp(session)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with app.run_test(size=(100, 24)) as pilot:
            await wait_for_text(pilot, "4 of 6 need a look")
            screen = app.screen
            assert isinstance(screen, InstancesScreen)
            screen.fetch()
            screen.workers.cancel_all()  # before the event loop could start it
            await pilot.press("q")
        gc.collect()
    assert [] == [str(one.message) for one in caught if one.category is RuntimeWarning]
