"""The huge-log widget on ten million events: few pages, little waiting, right numbers."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from forensics.errors import UnreachableError
from forensics.findings.finding import Confidence, Finding, record_reference
from forensics.ledger.model import InstanceState
from forensics.store.protocol import Bucket, Document
from forensics.tui.app import AfterimageApp
from forensics.tui.histogram_view import render_axis
from forensics.tui.instance_rows import is_heard
from forensics.tui.instance_screen import InstanceScreen
from forensics.tui.log_keys import LogKeys
from forensics.tui.pager import EventSource
from forensics.tui.scroll_map import ScrollMap
from forensics.tui.window import MAX_PAGES, PAGE_SIZE
from tests.tui.conftest import NOW
from tests.tui.screen_text import screen_text, wait_for_text, wait_until
from tests.tui.virtual_store import START, FakeSession, ListStore, VirtualStore, instance

TEN_MILLION = 10_000_000


@asynccontextmanager
async def opened(
    source: EventSource, size: tuple[int, int] = (100, 30), findings: Sequence[Finding] = ()
) -> AsyncIterator[tuple[Pilot[int], LogKeys]]:
    """The instance screen on a source, its numbers known."""
    app = AfterimageApp(
        FakeSession(rows=[instance()], source=source, findings=findings), instance().instance_id
    )
    async with app.run_test(size=size) as pilot:
        await wait_until(pilot, "the instance", lambda: isinstance(app.screen, InstanceScreen))
        screen = app.screen
        assert isinstance(screen, InstanceScreen)
        log = screen.log_view
        await wait_until(pilot, "the log", lambda: log.loaded and not log.working)
        pager = log.pager
        assert pager is not None
        await wait_until(pilot, "the histogram", lambda: pager.map_known)
        yield pilot, log


async def settled(pilot: Pilot[int], log: LogKeys) -> None:
    """Nothing is being read, and nothing on screen waits for it."""
    pager = log.pager
    assert pager is not None
    await wait_until(
        pilot,
        "rest",
        lambda: not log.working and not pager.missing(log.scroll_offset.y, log.visible_height),
    )


async def at_number(pilot: Pilot[int], log: LogKeys, number: int) -> None:
    """The cursor comes to the event of that number."""
    await wait_until(pilot, f"event {number}", lambda: number_at_cursor(log) == number)


def number_at_cursor(log: LogKeys) -> int:
    """The number of the virtual event under the cursor."""
    document = log.document
    assert isinstance(document, Document)
    return int(document.message.split()[1])


async def test_it_opens_on_the_last_words() -> None:
    """The end of ten million events costs one page; the numbers are exact there."""
    store = VirtualStore(TEN_MILLION)
    async with opened(store) as (pilot, log):
        assert number_at_cursor(log) == TEN_MILLION - 1
        assert "100% · 2026-01-04 03:46:39.990Z · 10,000,000 of 10,000,000" in screen_text(pilot)
        assert store.pages == 1


def _cause(document: Document) -> Finding:
    """A finding whose evidence is that document."""
    return Finding(
        name="fatal_error", title="An error", statement="It said so.", weight=1,
        confidence=Confidence.LIKELY, evidence=(record_reference(document),),
    )  # fmt: skip


async def test_it_opens_on_the_causes_evidence() -> None:
    """In the middle of the screen, with what came before and after it."""
    store = VirtualStore(TEN_MILLION)
    async with opened(store, findings=[_cause(store.document(9_970_005))]) as (pilot, log):
        await at_number(pilot, log, 9_970_005)
        await settled(pilot, log)
        middle = log.cursor - log.scroll_offset.y
        assert abs(middle - log.visible_height // 2) <= 1
        assert "event 9970004 of" in screen_text(pilot)
        await pilot.press("G")
        await at_number(pilot, log, TEN_MILLION - 1)


async def test_without_a_cause_it_opens_on_the_last_line_that_was_written() -> None:
    """What was done to a dead instance stands below it."""
    lines = [VirtualStore(100).document(number) for number in range(100)]
    acts = [
        Document(
            f"act-{number}",
            "afterimage-lifecycle",
            {
                "@timestamp": f"2026-01-03T01:00:{number:02d}.000000000Z",
                "event.dataset": "afterimage.lifecycle",
                "message": f"act {number}",
            },
        )
        for number in range(40)
    ]
    async with opened(ListStore([*lines, *acts])) as (pilot, log):
        await wait_for_text(pilot, "event 99 of")
        await at_number(pilot, log, 99)


@pytest.mark.slow
async def test_beyond_the_last_error_comes_the_first_and_it_is_said() -> None:
    """E and E go round the end; an only one, or none, is told too."""
    async with opened(VirtualStore(20_100)) as (pilot, log):
        await pilot.press("e")
        await wait_for_text(pilot, "went round to the first one")
        await at_number(pilot, log, 5)
        await settled(pilot, log)
        await pilot.press("E")
        await wait_for_text(pilot, "went round to the last one")
        await at_number(pilot, log, 20_005)
    async with opened(VirtualStore(5)) as (pilot, log):
        await pilot.press("e")
        await wait_for_text(pilot, "No error in the whole log.")
        await pilot.press("w")
        await at_number(pilot, log, 3)
        await settled(pilot, log)
        await pilot.press("w")
        await wait_for_text(pilot, "This is the only warning.")


@pytest.mark.slow
async def test_a_jump_and_twenty_pages_up_cost_few_pages() -> None:
    """Pages asked of the store are counted: start, end, and 20 pages up from there."""
    store = VirtualStore(TEN_MILLION)
    async with opened(store) as (pilot, log):
        await pilot.press("g")
        await settled(pilot, log)
        assert number_at_cursor(log) == 0
        await pilot.press("G")
        await settled(pilot, log)
        assert number_at_cursor(log) == TEN_MILLION - 1
        before = store.pages
        for _ in range(20):
            await pilot.press("pageup")
        await settled(pilot, log)
        rows = 20 * log.visible_height
        assert number_at_cursor(log) == TEN_MILLION - 1 - rows
        assert store.pages - before <= rows // PAGE_SIZE + 1
        assert log.pager is not None
        assert log.pager.window.pages_held <= MAX_PAGES


@pytest.mark.slow
async def test_memory_is_bounded_however_far_is_scrolled() -> None:
    """Past eight pages the oldest go; going back reads them again."""
    store = VirtualStore(TEN_MILLION)
    async with opened(store) as (pilot, log):
        await pilot.press("g")
        await settled(pilot, log)
        for _ in range(20):
            log.place(log.cursor + 300)
            await settled(pilot, log)
        assert number_at_cursor(log) == 6_000
        assert log.pager is not None
        assert len(log.pager.window.rows) <= MAX_PAGES * PAGE_SIZE
        for _ in range(20):
            log.place(log.cursor - 300)
            await settled(pilot, log)
        assert number_at_cursor(log) == 0
        assert "1 of 10,000,000" in screen_text(pilot)


async def test_the_scrollbar_leads_to_a_place_by_time() -> None:
    """Dragging to the middle reads one stretch there, not what lies between."""
    store = VirtualStore(TEN_MILLION)
    async with opened(store) as (pilot, log):
        before = store.documents_given
        log.scroll_to(y=TEN_MILLION // 2)
        assert "··· reading" in "".join(part.text for part in log.render_row(log.cursor, 80))
        await wait_until(pilot, "the middle", lambda: log.document is not None)
        await settled(pilot, log)
        assert abs(number_at_cursor(log) - TEN_MILLION // 2) < 100
        assert "~50%" in screen_text(pilot)
        assert store.documents_given - before <= 4 * PAGE_SIZE


@pytest.mark.slow
async def test_errors_and_warnings_are_found_by_the_store() -> None:
    """e, E, w and W go to the right event however far it is, for a handful of questions."""
    store = VirtualStore(TEN_MILLION)
    async with opened(store) as (pilot, log):
        await pilot.press("g")
        await settled(pilot, log)
        for key, expected in (
            ("e", 5), ("e", 10_005), ("e", 20_005), ("E", 10_005), ("w", 11_003), ("W", 10_003),
        ):  # fmt: skip
            await pilot.press(key)
            await at_number(pilot, log, expected)
            await settled(pilot, log)
        assert store.pages < 40


@pytest.mark.slow
async def test_a_search_goes_to_the_next_hit_and_counts_all() -> None:
    """The count is the store's, over everything, while the view is already there."""
    store = VirtualStore(TEN_MILLION)
    async with opened(store) as (pilot, log):
        await pilot.press("g")
        await settled(pilot, log)
        await pilot.press("slash", *"needle", "enter")
        await wait_until(pilot, "first hit", lambda: number_at_cursor(log) == 7)
        await wait_for_text(pilot, "/needle: 40 found")
        await pilot.press("n")
        await wait_until(pilot, "second hit", lambda: number_at_cursor(log) == 250_007)
        await settled(pilot, log)
        await pilot.press("N")
        await wait_until(pilot, "first hit again", lambda: number_at_cursor(log) == 7)


async def test_a_search_without_hits_says_so() -> None:
    """And the view stays where it was."""
    async with opened(VirtualStore(1_000)) as (pilot, log):
        log.find("absent")
        await wait_for_text(pilot, "/absent: 0 found")
        assert number_at_cursor(log) == 999


@pytest.mark.slow
async def test_a_time_leads_to_the_first_event_at_or_after_it() -> None:
    """`t` takes what people type; what it can't read it says below the line."""
    async with opened(VirtualStore(TEN_MILLION)) as (pilot, log):
        await pilot.press("t", *"soon", "enter")
        await wait_for_text(pilot, "'soon' is no time")
        await pilot.press(*["backspace"] * 4, *"2026-01-03 14:05", "enter")
        expected = (14 * 3600 + 5 * 60) * 100
        await wait_until(pilot, "14:05", lambda: number_at_cursor(log) == expected)
        assert "2026-01-03 14:05:00.000Z" in screen_text(pilot)


@pytest.mark.slow
async def test_bars_are_stepped_through() -> None:
    """] and [ go to the first event of the next and the previous bar."""
    async with opened(VirtualStore(12_000)) as (pilot, log):
        await pilot.press("g")
        await settled(pilot, log)
        for key, expected in (("]", 100), ("]", 200), ("[", 100)):
            await pilot.press(key)
            await at_number(pilot, log, expected)


def _silence() -> ListStore:
    first = VirtualStore(50, step_nanos=1_000_000_000)
    later = VirtualStore(50, step_nanos=1_000_000_000)
    documents = [first.document(number) for number in range(50)]
    shift = 4 * 3600 * 100  # events of 10 ms: four hours on
    far = VirtualStore(shift + 50)
    documents += [far.document(shift + number) for number in range(50)]
    assert later.size == 50
    return ListStore(documents)


async def test_a_silence_is_a_row_and_a_place_to_jump_to() -> None:
    """Its length is on screen; } and { go to the first event after it."""
    async with opened(_silence()) as (pilot, log):
        await pilot.press("g")
        await wait_until(pilot, "start", lambda: number_at_cursor(log) == 0)
        await pilot.press("}")
        await wait_until(pilot, "after the gap", lambda: number_at_cursor(log) == 1_440_000)
        await wait_for_text(pilot, "3 h 59 m without events")
        await pilot.press("}")
        await settled(pilot, log)
        assert number_at_cursor(log) == 1_440_000


async def test_a_gap_is_never_shorter_than_ten_seconds() -> None:
    """However fine the bars are; a silence of half a minute is one."""
    first = VirtualStore(4_000)
    documents = [first.document(number) for number in (*range(10), *range(3_000, 3_010))]
    async with opened(ListStore(documents)) as (pilot, log):
        await pilot.press("g")
        await at_number(pilot, log, 0)
        await settled(pilot, log)
        await pilot.press("}")
        await at_number(pilot, log, 3_000)
        await settled(pilot, log)
        await pilot.press("}")
        await wait_for_text(pilot, "No further gap of 10 s or more that way.")


@pytest.mark.parametrize("number", range(0, 120, 7))
def test_the_axis_keeps_its_labels_wherever_the_mark_stands(number: int) -> None:
    """The mark is above the cursor's bar, and both times can be read."""
    buckets = [
        Bucket(f"2026-01-03T{n // 60:02d}:{n % 60:02d}:00.000000000Z", 1) for n in range(120)
    ]
    axis = render_axis(ScrollMap(buckets), 98, buckets[number].start, dt.UTC)
    assert 98 == len(axis)
    assert round(number * 97 / 119) == axis.index("▲")
    assert "01-03 00:00" in axis
    assert "01-03 01:59" in axis
    assert "1 bar = 1 m 00 s · 0 errors" in axis


async def test_an_ended_instance_is_not_shown_as_followed() -> None:
    """Nothing new can come from it."""
    async with opened(VirtualStore(10)) as (pilot, _):
        assert "following" not in screen_text(pilot)
        await pilot.press("equals_sign")
        await wait_for_text(pilot, "paused")
    assert is_heard(instance(state=InstanceState.RUNNING), NOW)
    assert not is_heard(instance(state=InstanceState.TERMINATED, last_sign_at=START), NOW)


@pytest.mark.slow
async def test_filters_narrow_the_question_and_backspace_takes_them_back() -> None:
    """The place stays, the numbers are those of what is left."""
    async with opened(VirtualStore(TEN_MILLION)) as (pilot, log):
        await pilot.press("E")
        await wait_until(pilot, "an error", lambda: number_at_cursor(log) == 9_990_005)
        await settled(pilot, log)
        await pilot.press("f", "down", "enter")
        await wait_for_text(pilot, "only [level error]")
        await wait_for_text(pilot, "1,000 of 1,000")
        assert number_at_cursor(log) == 9_990_005
        await pilot.press("backspace")
        await wait_for_text(pilot, "of 10,000,000")
        assert number_at_cursor(log) == 9_990_005


@pytest.mark.slow
async def test_context_shows_five_minutes_without_filters_and_returns() -> None:
    """`x` twice ends where it began."""
    async with opened(VirtualStore(TEN_MILLION)) as (pilot, log):
        await pilot.press("E", "f", "down", "enter")
        await wait_for_text(pilot, "only [level error]")
        await settled(pilot, log)
        here = number_at_cursor(log)
        await pilot.press("x")
        await wait_for_text(pilot, "±5 min")
        await wait_until(pilot, "the event", lambda: number_at_cursor(log) == here)
        await settled(pilot, log)
        assert log.pager is not None
        assert log.pager.map.total < 2 * 300 * 100 + 2
        await pilot.press("x")
        await wait_for_text(pilot, "only [level error]")
        await wait_until(pilot, "the event", lambda: number_at_cursor(log) == here)


async def test_new_events_are_followed_at_the_end_and_wait_while_paused() -> None:
    """`=` stops it; the cursor stays on the newest event only if it was there."""
    store = VirtualStore(1_000)
    async with opened(store) as (pilot, log):
        store.size = 1_010
        await log.fetch_new()
        await wait_until(pilot, "the newest", lambda: number_at_cursor(log) == 1_009)
        await pilot.press("k", "equals_sign")
        await wait_for_text(pilot, "paused")
        store.size = 1_020
        await log.fetch_new()
        await settled(pilot, log)
        assert log.row_count == 1_010
        await pilot.press("equals_sign")
        await log.fetch_new()
        await wait_until(pilot, "the new rows", lambda: log.row_count == 1_020)
        assert number_at_cursor(log) == 1_008


@pytest.mark.slow
async def test_an_empty_log_says_so() -> None:
    """No event is no error."""
    async with opened(VirtualStore(0)) as (pilot, log):
        assert "No events are stored for this instance." in screen_text(pilot)
        await pilot.press("j", "G", "g", "e", "y", "x", "f", "escape", "enter", "bracketright")
        await settled(pilot, log)
        assert log.document is None


@pytest.mark.slow
async def test_a_store_that_fails_is_told_with_what_to_do_next() -> None:
    """The rows that were read stay; the panel says what, why and what next."""
    store = VirtualStore(TEN_MILLION)
    async with opened(store) as (pilot, log):
        store.error = UnreachableError("the store is gone", why="refused", next_step="press r")
        await pilot.press("g")
        await wait_for_text(pilot, "✗ the store is gone")
        text = screen_text(pilot)
        assert "refused" in text
        assert "→ press r" in text
        assert number_at_cursor(log) == TEN_MILLION - 1
        store.error = None
        await pilot.press("r")
        await wait_until(pilot, "all well", lambda: "the store is gone" not in screen_text(pilot))


async def test_an_unforeseen_exception_is_told_and_does_not_end_the_program() -> None:
    """A library's fault becomes the same panel."""
    store = VirtualStore(1_000)
    async with opened(store) as (pilot, _):
        store.error = RuntimeError("[/red] boom \x1b[31m")
        await pilot.press("g")
        await wait_for_text(pilot, "RuntimeError: [/red] boom ␛[31m")


@pytest.mark.slow
async def test_drawing_never_waits_and_work_can_be_stopped() -> None:
    """While the store is silent keys work, placeholders show, and Esc stops the question."""
    store = VirtualStore(TEN_MILLION)
    async with opened(store) as (pilot, log):
        store.gate = asyncio.Event()
        await pilot.press("g")
        assert "reading…" in screen_text(pilot)
        await pilot.press("k", "k")
        assert number_at_cursor(log) == TEN_MILLION - 3
        await pilot.press("escape")
        await wait_until(pilot, "stopped", lambda: not log.working)
        store.gate.set()
        await settled(pilot, log)
        assert number_at_cursor(log) == TEN_MILLION - 3


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 499, 500, 501, 1_000, 1_001])
async def test_sizes_around_a_page_have_both_ends(count: int) -> None:
    """The first and the last event are reached and counted right."""
    async with opened(VirtualStore(count)) as (pilot, log):
        assert number_at_cursor(log) == count - 1
        await pilot.press("g")
        await wait_until(pilot, "start", lambda: number_at_cursor(log) == 0)
        await settled(pilot, log)
        for _ in range(count // log.visible_height + 2):
            log.action_page_down()
            await settled(pilot, log)
        assert number_at_cursor(log) == count - 1
        assert f"{count:,} of {count:,}" in screen_text(pilot)


async def test_moments_switch_zone_and_back() -> None:
    """`T`: the zone is named at the top and in every full time."""
    async with opened(VirtualStore(10)) as (pilot, _):
        assert START[11:16] in screen_text(pilot)
        await pilot.press("T")
        await wait_for_text(pilot, "XYZ +0200 (local)")
        assert "2026-01-03 02:00:00.090+0200" in screen_text(pilot)
        await pilot.press("T")
        await wait_for_text(pilot, "2026-01-03 00:00:00.090Z")
