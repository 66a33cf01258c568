"""The command, as processes: exit codes, data on stdout, narration on stderr, no traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shipper import __version__
from shipper.cli import GROUPS, main
from shipper.cli_reference import render_reference
from shipper.wire.state import DeadLetter, format_dead_letter
from tests.faults.bulk_server import BulkServer, wait_until

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30.0
COMMANDS = ("run", "check", "status", "bake", "dead-letters")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "shipper", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )


@pytest.fixture
def closed_url() -> str:
    """A URL on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


@pytest.fixture
def config(tmp_path: Path, closed_url: str) -> Path:
    """A right configuration whose centre is down."""
    file = tmp_path / "shipper.toml"
    file.write_text(
        f'[identity]\ninstance_id = "i-1"\n[state]\ndirectory = "{tmp_path}/state"\n'
        f'[[sources.tail]]\npaths = ["{tmp_path}/*.log"]\n'
        f'[output.opensearch]\nurls = ["{closed_url}"]\n'
    )
    return file


def test_help_names_every_command() -> None:
    """`--help` is data, ends with 0 and tells the exit codes."""
    done = run("--help")
    assert (0, "") == (done.returncode, done.stderr)
    assert [] == [name for name in (*COMMANDS, "exit codes:") if name not in done.stdout]


def test_the_help_groups_the_commands() -> None:
    """Each command stands under what one wants to do, once, and is one that there is."""
    told = run("--help").stdout
    grouped = [name for _, names in GROUPS for name in names]
    assert sorted(grouped) == sorted(COMMANDS)
    assert all(f"\n{title}:\n" in told for title, _ in GROUPS)
    assert all(1 == told.count(f"\n  {name:<14}") for name in grouped)


def test_the_reference_names_every_command_and_option() -> None:
    """What `--help` has, docs/cli.md has."""
    text = render_reference()
    for command in COMMANDS:
        section = text.partition(f"## shipper {command}\n")[2].partition("\n## ")[0]
        options = set(re.findall(r"--[a-z-]+", run(command, "--help").stdout)) - {"--help"}
        assert options
        assert [] == [option for option in options if f"`{option}" not in section]


def pipe_in(folder: Path, url: str, data: bytes, *, more: str = "") -> subprocess.Popen[bytes]:
    """`shipper run` with that on its standard input, which then ends."""
    file = folder / "pipe.toml"
    file.write_text(
        f'[identity]\ninstance_id = "i-1"\n[state]\ndirectory = "{folder}/state"\n'
        f'[sources.stdin]\n{more}[output.opensearch]\nurls = ["{url}"]\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "shipper", "run", "-c", str(file)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.close()
    process.stdin = None
    return process


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"", b"one\n", b"one\nand half a li"])
def test_run_ends_with_its_standard_input(tmp_path: Path, data: bytes) -> None:
    """As a tool in a pipe: 0 once all of it is stored, a line without an end too."""
    with BulkServer() as server:
        process = pipe_in(tmp_path, server.url, data)
        _, words = process.communicate(timeout=DEADLINE_SECONDS)
        assert 0 == process.returncode, words
        assert (
            data.decode().split()
            == " ".join(str(fields["message"]) for *_, fields in server.oracle.logs()).split()
        )


@pytest.mark.slow
def test_standard_input_that_ended_is_kept_until_it_is_stored(tmp_path: Path) -> None:
    """A centre that comes back late gets it; until then the shipper does not give up."""
    with BulkServer() as server:
        server.go_away()
        process = pipe_in(tmp_path, server.url, b"one\n")
        spool = tmp_path / "state" / "spool"
        wait_until(lambda: any(spool.rglob("*.seg")), timeout_seconds=DEADLINE_SECONDS)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        server.come_back()
        process.communicate(timeout=DEADLINE_SECONDS)
        assert 0 == process.returncode
        assert ["one"] == [fields["message"] for *_, fields in server.oracle.logs()]


@pytest.mark.slow
def test_beside_other_inputs_the_end_of_standard_input_ends_nothing(tmp_path: Path) -> None:
    """Files go on being followed."""
    more = f'[[sources.tail]]\npaths = ["{tmp_path}/*.log"]\n'
    with BulkServer() as server:
        process = pipe_in(tmp_path, server.url, b"one\n", more=more)
        spool = tmp_path / "state" / "spool"
        wait_until(lambda: len(server.oracle.logs()) == 1, timeout_seconds=DEADLINE_SECONDS)
        wait_until(lambda: not any(spool.rglob("*.seg")), timeout_seconds=DEADLINE_SECONDS)
        (tmp_path / "a.log").write_bytes(b"two\n")
        wait_until(lambda: len(server.oracle.logs()) == 2, timeout_seconds=DEADLINE_SECONDS)
        process.terminate()
        process.communicate(timeout=DEADLINE_SECONDS)
        assert 0 == process.returncode


@pytest.mark.parametrize(
    "order", ["list A B {state} --json", "list {state} A --json B", "{state} list --json A B"]
)
def test_ids_and_options_may_stand_in_any_order(
    tmp_path: Path, order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`redrive -c FILE ID` as well as `redrive ID -c FILE`."""
    letters = [
        DeadLetter(at="", reason="r", index="i", id=name, item=b"{}\n{}\n") for name in "ABC"
    ]
    (tmp_path / "dead-letters.jsonl").write_bytes(b"".join(map(format_dead_letter, letters)))
    words = order.replace("{state}", f"--state {tmp_path}").split()
    assert 0 == main(["dead-letters", *words])
    told = json.loads(capsys.readouterr().out)
    assert ["A", "B"] == [one["id"] for one in told["dead_letters"]]


@pytest.mark.parametrize(
    "words", [["status", "x"], ["run", "--json"], ["dead-letters", "list", "--state", "x", "--no"]]
)
def test_what_no_command_takes_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing mistake is no id, and no command takes more than it says."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert 2 == ended.value.code
    assert f"unrecognized arguments: {words[-1]}" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    """Each command has a help of its own."""
    done = run(command, "--help")
    assert (0, "") == (done.returncode, done.stderr)
    assert f"usage: shipper {command}" in done.stdout


def test_the_version_is_data() -> None:
    """`--version` prints one line on stdout."""
    assert f"shipper {__version__}\n" == run("--version").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("run", "--nonsense"),
        ("bake",),
        ("bake", "--root", "/", "--check", "--remove"),
        ("dead-letters",),
        ("dead-letters", "burn"),
        ("check", "--js"),
    ],
)
def test_wrong_usage_is_two(arguments: tuple[str, ...]) -> None:
    """A wrong argument, an abbreviation or a command of a later version: usage on stderr."""
    done = run(*arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert "usage: shipper" in done.stderr


def _unknown_key(file: Path) -> None:
    file.write_text('[output.opensearch]\nurl = ["https://a"]\n')


def _binary(file: Path) -> None:
    file.write_bytes(bytes(range(256)))


def _nested(file: Path) -> None:
    file.write_text("a = " + "[" * 5_000)


def _escapes(file: Path) -> None:
    file.write_text('"\\u001b[31m" = 1\n')


def _gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("spoil", [_unknown_key, _binary, _nested, _escapes, _gone])
@pytest.mark.parametrize("command", ["run", "check", "status", "dead-letters list"])
def test_a_wrong_configuration_is_two_everywhere(
    config: Path, spoil: Callable[[Path], None], command: str
) -> None:
    """Whoever reads the configuration names the file, in text that no terminal obeys."""
    spoil(config)
    done = run(*command.split(), "-c", str(config))
    assert 2 == done.returncode
    told = done.stdout + done.stderr
    assert str(config) in told
    assert "Traceback" not in told
    assert "\x1b" not in told


def test_check_tells_an_unreachable_centre(config: Path, closed_url: str) -> None:
    """3, with what was tried; the findings are data."""
    done = run("check", "-c", str(config))
    assert (3, "") == (done.returncode, done.stderr)
    assert f"{closed_url} does not answer" in done.stdout
    document = json.loads(run("check", "-c", str(config), "--json").stdout)
    assert ("afterimage.shipper.check", 3) == (document["schema"], document["exit_code"])


def test_run_without_an_identity_is_two(config: Path, closed_url: str) -> None:
    """A machine that nobody can name doesn't ship under a wrong name."""
    config.write_text(config.read_text().replace('instance_id = "i-1"', ""))
    done = run("run", "-c", str(config), AWS_EC2_METADATA_SERVICE_ENDPOINT="nonsense")
    assert (2, "") == (done.returncode, done.stdout)
    assert "AWS_EC2_METADATA_SERVICE_ENDPOINT" in done.stderr


def test_status_without_a_shipper_is_three(tmp_path: Path) -> None:
    """No shipper, no status: exit 3 and what to do next."""
    done = run("status", "--state", str(tmp_path))
    assert (3, "") == (done.returncode, done.stdout)
    assert "no shipper runs on" in done.stderr


def test_a_damaged_status_is_one(tmp_path: Path) -> None:
    """What can't be read is a failure, not an absence."""
    (tmp_path / "status.json").write_text("{")
    done = run("status", "--state", str(tmp_path))
    assert (1, "") == (done.returncode, done.stdout)


def test_dead_letters_are_listed(tmp_path: Path) -> None:
    """Letters on stdout, their number and the torn lines on stderr."""
    letter = DeadLetter(at="t", reason="r", index="x", id="d", item=b"ab")
    (tmp_path / "dead-letters.jsonl").write_bytes(format_dead_letter(letter) + b"torn\n")
    done = run("dead-letters", "list", "--state", str(tmp_path))
    assert (0, "t  x  d  2 bytes  r\n") == (done.returncode, done.stdout)
    assert f"1 dead letters in {tmp_path}" in done.stderr
    assert "lines that can't be read: 2" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """`shipper … | head` ends quietly."""
    letter = DeadLetter(at="t", reason="r" * 500, index="x", id="d", item=b"ab")
    (tmp_path / "dead-letters.jsonl").write_bytes(format_dead_letter(letter) * 2_000)
    command = f"{sys.executable} -m shipper dead-letters list --state {tmp_path} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False, cwd=ROOT
    )
    assert 1 == len(done.stdout.splitlines())
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_an_interrupt_is_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Ctrl-C during a command is said in one line."""

    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shipper.check.check_file", interrupt)
    assert 130 == main(["check", "-c", str(tmp_path / "x")])
    assert "shipper: error: interrupted\n" == capsys.readouterr().err


def test_what_the_system_refuses_has_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An OSError that nobody foresaw is one line with the file, and exit 1."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("shipper.check.check_file", refuse)
    assert 1 == main(["check", "-c", "/etc/x"])
    assert "shipper: error: Permission denied: /etc/x\n" == capsys.readouterr().err


class _Bulk(BaseHTTPRequestHandler):
    """Takes every `_bulk` request, as a centre that has nothing to complain about."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        items = [{"create": {"status": 201}} for _ in asked.splitlines()[::2]]
        body = json.dumps({"errors": False, "items": items}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name upstream
        """Keep quiet."""


@pytest.fixture
def centre_url() -> Iterator[str]:
    """A centre that takes everything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bulk)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_status(config: Path, process: subprocess.Popen[bytes]) -> dict[str, object]:
    """The status of a running shipper, as soon as there is one."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the shipper ended by itself"
        done = run("status", "-c", str(config), "--json")
        if done.returncode == 0:
            document: dict[str, object] = json.loads(done.stdout)
            return document
    raise AssertionError(f"no status within {DEADLINE_SECONDS} s")


@pytest.mark.slow
def test_run_ships_until_it_is_told_to_stop(config: Path, closed_url: str, centre_url: str) -> None:
    """`run` starts, `status` sees it, SIGTERM ends it with 0, `status` then sees it gone."""
    config.write_text(config.read_text().replace(closed_url, centre_url))
    (config.parent / "app.log").write_text("hello\n")
    with subprocess.Popen(
        [sys.executable, "-m", "shipper", "run", "-c", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        try:
            status = wait_status(config, process)
            assert process.pid == status["pid"]
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
        finally:
            process.kill()
    assert (0, b"") == (process.returncode, stdout), stderr
    assert f"i-1 ships to {centre_url}".encode() in stderr
    assert 3 == run("status", "-c", str(config)).returncode
