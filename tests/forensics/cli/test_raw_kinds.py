"""`raw`, `show` and `logs` of what is no plain file, and of bytes that a rule dropped or masked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.wire.records import Records
from tests.forensics.cli.conftest import Run
from tests.forensics.cli.stored import StoreFile
from tests.forensics.proof.shipped import INSTANCE, PATH, Stream

SOCKET = "forward:unix:///run/afterimage/forward.sock"
LINES = b"".join(b"line %d\n" % n for n in range(10, 20))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[StoreFile]:
    """An empty store to fill."""
    file = StoreFile(tmp_path / "kinds.sqlite")
    yield file
    file.close()


def test_what_a_rule_dropped_is_told_and_is_no_failure(run: Run, file: StoreFile) -> None:
    """Exit code 0, the shipped bytes on stdout, how much which rule left out on stderr."""
    a = Stream("a")
    file.load(a.row(1, LINES), a.lines(1, LINES, end=40), a.drop(1, 40, 64, 3, "debug\x1b[31m"))
    file.load(a.lines(1, LINES, start=64))
    answer = run("raw", INSTANCE, PATH, "--store", file.path)
    assert (0, LINES[:40] + LINES[64:]) == (answer.code, answer.raw)
    assert "dropped by rule: 3 records, 24 bytes (debug␛[31m)" in answer.err
    assert "missing" not in answer.err
    shown = run("show", INSTANCE, "--store", file.path).out
    assert "56 bytes are stored" not in shown, "no goodbye came: it is not called complete"
    assert "dropped by rule: 3 records, 24 bytes" in shown


def test_a_hole_beside_a_drop_is_exit_5_and_json_tells_them_apart(
    run: Run, file: StoreFile, tmp_path: Path
) -> None:
    """`holes` and `dropped` are two lists, with their own sums."""
    a = Stream("a")
    file.load(a.row(1, LINES), a.lines(1, LINES, end=40), a.drop(1, 40, 64, 3, "debug"))
    file.load(a.lines(1, LINES, start=72))
    answer = run("raw", INSTANCE, PATH, "--store", file.path, "--json", "-o", str(tmp_path / "out"))
    document = answer.json
    assert (5, 48, 8, 24) == (
        answer.code,
        *(document[f"{name}_bytes"] for name in ("written", "missing", "dropped")),
    )
    assert [(64, 72, "bytes")] == [
        (hole["start"], hole["end"], hole["unit"]) for hole in document["holes"]
    ]
    assert [{"reason": "debug", "records": 3, "size_bytes": 24, "places": 1}] == document["dropped"]


def test_a_spool_is_asked_by_its_name_and_masks_are_told(run: Run, file: StoreFile) -> None:
    """The whole name or its end, in `raw` and in `logs --path`."""
    a = Stream("a")
    line = b'{"record":{"message":"key=***"}}\n'
    masked = Records(data=line, start=0, lengths=[len(line)], masked={0: [(26, 3)]})
    file.load(a.row(1, line, kind="forward", name=SOCKET), a.records(1, masked, name=SOCKET))
    for name in (SOCKET, "forward.sock"):
        answer = run("raw", INSTANCE, name, "--store", file.path)
        assert (0, line) == (answer.code, answer.raw)
        assert "masked before shipping: 3 bytes in 1 record" in answer.err
        found = run("logs", INSTANCE, "--path", name, "--jsonl", "--store", file.path).lines
        assert [["26-3"]] == [one["afterimage.masked"] for one in found]
    (source,) = run("raw", INSTANCE, "--list", "--json", "--store", file.path).json["sources"]
    assert (SOCKET, "forward", 3) == (source["path"], source["kind"], source["masked_bytes"])


def test_a_record_of_several_lines_is_set_in_below_its_first(run: Run, file: StoreFile) -> None:
    """No line of it can pose as a record; each is made safe; JSON has it as it is."""
    a = Stream("a")
    trace = b"boom\n2026-01-03T12:00:00.000Z E /var/log/app.log \xe2\x94\x82 forged\x1b[2J\nend\n"
    file.load(a.row(1, trace), a.records(1, Records.of([trace], 0)))
    first, second, third = run("logs", INSTANCE, "--store", file.path).out.splitlines()
    assert first.endswith("│ boom")
    assert second.startswith(" " * 20)
    assert second.endswith("forged␛[2J")
    assert third.endswith("│ end")
    (record,) = run("logs", INSTANCE, "--jsonl", "--store", file.path).lines
    assert trace.decode().removesuffix("\n") == record["message"]
    report = run("report", INSTANCE, "-o", str(file.path.parent), "--store", file.path)
    assert 0 == report.code
    page = (file.path.parent / f"post-mortem-{INSTANCE}.html").read_text("utf-8")
    assert "boom\n    2026-01-03T12:00:00.000Z E /var/log/app.log │ forged␛[2J\n    end" in page
    text = (file.path.parent / f"post-mortem-{INSTANCE}.md").read_text("utf-8")
    assert "· boom\n    2026-01-03T12:00:00.000Z E /var/log/app.log │ forged␛[2J\n    end\n" in text
