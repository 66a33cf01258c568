"""`instances`, `show`, `logs`, `raw` and `report` on a real store, without an account."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from forensics.cli.paths import find_path, short_names
from forensics.cli.raw import TextGuard
from forensics.errors import NotFoundError, UsageError
from tests.forensics.cli.conftest import Run
from tests.forensics.cli.stored import (
    DAY,
    DEAD,
    DEAD_LINES,
    EVIL_PATH,
    HOSTILE,
    HOSTILE_LINES,
    LONG,
    LONG_LINES,
    PATH,
    SILENT,
    StoreFile,
    content_of,
)

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ud800-\udfff]")


def test_instances_lists_every_instance_with_its_last_word(run: Run, store: Path) -> None:
    """One line each under a head; what could not be asked is said on stderr, not on stdout."""
    answer = run("instances", "--store", store)

    assert 0 == answer.code
    head, *rows = answer.out.splitlines()
    assert head.startswith("INSTANCE")
    assert {DEAD, SILENT, HOSTILE, LONG} == {row.split()[0] for row in rows}
    assert "MemoryError" in next(row for row in rows if row.startswith(DEAD))
    assert "the account was not asked" in answer.err


def test_global_options_work_before_and_after_the_command(run: Run, store: Path) -> None:
    """`forensics --json instances` and `forensics instances --json` are one."""
    before = run("--store", store, "--json", "instances")
    after = run("instances", "--store", store, "--json")

    assert after.json == before.json
    assert "afterimage.instances/1" == after.json["schema"]


def test_state_filters_instances(run: Run, store: Path) -> None:
    """Only rows in the asked states; an unknown state is a usage error."""
    assert 0 == len(
        run("instances", "--store", store, "--state", "running", "--json").json["instances"]
    )
    assert 2 == run("instances", "--store", store, "--state", "tired").code


def test_show_gives_the_cause_and_completeness_first(run: Run, store: Path) -> None:
    """What happened, then whether anything is missing, then where to look."""
    answer = run("show", DEAD, "--store", store)

    assert 0 == answer.code
    text = answer.out
    assert text.index("Memory ran out (likely)") < text.index("IS ANYTHING MISSING")
    size = len(content_of(DEAD_LINES))
    assert f"complete to byte {size:,}" in text
    assert f"forensics --store {store} {DEAD}" in text
    assert f"forensics --store {store} report {DEAD} -o ." in text


def test_show_names_missing_bytes_and_the_missing_goodbye(run: Run, store: Path) -> None:
    """Two records left out are one hole, named by its bytes, in text and JSON alike."""
    lines = [f"{line}\n" for line in DEAD_LINES]
    start = sum(map(len, lines[:3]))
    end = start + len(lines[3]) + len(lines[4])

    document = run("show", SILENT, "--store", store, "--json").json

    source = document["completeness"]["sources"][0]
    assert "afterimage.show/1" == document["schema"]
    assert (start, end) == (source["holes"][0]["start"], source["holes"][0]["end"])
    assert end - start == document["completeness"]["missing_bytes"]
    assert f"[{start:,}, {end:,})" in run("show", SILENT, "--store", store).out


def test_the_commands_that_show_suggests_all_work(run: Run, store: Path, tmp_path: Path) -> None:
    """Each can be copied: none but the interface, which needs a terminal, ends in a usage error."""
    commands = run("show", DEAD, "--store", store, "--json").json["next"]

    for command in commands:
        program, *words = shlex.split(command)
        words = [str(tmp_path / w) if w in {".", "app.log"} else w for w in words]
        expected = 2 if words[-1] == DEAD and len(words) == 3 else 0
        assert "forensics" == program
        assert expected == run(*words).code, command


def test_an_id_may_be_cut_where_it_stays_unambiguous(run: Run, store: Path) -> None:
    """`i-0dead` is enough; `i-0` is not, and the error lists what it starts."""
    assert 0 == run("show", "i-0dead", "--store", store).code
    several = run("logs", "i-0", "--store", store)
    assert 7 == several.code
    assert DEAD in several.err


def test_an_unknown_instance_is_exit_7_with_the_nearest(run: Run, store: Path) -> None:
    """A typing error in an id names the id that was meant."""
    answer = run("show", "i-0dead000000000009", "--store", store)

    assert 7 == answer.code
    assert DEAD in answer.err


def test_an_unknown_instance_names_who_was_asked_and_who_was_not(run: Run, store: Path) -> None:
    """Without a region AWS was not asked: nobody says that it does not mention the instance."""
    shown = run("show", "i-0fff", "--store", store)
    logged = run("logs", "i-0fff", "--store", store)

    assert "the store does not mention it (4 known); the account was not asked: " in shown.err
    assert "the store does not mention it (4 known); the account was not asked: " in logged.err


def test_a_forgotten_store_is_the_first_thing_that_is_missed(run: Run) -> None:
    """Neither store nor region: the store comes first, with its option and its variable."""
    for words in (("instances",), ("show", DEAD), ("report", DEAD)):
        answer = run(*words)
        assert 2 == answer.code
        assert answer.err.startswith("error: no store is set")
        assert answer.err.index("AFTERIMAGE_STORE") < answer.err.index("AWS_REGION")


def test_logs_prints_time_level_path_and_text(run: Run, store: Path) -> None:
    """One line a record, in order of time, UTC to the millisecond."""
    answer = run("logs", DEAD, "--store", store, "--match", "worker failed")

    assert "2026-01-03T12:00:41.000Z E app.log │ 2026-01-03T12:00:41Z ERROR worker failed\n" == (
        answer.out
    )


def test_a_path_may_be_cut_at_the_front(run: Run, store: Path) -> None:
    """`app.log` is enough for `logs --path` and `raw`; what ends no path is said to."""
    whole = run("logs", DEAD, "--store", store, "--path", PATH)
    cut = run("logs", DEAD, "--store", store, "--path", "app.log")

    assert whole.out == cut.out
    assert len(DEAD_LINES) == len(cut.out.splitlines())
    assert content_of(DEAD_LINES) == run("raw", DEAD, "app.log", "--store", store).raw
    assert 7 == run("raw", DEAD, "pp.log", "--store", store).code


def test_a_path_that_ends_several_is_answered_with_the_choices() -> None:
    """And each file is shown by as much of its end as tells it from the others."""
    paths = ["/var/log/app.log", "/srv/app.log", "/srv/other.log", "/log"]

    with pytest.raises(NotFoundError, match="no single file") as caught:
        find_path(paths, "app.log")

    assert "/var/log/app.log" in caught.value.next_step
    assert "/srv/app.log" in caught.value.next_step
    assert "/srv/app.log" == find_path(paths, "srv/app.log")
    assert None is find_path(paths, "/app.log")
    assert ["log/app.log", "srv/app.log", "other.log", "log"] == list(short_names(paths).values())


def test_a_name_that_is_no_utf8_is_found_as_it_is_typed(run: Run, tmp_path: Path) -> None:
    """The shell gives its bytes, the store has the shipper's spelling of them."""
    file = StoreFile(tmp_path / "logs.sqlite")
    file.add_instance(DEAD, b"line\n", path="/var/log/inv\\xff.log")
    file.close()

    typed = os.fsdecode(b"/var/log/inv\xff.log")

    assert b"line\n" == run("raw", DEAD, typed, "--store", file.path).raw
    assert 1 == len(run("logs", DEAD, "--path", typed, "--store", file.path).out.splitlines())


def test_logs_without_a_match_say_what_there_is(run: Run, store: Path) -> None:
    """Nothing on stdout, exit 0; stderr has the count, the times and the files."""
    answer = run("logs", DEAD, "--store", store, "--match", "nowhere")

    assert (0, "") == (answer.code, answer.out)
    assert f"0 of {len(DEAD_LINES)} lines match; stored from {DAY}T12:00:00" in answer.err
    assert f"files: {PATH}" in answer.err


def test_since_after_until_is_refused(run: Run, store: Path) -> None:
    """An exchange of the two is a usage error, not an empty answer."""
    answer = run("logs", DEAD, "--store", store, "--since", "2026-01-04", "--until", "2026-01-03")

    assert 2 == answer.code
    assert "--since is after --until" in answer.err


def test_logs_limit_keeps_the_last_lines_and_says_so(run: Run, store: Path) -> None:
    """The last N in ascending order; stderr names the flags that lift the limit."""
    answer = run("logs", DEAD, "--store", store, "--limit", "3", "--jsonl")

    assert list(DEAD_LINES[-3:]) == [line["message"] for line in answer.lines]
    assert "--all" in answer.err
    everything = run("logs", DEAD, "--store", store, "--all", "--jsonl")
    assert list(DEAD_LINES) == [line["message"] for line in everything.lines]
    assert "--all" not in everything.err


@pytest.mark.parametrize("limit", [1, 44, 45, 1000])
def test_any_limit_gives_exactly_that_many_of_the_last(run: Run, store: Path, limit: int) -> None:
    """At, below and above the number of lines there are."""
    answer = run("logs", DEAD, "--store", store, "--limit", str(limit), "--jsonl")

    assert list(DEAD_LINES[-limit:]) == [line["message"] for line in answer.lines]
    assert (limit < len(DEAD_LINES)) == ("only the last" in answer.err)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--all",), LONG_LINES),
        (("--limit", "700"), LONG_LINES[-700:]),
        (("--limit", "2", "--grep", "line [0-9]$"), LONG_LINES[8:10]),
        (("--all", "--grep", "00$"), tuple(line for line in LONG_LINES if line.endswith("00"))),
        ((), LONG_LINES[-500:]),
    ],
    ids=("all", "limit 700", "limit 2 of a pattern", "all of a pattern", "default"),
)
def test_logs_longer_than_a_page_are_whole(
    run: Run, store: Path, words: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """Over page borders nothing is lost, repeated or out of order, filtered or not."""
    answer = run("logs", LONG, "--store", store, "--jsonl", *words)

    assert list(expected) == [line["message"] for line in answer.lines]


def test_logs_filters_by_level_time_path_and_pattern(run: Run, store: Path) -> None:
    """Each filter narrows; --level means that level or a worse one."""

    def messages(*words: str) -> list[str]:
        answer = run("logs", DEAD, "--store", store, "--jsonl", *words)
        assert 0 == answer.code, answer.err
        return [line["message"] for line in answer.lines]

    assert [DEAD_LINES[40]] == messages("--level", "warn")
    assert ["MemoryError"] == messages("--grep", "^Memory")
    assert [] == messages("--path", "/nowhere")
    assert list(DEAD_LINES[:3]) == messages("--until", "2026-01-03T12:00:02Z")[:3]
    assert list(DEAD_LINES) == messages("--since", "2026-01-03")


def test_a_bad_time_or_pattern_is_exit_2(run: Run, store: Path) -> None:
    """The error names the option and what would be understood."""
    time = run("logs", DEAD, "--store", store, "--since", "yesterdayish")
    pattern = run("logs", DEAD, "--store", store, "--grep", "(")

    assert (2, 2) == (time.code, pattern.code)
    assert "'2h ago'" in time.err
    assert "--grep" in pattern.err


def test_jsonl_gives_the_id_the_schema_and_the_stored_fields(run: Run, store: Path) -> None:
    """What a script needs to find the record again."""
    line = run("logs", DEAD, "--store", store, "--limit", "1", "--jsonl").lines[0]

    assert "afterimage.record/1" == line["schema"]
    assert re.fullmatch(r"[0-9a-f]{16}-1-\d+-12-[0-9a-f]{8}", line["_id"])
    assert (DEAD, PATH, "MemoryError") == (
        line["cloud.instance.id"],
        line["log.file.path"],
        line["message"],
    )


def test_timeline_puts_births_and_ends_between_the_lines(run: Run, store: Path) -> None:
    """Events carry a mark for a person and a schema of their own for a script."""
    human = run("logs", DEAD, "--store", store, "--timeline").out.splitlines()
    schemas = [
        line["schema"]
        for line in run("logs", DEAD, "--store", store, "--timeline", "--jsonl").lines
    ]

    assert "◆ closing: " in human[-1]
    assert len(DEAD_LINES) == schemas.count("afterimage.record/1")
    assert {"afterimage.record/1", "afterimage.event/1"} == set(schemas)
    assert sorted(human, key=lambda line: line[:24]) == human


def test_raw_gives_back_the_very_bytes(run: Run, store: Path, tmp_path: Path) -> None:
    """On stdout and in a file, hostile bytes included; nothing partial is left beside the file."""
    wanted = b"".join(HOSTILE_LINES)
    output = tmp_path / "out" / "app.log"
    output.parent.mkdir()

    assert wanted == run("raw", HOSTILE, EVIL_PATH, "--store", store).raw
    answer = run("raw", HOSTILE, EVIL_PATH, "--store", store, "-o", output, "--json")
    assert wanted == output.read_bytes()
    assert (0, len(wanted), []) == (
        answer.code,
        answer.json["written_bytes"],
        answer.json["holes"],
    )
    assert [output] == list(output.parent.iterdir())


def test_raw_with_a_hole_is_exit_5_and_lists_it(run: Run, store: Path) -> None:
    """What is there goes to stdout, what is not to stderr."""
    lines = [f"{line}\n".encode() for line in DEAD_LINES[:40]]

    answer = run("raw", SILENT, PATH, "--store", store)

    assert 5 == answer.code
    assert b"".join(lines[:3] + lines[5:]) == answer.raw
    assert f"[{sum(map(len, lines[:3])):,}, {sum(map(len, lines[:5])):,})" in answer.err


def test_raw_of_an_unknown_path_lists_the_paths_there_are(run: Run, store: Path) -> None:
    """Exit 7, and the path that was meant is on the screen."""
    answer = run("raw", DEAD, "/var/log/ap.log", "--store", store)

    assert 7 == answer.code
    assert PATH in answer.err


def test_raw_list_says_what_is_stored_of_each_path(run: Run, store: Path) -> None:
    """Paths with sizes, as a table and as a document."""
    document = run("raw", DEAD, "--list", "--store", store, "--json").json

    assert "afterimage.paths/1" == document["schema"]
    assert [(PATH, len(content_of(DEAD_LINES)), "complete")] == [
        (source["path"], source["stored_bytes"], source["verdict"])
        for source in document["sources"]
    ]
    assert PATH in run("raw", DEAD, "--list", "--store", store).out


def test_raw_keeps_json_out_of_the_bytes(run: Run, store: Path) -> None:
    """--json without -o would mix a document into the file: refused before a byte is written."""
    answer = run("raw", DEAD, PATH, "--store", store, "--json")

    assert 2 == answer.code
    assert "afterimage.error/1" == answer.json["schema"]


def test_a_terminal_gets_text_only_unless_forced() -> None:
    """Plain lines pass, cut anywhere; a control, an invisible sign or no UTF-8 is refused."""
    guard = TextGuard()
    text = "größe\ttab\r\nline\n".encode()
    assert text == b"".join(guard.checked(text[n : n + 1]) for n in range(len(text)))

    for hostile in (b"\x1b[2J", b"\xff", b"a\rb", "\u202e".encode(), "\u009b".encode(), b"\0"):
        with pytest.raises(UsageError, match="no plain text"):
            TextGuard().checked(hostile)


@pytest.mark.parametrize(
    "words",
    [
        ("instances",),
        ("show", HOSTILE),
        ("logs", HOSTILE),
        ("logs", HOSTILE, "--timeline"),
        ("raw", HOSTILE, "--list"),
        ("raw", HOSTILE, "/none"),
        ("logs", HOSTILE, "--jsonl"),
        ("show", HOSTILE, "--json"),
        ("instances", "--json"),
    ],
    ids=" ".join,
)
def test_no_hostile_character_reaches_the_terminal(
    run: Run, store: Path, words: tuple[str, ...]
) -> None:
    """ESC, NUL, C1, bidi, a megabyte on one line: shown or counted, never sent."""
    answer = run(*words, "--store", store)

    assert CONTROLS.search(answer.out) is None
    assert CONTROLS.search(answer.err) is None
    if "--jsonl" not in words:
        assert len(answer.out) < 200_000


def test_hostile_lines_come_through_json_unharmed(run: Run, store: Path) -> None:
    """What is escaped for safety is the same text again once parsed."""
    messages = [line["message"] for line in run("logs", HOSTILE, "--store", store, "--jsonl").lines]

    assert [
        line.removesuffix(b"\n").decode("utf-8", "replace") for line in HOSTILE_LINES
    ] == messages


def test_report_writes_both_files_and_prints_their_paths(
    run: Run, store: Path, tmp_path: Path
) -> None:
    """Whole files, nothing beside them, the answer in each."""
    answer = run("report", DEAD, "-o", tmp_path / "out", "--store", store)

    paths = [Path(line) for line in answer.out.splitlines()]
    assert 0 == answer.code
    assert {".html", ".md"} == {path.suffix for path in paths}
    assert sorted(paths) == sorted((tmp_path / "out").iterdir())
    assert all("Memory ran out" in path.read_text() for path in paths)


def test_a_report_format_that_is_not_there_yet_says_so(
    run: Run, store: Path, tmp_path: Path
) -> None:
    """A planned one is not in this version, another is unknown. Neither leaves a file."""
    for name, words in (("pdf", "not in this version"), ("docx", "no format 'docx'")):
        answer = run("report", DEAD, "-o", tmp_path / "out", "--format", name, "--store", store)
        assert (2, True) == (answer.code, words in answer.err)
    assert not (tmp_path / "out").exists()


def test_a_report_of_a_hostile_instance_is_written_whole(
    run: Run, store: Path, tmp_path: Path
) -> None:
    """The worst lines end as text in both files."""
    run("report", HOSTILE, "-o", tmp_path, "--store", store)

    for path in tmp_path.glob("post-mortem-*"):
        text = path.read_text()
        assert CONTROLS.search(text) is None
        assert ("&lt;script&gt;" if path.suffix == ".html" else "<script\\>") in text
