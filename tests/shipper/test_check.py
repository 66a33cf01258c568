"""`check` finds on this machine what would go wrong later, and says what answered."""

from __future__ import annotations

import base64
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from shipper.check import check_file, exit_code, render_json, render_text
from shipper.checks.finding import Finding
from shipper.checks.machine import check_state_directory
from shipper.config import OutputConfig
from shipper.probe import probe_output

OPENSEARCH = json.dumps({"version": {"distribution": "opensearch", "number": "3.4.0"}}).encode()

_NOBODY = 65_534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Not root for a while, where the tests run as root: root reads whatever the mode says."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@dataclass
class Centre:
    """A server on the loopback, and what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = OPENSEARCH
    paths: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    centre: ClassVar[Centre]

    def do_GET(self) -> None:
        """Answer whatever the test wants."""
        self.centre.paths.append(self.path)
        self.centre.authorizations.append(self.headers.get("Authorization", ""))
        self.send_response(self.centre.status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", str(len(self.centre.body)))
        self.end_headers()
        self.wfile.write(self.centre.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name upstream
        """Keep quiet."""


@contextmanager
def serve() -> Iterator[Centre]:
    """A running server."""
    centre = Centre()
    handler = type("Handler", (_Handler,), {"centre": centre})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    centre.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield centre
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def centre() -> Iterator[Centre]:
    """A centre that says it is OpenSearch."""
    with serve() as running:
        yield running


@pytest.fixture
def closed_url() -> str:
    """A URL on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


@dataclass
class Machine:
    """A configuration in a folder of its own, everything in order until a test breaks it."""

    folder: Path
    urls: list[str]
    paths: list[str] = field(default_factory=list)
    state: str = ""
    more: str = ""
    instance_id: str = "i-1"

    @property
    def file(self) -> Path:
        """The configuration, written."""
        state = self.state or str(self.folder / "state")
        identity = f'[identity]\ninstance_id = "{self.instance_id}"\n' if self.instance_id else ""
        path = self.folder / "shipper.toml"
        path.write_text(
            f'{identity}[state]\ndirectory = "{state}"\n[[sources.tail]]\n'
            f"paths = {json.dumps(self.paths)}\n"
            f"[output.opensearch]\nurls = {json.dumps(self.urls)}\n{self.more}"
        )
        return path

    def warnings(self) -> list[str]:
        """The texts of all warnings."""
        return [one.what for one in check_file(self.file) if one.severity == "warning"]


@pytest.fixture
def machine(tmp_path: Path, centre: Centre) -> Machine:
    """A machine on which everything is in order."""
    (tmp_path / "app.log").write_text("hello\n")
    return Machine(folder=tmp_path, urls=[centre.url], paths=[str(tmp_path / "*.log")])


def test_a_machine_in_order_gives_no_warning(machine: Machine, centre: Centre) -> None:
    """What is right is said too: who the machine is, what can be read, what answered."""
    findings = check_file(machine.file)
    assert 0 == exit_code(findings)
    assert [
        ("ok", "1 file can be read"),
        ("ok", "instance id i-1, set in the configuration"),
        ("ok", f"{centre.url} answers: opensearch 3.4.0"),
    ] == [(one.severity, one.what) for one in findings]
    assert ["/"] == centre.paths


def test_a_wrong_configuration_is_two(tmp_path: Path) -> None:
    """Every problem of the file is an error with its line, and nothing else is tried."""
    file = tmp_path / "shipper.toml"
    file.write_text("[identity]\nimage_id = 4\nx = 1\n")
    findings = check_file(file)
    assert 2 == exit_code(findings)
    assert [("error", 2), ("error", 3), ("error", 3)] == [
        (one.severity, one.line) for one in findings
    ]
    first = render_text(file, findings).splitlines()[0]
    assert f"error   {file}:2: identity.image_id must be a string, is a number" == first


def test_a_centre_that_is_not_there_is_three(machine: Machine, closed_url: str) -> None:
    """Unreachable is an error of its own: retry later, the file is right."""
    machine.urls = [closed_url]
    findings = check_file(machine.file)
    assert 3 == exit_code(findings)
    assert "error" == findings[0].severity
    assert 6 <= findings[0].line
    assert f"{closed_url} does not answer" in findings[0].what
    assert "refused" in findings[0].what


def test_one_node_of_several_may_be_down(machine: Machine, closed_url: str) -> None:
    """As long as one answers the shipper ships: the dead one is a warning."""
    machine.urls.insert(0, closed_url)
    assert 0 == exit_code(check_file(machine.file))
    [warning] = machine.warnings()
    assert f"{closed_url} does not answer" in warning


def test_a_name_that_does_not_resolve_is_told() -> None:
    """A wrong host name is unreachable, and the text says why."""
    url = "http://centre.invalid:9200"
    assert "unreachable" == probe_output(url, OutputConfig(urls=(url,))).outcome


def test_a_silent_server_ends_the_wait() -> None:
    """A port that accepts and says nothing costs the timeout and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        probe = probe_output(url, OutputConfig(urls=(url,)), timeout_seconds=0.2)
    assert ("unreachable", "does not answer: silent for 0.2 s") == (probe.outcome, probe.what)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "what"),
    [
        (401, b"", "doubtful", "answers 401: it wants other credentials"),
        (403, b"", "ok", "answers 403 to GET /: reached"),
        (200, b"<html>hello</html>", "doubtful", "not as OpenSearch does: '<html>hello</html>'"),
        (200, b"[" * 30_000, "doubtful", "not as OpenSearch does"),
        (200, b'{"version": 3}', "doubtful", "not as OpenSearch does"),
        (200, b"\x1b[2J\xff", "doubtful", "x1b[2J"),
        (302, b"", "doubtful", "answers 302, but not as OpenSearch does: nothing more"),
        (503, b"starting", "unreachable", "answers 503: 'starting'"),
        (200, b'{"version": {"number": "8.1\\u001b[0m"}}', "ok", r"elasticsearch 8.1\x1b[0m"),
    ],
)
def test_what_answers_is_told(
    centre: Centre, status: int, body: bytes, outcome: str, what: str
) -> None:
    """Each answer is judged, no redirect is followed, no control character passes."""
    centre.status, centre.body = status, body
    probe = probe_output(centre.url, OutputConfig(urls=(centre.url,)))
    assert outcome == probe.outcome
    assert what in probe.what
    assert probe.what.isprintable()
    assert 1 == len(centre.paths)


def test_the_secrets_of_the_files_are_sent_and_not_shown(machine: Machine, centre: Centre) -> None:
    """The probe uses what the shipper would use; the output never holds it."""
    for name, text in (("user", "shipper\n"), ("password", "very-secret\n")):
        (machine.folder / name).write_text(text)
        (machine.folder / name).chmod(0o600)
        machine.more += (
            f'{"username" if name == "user" else name}_file = "{machine.folder / name}"\n'
        )
    findings = check_file(machine.file)
    expected = "Basic " + base64.b64encode(b"shipper:very-secret").decode()
    assert [expected] == centre.authorizations
    assert "very-secret" not in render_text(machine.file, findings)
    assert "very-secret" not in render_json(machine.file, findings)
    assert [] == machine.warnings()


def test_missing_and_open_secrets_are_warned_of(machine: Machine) -> None:
    """A missing file, an empty one and one that everybody can read are told with their line."""
    user, password = machine.folder / "user", machine.folder / "password"
    password.write_text("x")
    password.chmod(0o644)
    machine.more = f'username_file = "{user}"\npassword_file = "{password}"\n'
    assert [
        f"output.opensearch.username_file: {user}: No such file or directory",
        f"output.opensearch.password_file: everyone can read {password}: chmod 0600 {password}",
    ] == machine.warnings()
    user.touch()
    assert f"output.opensearch.username_file: {user} is empty" == machine.warnings()[0]
    [first, second] = [one for one in check_file(machine.file) if one.severity == "warning"]
    assert (9, 10) == (first.line, second.line)


def test_a_certificate_that_is_none_is_an_error(machine: Machine) -> None:
    """The shipper would refuse to start with it, so check refuses, too."""
    ca_file = machine.folder / "ca.pem"
    ca_file.write_text("not a certificate")
    machine.urls = ["https://127.0.0.1:9"]
    machine.more = f'ca_file = "{ca_file}"\n'
    findings = check_file(machine.file)
    assert 2 == exit_code(findings)
    assert "a certificate of [output.opensearch] can't be used" in findings[0].what


def test_patterns_that_match_nothing_are_warned_of(machine: Machine) -> None:
    """The warning names the part of the path that is missing, or says that it may come."""
    nowhere = machine.folder / "nowhere" / "deep"
    machine.paths = [f"{nowhere}/*.log", f"{machine.folder}/*.nothing"]
    assert [
        f"{nowhere}/*.log matches nothing: {nowhere.parent}: No such file or directory",
        f"{machine.folder}/*.nothing matches nothing now; files that appear later are followed",
    ] == machine.warnings()


def test_the_state_folder_is_no_source(machine: Machine) -> None:
    """A pattern over everything doesn't take the shipper's own files for logs."""
    state = machine.folder / "state"
    state.mkdir()
    (state / "dead-letters.log").write_text("{}\n")
    machine.paths = [f"{machine.folder}/**/*.log"]
    assert "1 file can be read" in [one.what for one in check_file(machine.file)]


def test_unreadable_files_and_folders_are_warned_of(centre: Centre) -> None:
    """What the shipper may not read is named, with the reason."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "closed.log").touch(mode=0o000)
        (folder / "closed").mkdir(mode=0o000)
        machine = Machine(folder=folder, urls=[centre.url], paths=[f"{folder}/**/*.log"])
        file = machine.file
        check_file(file)  # everything is imported before the rights are dropped
        with unprivileged():
            findings = check_file(file)
    assert (
        f"can't be read: {folder}/closed (Permission denied), "
        f"{folder}/closed.log (Permission denied)"
    ) in [one.what for one in findings]


@pytest.mark.parametrize("state", ["/dev/null", "/dev/null/state"])
def test_a_state_folder_that_can_not_be_is_warned_of(machine: Machine, state: str) -> None:
    """Not a directory, or below something that is none: told before the first record is read."""
    machine.state = state
    assert [
        f"state.directory: {state} is not a directory and can't become one"
    ] == machine.warnings()


def test_a_state_folder_that_may_not_be_written_is_warned_of() -> None:
    """No right to write in it, or none to make it."""
    with tempfile.TemporaryDirectory() as name:
        closed = Path(name)
        closed.chmod(0o755 if os.geteuid() == 0 else 0o555)
        with unprivileged():
            there = [*check_state_directory(closed)]
            not_there = [*check_state_directory(closed / "new")]
    assert [f"state.directory: {closed} can't be written: Permission denied"] == [
        one.what for one in there
    ]
    assert [f"state.directory: {closed}/new can't be made: {closed} can't be written"] == [
        one.what for one in not_there
    ]


def test_check_leaves_no_trace(machine: Machine) -> None:
    """It looks: a state folder that isn't there isn't there afterwards."""
    before = sorted(machine.file.parent.iterdir())
    check_file(machine.file)
    assert before == sorted(machine.folder.iterdir())


@pytest.mark.slow
def test_an_unknown_machine_is_warned_of(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, closed_url: str
) -> None:
    """Without IMDS and without a configured id the shipper would not start: say so now."""
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", closed_url)
    machine.instance_id = ""
    [warning] = machine.warnings()
    assert "this machine's instance id is unknown" in warning
    assert closed_url in warning


def test_json_has_schema_and_version(tmp_path: Path) -> None:
    """What scripts read says what it is."""
    finding = Finding(severity="error", key="state", what="is wrong", line=3, exit_code=2)
    document = json.loads(render_json(tmp_path / "x.toml", [finding]))
    assert {
        "schema": "afterimage.shipper.check",
        "version": 1,
        "file": str(tmp_path / "x.toml"),
        "exit_code": 2,
        "findings": [{"severity": "error", "key": "state", "what": "is wrong", "line": 3}],
    } == document
