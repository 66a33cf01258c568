"""Hostile texts through every screen: none of them acts, and none of them ends the program."""

from __future__ import annotations

import base64
import json
import subprocess
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from forensics.errors import UnreachableError
from forensics.findings.finding import Confidence, Finding
from forensics.ledger.model import InstanceRow, LifecycleEvent, SnapshotRow
from forensics.tui.app import AfterimageApp
from forensics.tui.commands import find_command, link_of, raw_command, shell_word
from forensics.tui.instance_screen import PANELS, InstanceScreen
from forensics.tui.instances_screen import InstancesScreen
from tests.tui.hostile import TEXTS, dangerous_characters, hostile_documents
from tests.tui.screen_text import screen_text, wait_for_text, wait_until
from tests.tui.virtual_store import START, FakeSession, ListStore, instance

SHORT = [text for text in TEXTS if 0 < len(text) < 100]
PASSABLE = [
    *(text for text in SHORT if "\x00" not in text and "\ud800" not in text),
    *("it's", "$(reboot)", "`reboot`", "a;b", "a\nb", "-x"),
]
"""What an argument of a program can hold."""


def hostile_row(text: str, number: int = 0) -> InstanceRow:
    """A row whose every text is hostile."""
    event = LifecycleEvent(
        at=START, instance_id=text, action=text, message=text, origin=text, outcome=text
    )
    snapshot = SnapshotRow(
        snapshot_id=text, volume_id=text, state=text, started_at=text, size_gib=8, case_id=text,
        tags={text: text},
    )  # fmt: skip
    return instance(
        number,
        instance_id=text or "i-empty", state_reason=text, image_id=text, group=text, region=text,
        instance_type=text, availability_zone=text, private_ip=text, launched_at=text,
        last_sign_at=text, last_word=text, case_id=text, sources=(text,), snapshots=(snapshot,),
        events=(event,), raw={text: {text: [text]}},
    )  # fmt: skip


def _check(pilot: Pilot[int]) -> None:
    assert set() == dangerous_characters(screen_text(pilot))


def _has_report(screen: InstanceScreen) -> bool:
    return screen.report is not None


async def _walk(pilot: Pilot[int], app: AfterimageApp) -> None:
    """Through every panel and layer of an instance's screen, checking each."""
    screen = app.screen
    assert isinstance(screen, InstanceScreen)
    log = screen.log_view
    await wait_until(pilot, "log and report", lambda: log.loaded and screen.report is not None)
    await wait_until(pilot, "rest", lambda: not log.working)
    _check(pilot)
    await pilot.press("g", "enter")
    await wait_until(pilot, "the first", lambda: log.cursor == 0 and not log.working)
    for _ in range(log.row_count):
        log.action_cursor_down()
        await pilot.pause()
        _check(pilot)
    screen.details.scroll_end(animate=False)
    await pilot.pause()
    _check(pilot)
    for panel in ("snapshots", "facts", "report"):
        screen.action_show_panel(panel)
        await pilot.pause()
        _check(pilot)
    screen.action_show_panel("timeline")
    for key in ("f", "escape", "at", "q", "question_mark", "q", "T", "l", "l", "h"):
        await pilot.press(key)
        _check(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_hostile_events_pass_every_layer_harmless(size: tuple[int, int]) -> None:
    """Messages, paths, fields, ids and indices: list, details, filters and questions asked."""
    session = FakeSession(rows=[instance()], source=ListStore(hostile_documents()))
    app = AfterimageApp(session, instance().instance_id)
    async with app.run_test(size=size) as pilot:
        await wait_until(pilot, "it", lambda: isinstance(app.screen, InstanceScreen))
        await _walk(pilot, app)


@pytest.mark.slow
async def test_rows_of_hostile_facts_pass_both_screens_harmless() -> None:
    """Ids, reasons, tags, findings, warnings: whatever AWS or a stream says."""
    findings = [
        Finding(
            name=text, title=text, statement=text, confidence=Confidence.LIKELY, weight=1,
            evidence=(),
        )
        for text in SHORT
    ]  # fmt: skip
    rows = [hostile_row(text, number) for number, text in enumerate(SHORT)]
    session = FakeSession(
        rows=rows, warnings=SHORT, findings=findings, shown=SHORT[0],
        source=ListStore(hostile_documents()[:4]),
    )  # fmt: skip
    app = AfterimageApp(session)
    async with app.run_test(size=(80, 40), notifications=True) as pilot:
        await wait_for_text(pilot, f"{len(SHORT)} of {len(SHORT)} need a look")
        first = app.screen
        assert isinstance(first, InstancesScreen)
        for number, text in enumerate(SHORT):
            first.listing.place(number)
            first._find(f"absent {text}")
            first.show_trouble(UnreachableError(text, why=text, next_step=text))
            await pilot.pause()
            _check(pilot)
            app.push_screen(InstanceScreen(app.desk, rows[number]))
            await wait_until(pilot, "it", lambda: isinstance(app.screen, InstanceScreen))
            screen = app.screen
            assert isinstance(screen, InstanceScreen)
            await wait_until(pilot, "its report", partial(_has_report, screen))
            for panel in PANELS:
                screen.action_show_panel(panel)
                await pilot.pause()
                _check(pilot)
            app.pop_screen()


@pytest.mark.slow
async def test_every_text_can_be_copied_and_pasted_without_harm(tmp_path: Path) -> None:
    """JSON is ASCII, links are quoted, a shell gets one word that does nothing."""
    for document in hostile_documents():
        for text in (link_of(document), find_command(document), raw_command(document)):
            assert dangerous_characters(text) == set()
    session = FakeSession(rows=[instance()], source=ListStore(hostile_documents()))
    app = AfterimageApp(session, instance().instance_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, "it", lambda: isinstance(app.screen, InstanceScreen))
        screen = app.screen
        assert isinstance(screen, InstanceScreen)
        log = screen.log_view
        await wait_until(pilot, "log", lambda: log.loaded and not log.working)
        for number in range(log.row_count):
            log.place(number)
            log.action_copy_event()
            assert log.document is not None
            expected = log.document.message.encode("utf-8", "surrogatepass")
            copied = json.loads(app.clipboard)["message"]
            assert expected == copied.encode("utf-8", "surrogatepass")
            assert app.clipboard.isascii()
            assert dangerous_characters(app.clipboard) == set()


@pytest.mark.parametrize("text", PASSABLE)
def test_a_shell_reads_a_hostile_word_back_as_it_was(text: str) -> None:
    """bash, given the copied word, passes the same bytes on."""
    done = subprocess.run(
        ["bash", "-c", f"printf %s {shell_word(text)} | base64 -w0"],
        capture_output=True, check=True, timeout=20,
    )  # fmt: skip
    assert base64.b64decode(done.stdout) == text.encode()
