"""`dead-letters redrive`: stored letters leave the file, and nothing is lost or stored twice."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from shipper.config import OutputConfig
from shipper.dead_letter_file import DeadLetterFile
from shipper.dead_letters import choose_letters
from shipper.deliver.burial import make_dead_letter
from shipper.deliver.http import HttpTransport
from shipper.ports import Reply
from shipper.redrive import Redrive, Redriven
from shipper.wire.builder import RecordBuilder, split_items
from shipper.wire.framing import frame
from shipper.wire.record import Identity, stored_bytes
from shipper.wire.records import Records
from shipper.wire.state import DeadLetter
from tests.faults.bulk_server import BulkServer, Faults

Judge = Callable[[str, dict[str, Any]], dict[str, Any] | None]


def make_letters(*lines: bytes) -> list[DeadLetter]:
    """Letters of records that follow each other."""
    builder = RecordBuilder(
        identity=Identity(instance_id="i-1"),
        stream="0123456789abcdef0123",
        source=0,
        path="/a.log",
        index="afterimage-logs-2026.01.03",
    )
    records = Records.of([one for line in lines for one in frame(line, final=True)], 0)
    return [
        make_dead_letter(item, at="2026-01-03T12:00:00.000000000Z", reason="400 first")
        for item in split_items(builder.build(records, 0).body)
    ]


def redrive(file: DeadLetterFile, url: str, letters: Sequence[DeadLetter]) -> Redriven:
    """One run that does not wait between tries."""
    transport = HttpTransport(OutputConfig(urls=(url,)), answer_timeout_seconds=5)
    try:
        return Redrive(file, transport, narrate=lambda _: None, wait=lambda _: None).run(letters)
    finally:
        transport.close()


def refuse(condition: Callable[[dict[str, Any]], bool], status: int = 400) -> Judge:
    """A centre that refuses some documents."""

    def judge(_index: str, document: dict[str, Any]) -> dict[str, Any] | None:
        if not condition(document):
            return None
        return {"status": status, "error": {"type": "mapper_parsing_exception", "reason": "again"}}

    return judge


def stored(server: BulkServer) -> list[bytes]:
    """The bytes of all records, by offset."""
    found = sorted((fields["log.offset"], id_, fields) for _, id_, fields in server.oracle.logs())
    return [stored_bytes(id_, fields) for _, id_, fields in found]


def test_letters_that_are_stored_leave_the_file(tmp_path: Path) -> None:
    """All of them, with their ids and as they were first sent."""
    file = DeadLetterFile(tmp_path)
    letters = make_letters(b"one\n", b"two\n", b"three\n")
    file.append(letters)
    with BulkServer() as server:
        done = redrive(file, server.url, letters)
        assert [b"one\n", b"two\n", b"three\n"] == stored(server)
        assert all("message" in fields for _, _, fields in server.oracle.logs())
    assert (letters, 0) == (list(done.stored), done.exit_code)
    assert ([], []) == file.load()


def test_what_is_refused_as_it_was_is_stored_in_its_plain_form(tmp_path: Path) -> None:
    """The mapping still can't take it; its bytes are at the centre nevertheless."""
    file = DeadLetterFile(tmp_path)
    letters = make_letters(b"one\n", b"poison\n")
    file.append(letters)
    with BulkServer(judge=refuse(lambda one: one.get("message") == "poison")) as server:
        done = redrive(file, server.url, letters)
        assert [b"one\n", b"poison\n"] == stored(server)
    assert ({}, 0) == (done.refused, done.exit_code)
    assert ([], []) == file.load()


def test_what_is_refused_again_stays_with_the_new_reason(tmp_path: Path) -> None:
    """And with everything else of it; others leave."""
    file = DeadLetterFile(tmp_path)
    letters = make_letters(b"one\n", b"two\n")
    file.append(letters)
    with BulkServer(judge=refuse(lambda one: one["log.offset"] == 4)) as server:
        done = redrive(file, server.url, letters)
        assert [b"one\n"] == stored(server)
    assert 5 == done.exit_code
    (left,), _ = file.load()
    assert "400 mapper_parsing_exception: again" == left.reason
    assert (letters[1].item, letters[1].at) == (left.item, left.at)


def test_what_is_put_off_stays_as_it_is(tmp_path: Path) -> None:
    """A 429 is neither a yes nor a no."""
    file = DeadLetterFile(tmp_path)
    letters = make_letters(b"one\n", b"two\n")
    file.append(letters)
    with BulkServer(judge=refuse(lambda one: one["log.offset"] == 4, status=429)) as server:
        done = redrive(file, server.url, letters)
    assert 3 == done.exit_code
    assert [letters[1].id] == list(done.put_off)
    assert ([letters[1]], []) == file.load()


def test_a_centre_that_is_away_changes_nothing(tmp_path: Path) -> None:
    """Some tries, then exit 3 with the reason."""
    file = DeadLetterFile(tmp_path)
    letters = make_letters(b"one\n")
    file.append(letters)
    with BulkServer() as gone:
        url = gone.url
    done = redrive(file, url, letters)
    assert 3 == done.exit_code
    assert "refused" in done.error
    assert (letters, []) == file.load()


@pytest.mark.parametrize(
    "faults", [Faults(reset_after=0.4), Faults(reset_before=0.4), Faults(garbage=0.3)]
)
def test_running_it_again_repeats_nothing(tmp_path: Path, faults: Faults) -> None:
    """Answers are lost, it ends early, it is run again: each record is there once."""
    file = DeadLetterFile(tmp_path)
    letters = make_letters(*(b"line %d\n" % number for number in range(30)))
    file.append(letters)
    with BulkServer(faults=faults, seed=5) as server:
        for _ in range(40):
            left, _ = file.load()
            if not left:
                break
            redrive(file, server.url, left)
        assert [b"line %d\n" % number for number in range(30)] == stored(server)
        assert [] == server.oracle.altered
    assert ([], []) == file.load()


def test_a_letter_that_kills_its_connection_holds_up_no_other(tmp_path: Path) -> None:
    """The rest is stored; it stays."""
    file = DeadLetterFile(tmp_path)
    letters = make_letters(*(b"line %d\n" % number for number in range(8)))
    file.append(letters)

    def judge(_index: str, document: dict[str, Any]) -> None:
        if document["log.offset"] == 21:
            raise ConnectionError

    with BulkServer(judge=judge) as server:
        done = redrive(file, server.url, letters)
        assert 7 == len(stored(server))
    assert ([letters[3]], []) == file.load()
    assert 3 == done.exit_code


def test_too_large_ones_are_split_and_said(tmp_path: Path) -> None:
    """A body is halved until it fits; one that never fits is refused."""
    file = DeadLetterFile(tmp_path)
    letters = make_letters(b"one\n", b"x" * 50_000 + b"\n", b"two\n")
    file.append(letters)
    with BulkServer(body_limit_bytes=10_000) as server:
        done = redrive(file, server.url, letters)
        assert [b"one\n", b"two\n"] == stored(server)
    assert [letters[1].id] == list(done.refused)
    (left,), _ = file.load()
    assert left.reason.startswith("413")


def test_a_running_shipper_may_append_meanwhile(tmp_path: Path) -> None:
    """What came while letters were on their way is still there, and so is what can't be read."""
    file = DeadLetterFile(tmp_path)
    first, second, third = make_letters(b"one\n", b"two\n", b"three\n")
    file.append([first])
    with file.path.open("ab") as torn:
        torn.write(b'{"at":"torn')

    class Appending:
        """A transport during whose request another process appends."""

        takes_gzip = False

        def send(self, body: Sequence[bytes]) -> Reply:
            DeadLetterFile(tmp_path).append([second, third])
            items = b'{"create":{"status":201}}'
            return Reply(status=200, body=b'{"errors":false,"items":[%b]}' % items)

        def close(self) -> None:
            """Nothing is open."""

    Redrive(file, Appending(), narrate=lambda _: None).run([first])
    letters, unreadable = file.load()
    assert ([second, third], [1]) == (letters, unreadable)


def test_appends_and_rewrites_of_many_lose_nothing(tmp_path: Path) -> None:
    """Threads and a process append while letters are taken out: what is left is exact."""
    letters = make_letters(*(b"line %d\n" % number for number in range(60)))
    file = DeadLetterFile(tmp_path)
    file.append(letters[:20])
    program = (
        "import sys; from pathlib import Path\n"
        "from shipper.dead_letter_file import DeadLetterFile\n"
        "from shipper.wire.state import parse_dead_letter\n"
        "file = DeadLetterFile(Path(sys.argv[1]))\n"
        "for line in sys.stdin.buffer: file.append([parse_dead_letter(line)])\n"
    )
    from shipper.wire.state import format_dead_letter

    def append_elsewhere() -> None:
        subprocess.run(
            (sys.executable, "-c", program, str(tmp_path)),
            input=b"".join(map(format_dead_letter, letters[20:40])),
            check=True,
            timeout=60,
        )

    def append_here() -> None:
        for letter in letters[40:]:
            DeadLetterFile(tmp_path).append([letter])

    threads = [threading.Thread(target=append) for append in (append_elsewhere, append_here)]
    for thread in threads:
        thread.start()
    for letter in letters[:20]:
        file.settle([letter], {})
    for thread in threads:
        thread.join(60)
    left, unreadable = file.load()
    assert (sorted(one.id for one in letters[20:]), []) == (
        sorted(one.id for one in left),
        unreadable,
    )


def test_a_crash_at_any_point_leaves_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each system call of the rewrite may be the last one."""
    letters = make_letters(b"one\n", b"two\n", b"three\n")
    for name in ("write", "fsync", "open", "close"):
        for survived in range(6):
            file = DeadLetterFile(tmp_path / f"{name}-{survived}")
            file.path.parent.mkdir()
            file.append(letters)
            calls = 0
            real = getattr(os, name)

            def crash(
                *arguments: Any,
                survived: int = survived,
                real: Callable[..., Any] = real,
                **words: Any,
            ) -> Any:
                nonlocal calls
                calls += 1
                if calls > survived:
                    raise OSError(28, "No space left on device")
                return real(*arguments, **words)

            with monkeypatch.context() as patch:
                patch.setattr(os, name, crash)
                with contextlib.suppress(OSError):
                    file.settle([letters[1]], {})
            left, unreadable = file.load()
            assert left in (letters, [letters[0], letters[2]])
            assert [] == unreadable


def test_letters_are_chosen_by_the_start_of_their_id() -> None:
    """One record, one source, or one stream."""
    letters = make_letters(b"one\n", b"two\n")
    assert letters == choose_letters(letters, [])
    assert letters == choose_letters(letters, ["0123456789abcdef0123-0-"])
    assert [letters[1]] == choose_letters(letters, [letters[1].id, "nothing"])


def run_cli(tmp_path: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command on a state folder below `tmp_path`."""
    config = tmp_path / "shipper.toml"
    config.write_text(
        f'[identity]\ninstance_id = "i-1"\n[state]\ndirectory = "{tmp_path}/state"\n'
        f'[output.opensearch]\nurls = ["{url}"]\n'
    )
    return subprocess.run(
        (sys.executable, "-m", "shipper", "dead-letters", *arguments, "-c", str(config)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    """Choose, send, tell; JSON on stdout, narration on stderr, codes as designed."""
    (tmp_path / "state").mkdir()
    file = DeadLetterFile(tmp_path / "state")
    letters = make_letters(b"one\n", b"two\n")
    file.append(letters)
    with BulkServer(judge=refuse(lambda one: one["log.offset"] == 4)) as server:
        nothing = run_cli(tmp_path, server.url, "redrive", "zzz")
        assert (7, "") == (nothing.returncode, nothing.stdout)
        first = run_cli(tmp_path, server.url, "redrive", letters[0].id[:-3], "--json")
        document = json.loads(first.stdout)
        assert (0, [letters[0].id], 1) == (first.returncode, document["stored"], document["left"])
        second = run_cli(tmp_path, server.url, "redrive", "--json")
        assert 5 == second.returncode
        assert [letters[1].id] == [one["id"] for one in json.loads(second.stdout)["refused"]]
        assert "0 stored, 1 dead letters left" in second.stderr
    away = run_cli(tmp_path, server.url, "redrive", "--json")
    assert (3, []) == (away.returncode, json.loads(away.stdout)["stored"])
    assert "nothing is lost" in away.stderr
