"""A report gathered from a real store and a real evidence folder, and its files on the disk."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forensics.errors import ForensicsError
from forensics.evidence.custody import CustodyLog
from forensics.evidence.folder import FolderEvidence
from forensics.findings.observed import read_last, read_observed
from forensics.ledger.lifecycle import to_document
from forensics.ledger.load import find_row, load_ledger
from forensics.ledger.model import InstanceRow
from forensics.report.chart import MARKERS_LIMIT, build_chart
from forensics.report.gather import TIMELINE_RECORDS, gather_report
from forensics.report.html import render_html
from forensics.report.markdown import render_markdown
from forensics.report.model import BarRow, TimelineRow, Verdict
from forensics.report.words import (
    render_completeness,
    render_quarantine,
    render_snapshots,
    render_source,
)
from forensics.report.write import write_report
from forensics.store.protocol import Query
from forensics.store.sqlite import SqliteStore
from tests.forensics.cli.stored import (
    DEAD,
    DEAD_LINES,
    SILENT,
    StoreFile,
    at,
    content_of,
)
from tests.forensics.report.models import build_model

NOW = "2026-01-03T14:00:00.000000000Z"
CASE = "case-1"
MANY = 1_234


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A closed life, one without a goodbye whose file is longer than what was read, a long one."""
    file = StoreFile(tmp_path / "logs.sqlite")
    content = content_of(DEAD_LINES)
    file.add_instance(DEAD, content)
    file.add_instance(SILENT, content, closed=False, size=len(content) + 50)
    file.add_instance("i-0long", content_of([f"line {n}" for n in range(MANY)]), closed=False)
    file.close()
    store = await SqliteStore.open(tmp_path / "logs.sqlite")
    yield store
    await store.close()


async def _row(store: SqliteStore, instance_id: str) -> InstanceRow:
    return find_row(await load_ledger(store, None), instance_id)


async def test_the_same_store_gives_the_same_bytes(store: SqliteStore) -> None:
    """Gathered twice at one time: equal models, equal files."""
    row = await _row(store, DEAD)

    first = await gather_report(store, row, None, now=NOW)
    second = await gather_report(store, row, None, now=NOW)

    assert first == second
    assert render_html(first) == render_html(second)
    assert render_markdown(first) == render_markdown(second)


async def test_bytes_that_a_heartbeat_knew_of_are_missing(store: SqliteStore) -> None:
    """The file had fifty bytes more than were ever read: a hole at its end, and no `complete`."""
    model = await gather_report(store, await _row(store, SILENT), None, now=NOW)

    size = len(content_of(DEAD_LINES))
    (source,) = model.completeness
    assert Verdict.MISSING is source.verdict
    assert [(size, size + 50)] == [(hole.start, hole.end) for hole in source.holes]
    assert "50 bytes are missing from 1 of 1 file" in render_completeness(model)
    assert "silence" in [finding.name for finding in model.findings]


async def test_a_record_that_was_altered_is_named_not_hidden(
    store: SqliteStore, tmp_path: Path
) -> None:
    """Whoever changes a stored line makes the report say so, with the record's id."""
    with contextlib.closing(sqlite3.connect(tmp_path / "logs.sqlite")) as database:
        database.execute("UPDATE documents SET body = replace(body, 'MemoryError', 'MemoryErrox')")
        database.commit()

    model = await gather_report(store, await _row(store, DEAD), None, now=NOW)

    (source,) = model.completeness
    assert Verdict.ALTERED is source.verdict
    assert "was altered" in render_source(source)
    assert "were altered" in render_completeness(model)


async def test_of_a_long_log_the_report_holds_the_end_and_the_count(store: SqliteStore) -> None:
    """Bounded timeline, last lines per file, and how much is left out."""
    model = await gather_report(store, await _row(store, "i-0long"), None, now=NOW)

    records = [row for row in model.timeline if not row.is_event]
    assert TIMELINE_RECORDS == len(records)
    assert MANY - TIMELINE_RECORDS == model.timeline_left_out
    assert MANY == model.scope.records == sum(bar.count for bar in model.histogram)
    assert [f"line {n}" for n in range(MANY - 20, MANY)] == [
        row.text for row in model.last_words[0].lines
    ]
    assert Verdict.OPEN is model.completeness[0].verdict


async def test_peers_are_of_the_same_image_and_group(store: SqliteStore) -> None:
    """The instance itself and strangers are none."""
    ledger = await load_ledger(store, None)
    row = find_row(ledger, DEAD)
    stranger = dataclasses.replace(row, instance_id="i-0other", group="another")

    model = await gather_report(store, row, None, peers=[*ledger.rows, stranger], now=NOW)

    assert {SILENT, "i-0long"} == {peer.instance_id for peer in model.peers}


async def test_custody_makes_the_register_and_remembers_snapshots(
    store: SqliteStore, tmp_path: Path
) -> None:
    """What is kept stands in the register with its digest; EC2 need not be asked for it."""
    evidence = FolderEvidence(tmp_path / "evidence")
    custody = CustodyLog(evidence, CASE, who="me")
    custody.record("looked", "at the console", subject="i-1")
    custody.record("captured", {"sha256": "ab" * 32, "size_bytes": 7}, subject="cases/x/console")
    custody.record("snapshotted", {"volume_id": "vol-1", "size_gib": 8}, subject="snap-1")
    row = dataclasses.replace(await _row(store, DEAD), case_id=CASE)

    model = await gather_report(store, row, evidence, now=NOW)

    assert ["cases/x/console", "snap-1"] == [item.id for item in model.evidence]
    assert ["snap-1"] == [snapshot.snapshot_id for snapshot in model.snapshots]
    assert 3 == len(model.custody)
    assert () == model.warnings


async def test_a_custody_log_that_does_not_verify_is_a_warning_in_the_report(
    store: SqliteStore, tmp_path: Path
) -> None:
    """The report is still written, and says which entry is wrong."""
    evidence = FolderEvidence(tmp_path / "evidence")
    CustodyLog(evidence, CASE, who="me").record("looked", "x")
    file = next((tmp_path / "evidence").rglob("000001.json"))
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b"looked", b"hooked"))
    row = dataclasses.replace(await _row(store, DEAD), case_id=CASE)

    model = await gather_report(store, row, evidence, now=NOW)

    assert 1 == len(model.warnings)
    assert "entry 1 is broken" in model.warnings[0]
    assert "entry 1 is broken" in render_html(model)


async def test_without_a_store_the_report_says_what_it_lacks(store: SqliteStore) -> None:
    """Only the ledger speaks: no findings from logs, and a limit that says so."""
    row = await _row(store, DEAD)

    model = await gather_report(None, row, None, now=NOW)

    assert () == model.completeness
    assert () == model.last_words
    assert any("No store was asked" in limit for limit in model.limits)
    assert "none asked" in render_markdown(model)


@pytest.mark.parametrize("limit", [1, 499, 500, 501, MANY, MANY + 1])
async def test_the_last_n_documents_come_in_order_of_time(store: SqliteStore, limit: int) -> None:
    """Over page borders, and where there are fewer."""
    documents = await read_last(store, Query(instance_ids=frozenset(("i-0long",))), limit)

    assert [f"line {n}" for n in range(max(0, MANY - limit), MANY)] == [
        document.message for document in documents
    ]


async def test_an_event_that_is_stored_and_derived_is_seen_once(store: SqliteStore) -> None:
    """The row's own events and the store's lifecycle documents are one list."""
    row = await _row(store, DEAD)
    await store.put_lifecycle([to_document(event) for event in row.events])

    observed = await read_observed(store, row, now=NOW)

    assert [event.action for event in row.events] == [event.action for event in observed.lifecycle]


def test_files_appear_whole_and_replace_older_ones(tmp_path: Path) -> None:
    """Twice the same names, the newest content, nothing else in the folder."""
    write_report(build_model("old"), tmp_path / "a" / "b", ("html", "md"))
    paths = write_report(build_model("fresh"), tmp_path / "a" / "b", ("html", "md"))

    assert sorted(paths) == sorted((tmp_path / "a" / "b").iterdir())
    assert all("fresh" in path.read_text() for path in paths)


def test_a_folder_that_can_not_be_written_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    """No traceback, no half file."""
    (tmp_path / "file").touch()

    with pytest.raises(ForensicsError, match="can't be written"):
        write_report(build_model("x"), tmp_path / "file" / "b", ("md",))


def test_an_id_with_a_slash_stays_in_the_folder(tmp_path: Path) -> None:
    """An instance id is text of others, too: it names a file, never a way."""
    model = build_model("x")
    hostile = dataclasses.replace(model.instance, instance_id="../../etc/x\n")

    (path,) = write_report(dataclasses.replace(model, instance=hostile), tmp_path, ("md",))

    assert tmp_path == path.parent


def test_the_picture_keeps_inside_its_frame_whatever_the_times() -> None:
    """One moment, or many events: every mark lies in the picture, numbered as the list is."""
    events = [TimelineRow(at=at(n % 7), origin="ec2", action="x", text="x") for n in range(40)]
    for bars in ([], [BarRow(start=at(3), count=5, errors=5)]):
        chart = build_chart(bars, events)
        assert chart is not None
        assert MARKERS_LIMIT == len(chart.markers) == len(chart.events)
        assert all(0 <= marker.x <= 960 for marker in chart.markers)
        assert all(0 <= bar.x and bar.height <= 120 for bar in chart.bars)
    assert build_chart([], []) is None


async def test_lines_of_one_moment_stand_in_the_order_of_their_offsets(tmp_path: Path) -> None:
    """Line 9 before line 10 though all have one time: an offset is a number, never its digits."""
    lines = [f"{at(5)[:19]}Z order {number}" for number in range(120)]
    file = StoreFile(tmp_path / "second.sqlite")
    file.add_instance(DEAD, content_of(lines))
    file.close()
    store = await SqliteStore.open(tmp_path / "second.sqlite")

    model = await gather_report(store, await _row(store, DEAD), None, now=NOW)

    await store.close()
    assert lines == [row.text for row in model.timeline if not row.is_event]


async def test_a_case_of_which_nobody_tells_is_not_known_and_never_none(
    store: SqliteStore, tmp_path: Path
) -> None:
    """The folder lacks the case: no `none`, no 0, no `not finished`, in either rendering."""
    row = dataclasses.replace(await _row(store, DEAD), case_id=CASE)

    model = await gather_report(
        store, row, FolderEvidence(tmp_path / "e"), evidence_location="/e", now=NOW
    )

    lack = "evidence folder /e does not have case case-1: give --evidence"
    assert (lack,) == model.warnings
    assert f"not known ({lack})" == render_quarantine(model) == render_snapshots(model)
    assert f"Snapshots of its disks: not known ({lack})" in render_html(model)
