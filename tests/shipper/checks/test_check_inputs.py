"""What `check` says of inputs, rules and room on this machine, each by its own module."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.checks import inputs
from shipper.checks.centre import check_output
from shipper.checks.files import check_files
from shipper.checks.finding import Finding
from shipper.checks.inputs import check_inputs
from shipper.checks.machine import check_room
from shipper.checks.transforms import check_transforms
from shipper.config import (
    Config,
    DropConfig,
    ForwardConfig,
    JournaldConfig,
    LimitsConfig,
    MaskConfig,
    MetricsConfig,
    OutputConfig,
    StdinConfig,
    TailConfig,
)
from shipper.errors import ConfigError

OUTPUT = OutputConfig(urls=("http://127.0.0.1:9",))

DOCKER_LINE = b'{"log":"hello\\n","stream":"stdout","time":"2026-01-03T14:05:12.1Z"}\n'
CRI_LINE = b"2026-01-03T14:05:12.123456789+01:00 stderr F hello\n"


def told(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    """Severity and text."""
    return [(one.severity, one.what) for one in findings]


def follow(folder: Path, *tails: TailConfig) -> Config:
    """A configuration of files."""
    return Config(output=OUTPUT, state_directory=folder / "state", tails=tails)


@pytest.mark.parametrize(
    ("line", "form", "what"),
    [
        (DOCKER_LINE, "lines", 'format = "docker"'),
        (CRI_LINE, "lines", 'format = "cri"'),
        (CRI_LINE, "docker", 'format = "cri"'),
        (b"plain words\n", "cri", "are not cri's, and are taken as they are"),
        (b"plain words\n", "lines", ""),
        (DOCKER_LINE, "docker", ""),
        (b"an unfinished lin", "docker", ""),
    ],
)
def test_files_of_another_format_are_told(
    tmp_path: Path, line: bytes, form: str, what: str
) -> None:
    """Told by the first line of a file that is there, not by its name."""
    (tmp_path / "a.log").write_bytes(line)
    tail = TailConfig(paths=(f"{tmp_path}/*.log",), format=form)  # type: ignore[arg-type] # a table's column
    warnings = [one for one in check_files(follow(tmp_path, tail)) if one.severity == "warning"]
    assert bool(what) == bool(warnings)
    for warning in warnings:
        assert what in warning.what
        assert "hello" not in warning.what
        assert ("sources.tail.format", ("sources", "tail", 0, "format")) == (
            warning.key,
            warning.at,
        )


def test_a_start_that_no_line_has_is_told(tmp_path: Path) -> None:
    """Such a pattern would make one record of a whole file."""
    (tmp_path / "a.log").write_bytes(b"one\ntwo\n")
    paths = (f"{tmp_path}/*.log",)
    good = TailConfig(paths=paths, multiline_start="^t")
    bad = TailConfig(paths=paths, multiline_start=r"^\d{4}")
    assert [] == [x for x in told(check_files(follow(tmp_path, good))) if x[0] == "warning"]
    [(_, what)] = [x for x in told(check_files(follow(tmp_path, bad))) if x[0] == "warning"]
    assert f"multiline_start matches no line at the start of {tmp_path}/a.log" in what


def test_a_free_address_is_said_to_be_free(tmp_path: Path) -> None:
    """Also where the socket's folder is still to be made, or a killed shipper left its socket."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "left.sock"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    addresses = [
        f"unix://{tmp_path}/left.sock",
        f"unix://{tmp_path}/new/x.sock",
        f"tcp://127.0.0.1:{port}",
    ]
    config = Config(
        output=OUTPUT,
        state_directory=tmp_path,
        forwards=tuple(ForwardConfig(listen=address) for address in addresses),
    )
    assert [("ok", f"{address} can be listened on") for address in addresses] == told(
        check_inputs(config)
    )


def test_an_address_that_can_not_be_had_is_told(tmp_path: Path) -> None:
    """Taken by another process, by a file, or below something that is no folder."""
    (tmp_path / "file").touch()
    with (
        socket.socket(socket.AF_UNIX) as living,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        living.bind(str(tmp_path / "x.sock"))
        living.listen()
        port = server.getsockname()[1]
        config = Config(
            output=OUTPUT,
            state_directory=tmp_path,
            forwards=(
                ForwardConfig(listen=f"unix://{tmp_path}/x.sock"),
                ForwardConfig(listen=f"unix://{tmp_path}/file"),
                ForwardConfig(listen=f"unix://{tmp_path}/file/x"),
                ForwardConfig(listen="tcp://192.0.2.1:24224"),
            ),
            metrics=MetricsConfig(listen=f"tcp://127.0.0.1:{port}"),
        )
        findings = [*check_inputs(config)]
    assert [
        "another process listens there",
        "another file has that name: move it away",
        "Not a directory",
        "Cannot assign requested address",
        "another process listens there",
    ] == [one.what.partition(": ")[2] for one in findings]
    assert {"warning"} == {one.severity for one in findings}
    assert ("sources.forward.listen", ("sources", "forward", 3, "listen")) == (
        findings[3].key,
        findings[3].at,
    )


def test_the_running_shippers_own_address_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` on a machine that ships finds its sockets in use, and says whose they are."""
    monkeypatch.setattr(inputs, "_is_running", lambda _: True)
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(tmp_path / "x.sock"))
        living.listen()
        listen = f"unix://{tmp_path}/x.sock"
        config = Config(output=OUTPUT, metrics=MetricsConfig(listen=listen))
        assert [("ok", f"{listen} is the running shipper's")] == told(check_inputs(config))


def test_a_shared_key_must_be_there_and_secret(tmp_path: Path) -> None:
    """Missing, empty and everybody's are three warnings; the key itself is never shown."""
    key = tmp_path / "key"
    forward = ForwardConfig(listen=f"unix://{tmp_path}/x.sock", shared_key_file=key)
    config = Config(output=OUTPUT, state_directory=tmp_path, forwards=(forward,))

    def warning() -> str:
        return "".join(what for severity, what in told(check_inputs(config)) if severity != "ok")

    assert f"sources.forward.shared_key_file: {key}: No such file or directory" == warning()
    key.touch(mode=0o600)
    assert f"sources.forward.shared_key_file: {key} is empty" == warning()
    key.write_text("very-secret")
    key.chmod(0o644)
    assert f"everyone can read {key}: chmod 0600 {key}" in warning()
    assert "very-secret" not in warning()
    key.chmod(0o600)
    assert "" == warning()


def test_a_journal_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the folder, and what to do."""
    config = Config(output=OUTPUT, journald=JournaldConfig(directory=tmp_path / "no"))
    [(severity, what)] = told(check_inputs(config))
    assert "warning" == severity
    assert "journal" in what
    assert what.count(": ") >= 2


def test_a_journal_without_its_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which package has it, instead of a failure at the first start."""

    def fail() -> None:
        raise ConfigError("the journal can't be read", why="no library", next_step="install it")

    monkeypatch.setattr("shipper.sources.libsystemd.Libsystemd", fail)
    config = Config(output=OUTPUT, journald=JournaldConfig())
    assert [("warning", "the journal can't be read: no library: install it")] == told(
        check_inputs(config)
    )


def test_standard_input_is_named() -> None:
    """Every source that is followed is said."""
    config = Config(output=OUTPUT, stdin=StdinConfig(name="console"))
    assert [("ok", "what comes on standard input is shipped as console")] == told(
        check_inputs(config)
    )


@pytest.mark.parametrize(
    ("pattern", "is_told"),
    [
        (".", True),
        (".+", True),
        (r"(\S+)", True),
        (r"(.+)$", True),
        (r"password=(\S+)", False),
        (r"\d", False),
        (r"x+", False),
    ],
)
def test_a_mask_that_leaves_nothing_is_told(pattern: str, is_told: bool) -> None:  # noqa: FBT001 - a table's column
    """A pattern that overwrites whatever comes makes the logs worthless."""
    config = Config(output=OUTPUT, masks=(MaskConfig(patterns=("token", pattern)),))
    findings = [*check_transforms(config)]
    assert is_told == bool(findings)
    for one in findings:
        assert "masks every record whole" in one.what
        assert ("transforms", "mask", 0, "patterns", 1) == one.at


@pytest.mark.parametrize(
    ("pattern", "is_told"),
    [(".", True), ("^.", True), ("[^~]", True), ("GET /healthz", False), ("e", False)],
)
def test_a_drop_of_everything_is_told(pattern: str, is_told: bool) -> None:  # noqa: FBT001 - a table's column
    """A drop rule that any line fits is hardly meant."""
    drop = DropConfig(reason="noise", pattern=pattern, paths=("/a",))
    tails = (TailConfig(paths=("/a",)),)
    findings = told(check_transforms(Config(output=OUTPUT, tails=tails, drops=(drop,))))
    expected = [("warning", f"pattern {pattern!r} drops every record of /a")] if is_told else []
    assert expected == findings


class FakeDisk:
    """A file system of 1,000 MiB, 500 of them free."""

    f_frsize = 1 << 20
    f_blocks = 1000
    f_bavail = 500


@pytest.mark.parametrize(
    ("spool_mib", "held_percent", "what"),
    [(501, 1, "a full disk would come first"), (450, 10, "could fill it together"), (300, 10, "")],
)
def test_limits_that_the_disk_has_not_are_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spool_mib: int,
    held_percent: int,
    what: str,
) -> None:
    """Spool alone, and spool and held files together where they are on one file system."""
    monkeypatch.setattr(os, "statvfs", lambda _: FakeDisk())
    config = Config(
        output=OUTPUT,
        state_directory=tmp_path / "state",
        tails=(TailConfig(paths=(f"{tmp_path}/*.log",)),),
        stdin=StdinConfig(),
        limits=LimitsConfig(spool_mib=spool_mib, held_percent=held_percent),
    )
    findings = [*check_room(config)]
    assert bool(what) == bool(findings)
    assert all(what in one.what and one.key == "limits.spool_mib" for one in findings)


def test_room_is_no_question_without_a_spool(tmp_path: Path) -> None:
    """Files need none: they are where they are."""
    config = Config(output=OUTPUT, state_directory=tmp_path, limits=LimitsConfig(spool_mib=1 << 20))
    assert [] == [*check_room(config)]


@pytest.fixture
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which botocore's chain finds nothing, and asks nobody."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.mark.usefixtures("no_credentials")
def test_credentials_to_sign_with_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is a warning; some are said without being shown."""
    pytest.importorskip("botocore")
    output = OutputConfig(urls=("http://127.0.0.1:9",), auth="sigv4", region="eu-central-1")
    first = next(check_output(output))
    assert ("warning", "output.opensearch.auth") == (first.severity, first.key)
    assert "no AWS credentials" in first.what
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    findings = [*check_output(output)]
    assert ("ok", "AWS credentials were found, to sign for eu-central-1") == (
        findings[0].severity,
        findings[0].what,
    )
    assert "very-secret" not in json.dumps([one.what for one in findings])


def test_a_missing_extra_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipper would not start: exit 2, and the line that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "botocore.auth", None)
    output = OutputConfig(urls=("http://127.0.0.1:9",), auth="sigv4", region="eu-central-1")
    [finding] = check_output(output)
    assert ("error", 2) == (finding.severity, finding.exit_code)
    assert "afterimage-forensics[sigv4]" in finding.what


def test_a_rule_for_files_that_nobody_follows_is_told() -> None:
    """A mask that never masks is worse than none; what may have a file in common is no trouble."""
    tails = (TailConfig(paths=("/var/log/**/*.log", "/srv/app-?/out")),)
    good = ("/var/log/a.log", "/var/log/x/*", "/srv/*/out", "/**", "journald")
    bad = ("/var/log/a.txt", "/srv/app/out", "/opt/*")
    config = Config(
        output=OUTPUT,
        tails=tails,
        masks=(MaskConfig(builtin=("jwt",), paths=(*good, *bad)),),
    )
    findings = [*check_transforms(config)]
    assert [*bad] == [one.what.partition(" names no source")[0] for one in findings]
    assert ("transforms", "mask", 0, "paths", len(good)) == findings[0].at


def test_a_file_that_two_tables_name_is_told(tmp_path: Path) -> None:
    """It is followed by the first one's rules, whatever the second one says."""
    for name in ("a.log", "b.log", "c.txt"):
        (tmp_path / name).write_bytes(b"one\n")
    first = TailConfig(paths=(f"{tmp_path}/*.log", f"{tmp_path}/a*"))
    second = TailConfig(paths=(f"{tmp_path}/*",), multiline="python")
    what = (
        f"{tmp_path}/a.log and 1 more: named by [[sources.tail]] number 1 too, whose format "
        "and multiline count; this table's don't: name each file in one table"
    )
    findings = told(check_files(follow(tmp_path, first, second)))
    assert [("warning", what), ("ok", "3 files can be read")] == findings
    again = TailConfig(paths=first.paths[:1])
    assert any(
        "number 1 too" in what for _, what in told(check_files(follow(tmp_path, first, again)))
    )


def test_a_journal_without_a_file_is_not_said_to_be_read(tmp_path: Path) -> None:
    """There is nothing to read; with a file there is."""
    config = Config(
        output=OUTPUT, state_directory=tmp_path, journald=JournaldConfig(directory=tmp_path)
    )
    pytest.importorskip("shipper.sources.libsystemd")
    [(severity, what)] = told(check_inputs(config))
    assert ("warning", True) == (
        severity,
        what.startswith(f"the journal has no file in {tmp_path}"),
    )
    (tmp_path / "system.journal").touch()
    assert [("ok", "the journal can be read")] == told(check_inputs(config))
