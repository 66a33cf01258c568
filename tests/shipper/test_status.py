"""`status` reads what the agent wrote and judges, beside it, whether the agent still lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from shipper.errors import ShipperError, StateError, UnreachableError
from shipper.statistics import (
    Counters,
    ForwardStatistics,
    GapStatistics,
    SourceStatistics,
    Statistics,
    Usage,
    format_status,
)
from shipper.status import load_status, render_json
from shipper.status_text import render_text

COUNTERS = Counters(
    read_bytes=30, acked_bytes=20, pending_bytes=7, dropped_bytes=1, dead_lettered_bytes=2
)


def write_status(folder: Path, *, age_seconds: float = 0.0, **changes: Any) -> None:
    """A status as the agent writes it, that old."""
    values: dict[str, Any] = {
        "stream": "0123456789abcdef0123",
        "run": 2,
        "pid": os.getpid(),
        "at": "2026-01-03T14:05:12.000000000Z",
        "started_at": "2026-01-03T14:00:00.000000000Z",
        "state": "running",
        "output": "ok",
        "last_answer_at": "2026-01-03T14:05:11.000000000Z",
        "last_error": "",
        "counters": COUNTERS,
        "sources": (
            SourceStatistics(
                source=0,
                path="/var/log/a\x1b.log",
                size=40,
                read=30,
                acked=20,
                counters=COUNTERS,
                pending_since="2026-01-03T14:05:02.000000000Z",
            ),
        ),
        "unreadable": {"/var/log/b.log": "Permission denied"},
    }
    file = folder / "status.json"
    file.write_text(format_status(Statistics(**(values | changes))))
    at = time.time() - age_seconds
    os.utime(file, (at, at))


def dead_pid() -> int:
    """The number of a process that has just ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(timeout=30)
    return process.pid


def test_a_fresh_status_of_a_living_process_runs(tmp_path: Path) -> None:
    """The verdict comes first, then the centre, the bytes, the files and what can't be read."""
    write_status(tmp_path)
    status = load_status(tmp_path)
    assert status.is_running
    assert [
        f"running, process {os.getpid()}, wrote 0 s ago",
        "stream 0123456789abcdef0123, run 2, since 2026-01-03T14:00:00.000000000Z",
        "output ok, last answer 2026-01-03T14:05:11.000000000Z",
        "bytes: read 30 = stored 20 + dropped 1 + dead-lettered 2 + pending 7",
        "dead letters: 2 bytes dead-lettered in all; 0 letters left",
        (
            r"  /var/log/a\x1b.log: settled 23 of 40 bytes: 20 stored, 1 dropped, 2 dead-lettered, "
            "10 unread, 7 pending, "
            "the oldest read at 2026-01-03T14:05:02.000000000Z (10 s) (source 0)"
        ),
        "  /var/log/b.log: can't be read: Permission denied",
        "→ run the shipper as a user that may read these files, as the unit from `bake` does",
    ] == render_text(status).splitlines()


def told(folder: Path, **changes: Any) -> list[str]:
    """The lines of a status that is well but for `changes`."""
    well: dict[str, Any] = {"counters": Counters(), "sources": (), "unreadable": {}}
    write_status(folder, **(well | changes))
    return render_text(load_status(folder)).splitlines()


def test_who_is_well_gets_no_advice(tmp_path: Path) -> None:
    """Four lines, and nothing to do."""
    assert 4 == len(told(tmp_path))


def test_a_centre_that_takes_nothing_is_told_with_since_and_why(tmp_path: Path) -> None:
    """And that nothing is lost, and which command says more."""
    lines = told(
        tmp_path,
        output="retrying",
        failing_since="2026-01-03T14:00:12.000000000Z",
        last_error="https://centre: HTTP 503",
    )
    assert (
        "output retrying since 2026-01-03T14:00:12.000000000Z (5 min), last answer "
        "2026-01-03T14:05:11.000000000Z, last error: https://centre: HTTP 503"
    ) == lines[2]
    assert "nothing is lost" in lines[-2]
    assert "shipper check -c shipper.toml" in lines[-1]


def test_an_error_that_is_over_is_told_as_past(tmp_path: Path) -> None:
    """A centre that takes records again has no error now, however long the last one is shown."""
    past: dict[str, Any] = {
        "last_error": "the spool can't be used: no\n  → give it space",
        "last_error_at": "2026-01-03T13:53:10.000000000Z",
    }
    assert (
        "output ok, last answer 2026-01-03T14:05:11.000000000Z, last error 12 min ago: "
        "the spool can't be used: no → give it space"
    ) == told(tmp_path, **past)[2]
    assert "last error: the spool" in told(tmp_path, output="retrying", **past)[2]


def test_letters_that_were_redriven_ask_for_nothing(tmp_path: Path) -> None:
    """What was dead-lettered stays counted; the advice goes with the last letter in the file."""
    counters = Counters(read_bytes=48, dead_lettered_bytes=48)
    letters = tmp_path / "dead-letters.jsonl"
    letters.write_bytes(b"{}\n{}\n")
    lines = told(tmp_path, counters=counters)
    assert "dead letters: 48 bytes dead-lettered in all; 2 letters left" in lines
    assert "shipper dead-letters redrive" in lines[-1]
    assert 2 == json.loads(render_json(load_status(tmp_path)))["dead_letters_left"]
    letters.write_bytes(b"")
    lines = told(tmp_path, counters=counters)
    assert "dead letters: 48 bytes dead-lettered in all; 0 letters left" == lines[-1]


def test_a_full_state_disk_is_one_finding(tmp_path: Path) -> None:
    """Since when, how much is left, and to make room: nobody's permissions are in question."""
    lines = told(
        tmp_path,
        state_disk_full_since="2026-01-03T14:03:02.000000000Z",
        unreadable={"forward:tcp://127.0.0.1:1": "the spool is full"},
    )
    assert "  forward:tcp://127.0.0.1:1: the spool is full" in lines
    (found,) = [line for line in lines if line.startswith("the disk of")]
    assert f"the disk of {tmp_path} is full: senders wait, new files wait; free " in found
    assert found.endswith(" bytes; since 2026-01-03T14:03:02.000000000Z (2 min)")
    assert [line for line in lines if line.startswith("→")] == lines[-1:]
    assert "make room on the file system of" in lines[-1]


def test_a_full_disk_is_seen_though_the_status_on_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipper that can't write its status can't tell why: the one who asks looks too."""
    monkeypatch.setattr("shipper.status.measure_free", lambda _: 0)
    write_status(tmp_path, age_seconds=67, unreadable={}, sources=(), counters=Counters())
    lines = render_text(load_status(tmp_path)).splitlines()
    assert f"process {os.getpid()} exists, its disk is too full for a status since 67 s" == lines[0]
    assert f"the disk of {tmp_path} is full: senders wait, new files wait; free 0 bytes" in lines
    assert 1 == len([line for line in lines if line.startswith("→")])


@pytest.mark.parametrize(
    ("changes", "line", "advice"),
    [
        (
            {"usage": Usage(spool_bytes=95 << 20, spool_limit_bytes=100 << 20)},
            "takes: spool 95.0 MiB of 100.0 MiB",
            "senders wait",
        ),
        (
            {"usage": Usage(held_bytes=9 << 30, held_limit_bytes=10 << 30)},
            "takes: deleted and held 9.0 GiB of 10.0 GiB",
            "the oldest go next, with a gap",
        ),
        (
            {
                "gaps": GapStatistics(
                    gaps=3, known_bytes=9, truncated_gaps=1, truncated_bytes_known=9
                )
            },
            "gaps in this run: 3, 9 bytes known, 1 by truncation",
            "copytruncate",
        ),
        ({"pid": 2**70}, "stream", "start it, it goes on where it stood"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(
    tmp_path: Path, changes: dict[str, Any], line: str, advice: str
) -> None:
    """A person at three in the morning gets the number and the next step."""
    lines = told(tmp_path, **changes)
    assert any(line in one for one in lines), lines
    assert any(one.startswith("→") and advice in one for one in lines), lines


def test_what_is_within_its_limits_is_no_trouble(tmp_path: Path) -> None:
    """Usage is shown, without advice; Forward's figures too."""
    lines = told(
        tmp_path,
        usage=Usage(in_flight_bytes=1 << 20, in_flight_limit_bytes=16 << 20, spool_bytes=5),
        forward=ForwardStatistics(connections_open=2, events=30),
    )
    assert [
        "takes: in flight 1.0 MiB of 16.0 MiB, spool 5 bytes",
        "forward: 2 connections open, 30 events on disk, 0 refused",
    ] == lines[4:]


def test_the_source_that_is_furthest_behind_comes_first(tmp_path: Path) -> None:
    """Of hundreds the first twenty, and how many of the others are behind."""
    sources = tuple(
        SourceStatistics(
            source=n,
            path=f"/{n}.log",
            size=1000,
            read=1000,
            acked=1000 - n,
            counters=Counters(read_bytes=1000, acked_bytes=1000 - n, pending_bytes=n),
        )
        for n in range(300)
    )
    lines = told(tmp_path, sources=sources)
    assert 4 + 20 + 1 == len(lines)
    assert lines[4].startswith("  /299.log: settled 701 of 1,000 bytes: 701 stored, 299 pending")
    assert "  and 280 more, 279 of them behind (all of them: --json)" == lines[-1]


def test_a_journal_is_told_in_entries(tmp_path: Path) -> None:
    """Its offsets are sequence numbers, only its counters are bytes, and its name is no path."""
    journal = SourceStatistics(
        source=4,
        path="",
        kind="journald",
        name="journald",
        size=9000,
        read=9000,
        acked=8000,
        counters=Counters(read_bytes=52_000, acked_bytes=51_000, dropped_bytes=1000),
    )
    assert (
        "  journald: settled 8,000 of 9,000 entries, in bytes: 51,000 stored, 1,000 dropped"
        " (source 4)"
    ) == told(tmp_path, sources=(journal,))[-1]


def test_settled_is_not_called_stored(tmp_path: Path) -> None:
    """A source of which a rule drops nearly all is done with, and says how little is stored."""
    flood = SourceStatistics(
        source=0,
        path="/flood.log",
        size=43_890,
        read=43_890,
        acked=43_890,
        counters=Counters(read_bytes=43_890, acked_bytes=2_140, dropped_bytes=41_750),
    )
    assert (
        "  /flood.log: settled 43,890 of 43,890 bytes: 2,140 stored, 41,750 dropped (source 0)"
    ) == told(tmp_path, sources=(flood,))[-1]


def test_json_is_the_agents_document_and_the_judgement(tmp_path: Path) -> None:
    """Scripts get schema, version and every value, with liveness beside them."""
    write_status(tmp_path)
    document = json.loads(render_json(load_status(tmp_path)))
    assert ("afterimage.shipper.status", 1) == (document["schema"], document["version"])
    assert (True, True, 20) == (
        document["is_running"], document["process_lives"], document["counters"]["acked_bytes"],
    )  # fmt: skip


def test_a_dead_process_does_not_run(tmp_path: Path) -> None:
    """A status that a killed shipper left behind is told with its age."""
    write_status(tmp_path, pid=dead_pid(), age_seconds=90)
    status = load_status(tmp_path)
    assert not status.is_running
    assert "not running" in status.verdict
    assert "is gone, it last wrote 90 s ago" in status.verdict


def test_an_old_status_of_a_living_process_hangs(tmp_path: Path) -> None:
    """A number may have been given to somebody else: it isn't called running."""
    write_status(tmp_path, age_seconds=300)
    status = load_status(tmp_path)
    assert not status.is_running
    assert "last wrote 300 s ago: it hangs, or it is another one" in status.verdict


def test_a_shipper_that_stopped_says_so(tmp_path: Path) -> None:
    """The last status of an orderly end is not taken for life."""
    write_status(tmp_path, state="stopped", pid=dead_pid())
    assert load_status(tmp_path).verdict.endswith(" stopped 0 s ago")


@pytest.mark.parametrize("pid", [0, -1, 2**70, True, "1", None])
def test_a_number_that_is_no_process_does_not_live(tmp_path: Path, pid: object) -> None:
    """Nothing is signalled that isn't one process: 0 and -1 would mean whole groups."""
    write_status(tmp_path, pid=pid)
    assert not load_status(tmp_path).process_lives


def test_no_status_is_unreachable(tmp_path: Path) -> None:
    """Where no shipper ever wrote, exit 3 and how to start one."""
    with pytest.raises(UnreachableError, match="no shipper runs on"):
        load_status(tmp_path / "nothing")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff\xfe", b"{}", b'{"schema": "x", "version": 1}', b"[" * 20_000]
)
def test_a_damaged_status_says_so(tmp_path: Path, data: bytes) -> None:
    """Torn, of another program or another version: an error with what to do."""
    (tmp_path / "status.json").write_bytes(data)
    with pytest.raises(StateError, match=r"status\.json is damaged"):
        load_status(tmp_path)


def test_a_folder_in_its_place_can_not_be_read(tmp_path: Path) -> None:
    """What the system refuses is a StateError, never a traceback."""
    (tmp_path / "status.json").mkdir()
    with pytest.raises(ShipperError, match="can't be read"):
        load_status(tmp_path)


def test_a_status_without_its_parts_is_still_shown(tmp_path: Path) -> None:
    """A status whose lists are missing or odd is rendered as far as it goes."""
    write_status(tmp_path)
    document = json.loads((tmp_path / "status.json").read_text())
    document |= {"counters": 3, "sources": [4], "unreadable": [], "usage": 1, "gaps": "x"}
    document |= {"failing_since": [], "forward": {"connections": None}}
    (tmp_path / "status.json").write_text(json.dumps(document))
    assert render_text(load_status(tmp_path)).startswith("running, process ")
