"""`shipper check`: what is wrong in a configuration, and what won't work of it on this machine.

In: a configuration file. Out: findings, worst first, for a person or as JSON, and an exit code.
It looks and never changes anything, but for a file that it makes and removes in the state folder.
It must never print a secret, nor believe what a server answers.
"""

from __future__ import annotations

import glob
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from shipper.config import Config, OutputConfig
from shipper.config_reader import place_of, read_config
from shipper.config_rules import output_warnings
from shipper.errors import ConfigError
from shipper.narration import printable
from shipper.probe import Probe, probe_output
from shipper.sources.patterns import Scanner
from shipper.toml_lines import find_lines

SCHEMA: Final = "afterimage.shipper.check"
SCHEMA_VERSION: Final = 1

_CONFIG_EXIT: Final = 2
_UNREACHABLE_EXIT: Final = 3
_FILES_LIMIT: Final = 10_000
_SHOWN_LIMIT: Final = 5
_IMDS_PATIENCE_SECONDS: Final = 2.0
_SEVERITIES: Final = ("error", "warning", "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    severity: Literal["error", "warning", "ok"]
    key: str
    """The configuration's key that it is about; empty: the file itself."""
    what: str
    line: int = 0
    """The line in the configuration, 0 where no line is meant."""
    exit_code: int = 0


def check_file(path: Path) -> list[Finding]:
    """All findings about the configuration file, worst first."""
    config, problems = read_config(path)
    if config is None:
        return [
            Finding(
                severity="error",
                key=problem.key,
                what=problem.what,
                line=problem.line,
                exit_code=_CONFIG_EXIT,
            )
            for problem in problems
        ]
    findings = [
        *_check_globs(config),
        *_check_secrets(config.output),
        *_check_state_directory(config.state_directory),
        *_check_identity(config),
        *_check_output(config.output),
    ]
    lines = _lines_of_keys(path)
    located = [replace(finding, line=lines.get(finding.key, 0)) for finding in findings]
    return sorted(located, key=lambda finding: _SEVERITIES.index(finding.severity))


def _lines_of_keys(path: Path) -> dict[str, int]:
    """Where each key stands that stands only once; a pattern's finding names the pattern."""
    lines = find_lines(path.read_text(encoding="utf-8"))
    return {
        ".".join(map(str, at)): line
        for at, line in lines.items()
        if not any(isinstance(part, int) for part in at)
    }


def exit_code(findings: Iterable[Finding]) -> int:
    """2 where the configuration is wrong, 3 where the centre can't be reached, else 0."""
    codes = {finding.exit_code for finding in findings}
    return next((code for code in (_CONFIG_EXIT, _UNREACHABLE_EXIT) if code in codes), 0)


def render_text(path: Path, findings: Iterable[Finding]) -> str:
    """The findings, one a line."""
    lines = []
    for finding in findings:
        where = (
            f"{place_of(path, finding.line)}: "
            if finding.line or finding.exit_code == _CONFIG_EXIT
            else ""
        )
        lines.append(f"{finding.severity:<8}{printable(where + finding.what)}\n")
    return "".join(lines)


def render_json(path: Path, findings: Iterable[Finding]) -> str:
    """The findings as one JSON document."""
    found = list(findings)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "file": str(path),
        "exit_code": exit_code(found),
        "findings": [
            {name: value for name, value in asdict(finding).items() if name != "exit_code"}
            for finding in found
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _warning(key: str, what: str) -> Finding:
    return Finding(severity="warning", key=key, what=what)


def _check_globs(config: Config) -> Iterator[Finding]:
    key = "sources.tail.paths"
    readable = 0
    excluded = _folder_ids(config.state_directory)
    for pattern in dict.fromkeys(pattern for tail in config.tails for pattern in tail.paths):
        whys = _scan(pattern, excluded)
        if not whys:
            yield _warning(key, f"{pattern} matches nothing{_why_nothing(pattern)}")
        bad = [f"{path} ({why})" for path, why in sorted(whys.items()) if why]
        readable += len(whys) - len(bad)
        if bad:
            more = f" and {len(bad) - _SHOWN_LIMIT} more" if len(bad) > _SHOWN_LIMIT else ""
            yield _warning(key, f"can't be read: {', '.join(bad[:_SHOWN_LIMIT])}{more}")
    if readable:
        files = "1 file" if readable == 1 else f"{readable} files"
        yield Finding(severity="ok", key=key, what=f"{files} can be read")


def _scan(pattern: str, excluded: frozenset[tuple[int, int]]) -> dict[str, str]:
    """What the running shipper's own scan meets: path → why it can't be read, empty if it can."""
    whys: dict[str, str] = {}

    def note(path: str, error: OSError) -> None:
        whys[path] = error.strerror or str(error)

    scanner = Scanner([pattern], excluded=excluded, on_error=note)
    for path, _ in islice(scanner.scan(), _FILES_LIMIT):
        whys[path] = _unreadable_why(path)
    return whys


def _folder_ids(directory: Path) -> frozenset[tuple[int, int]]:
    try:
        found = directory.stat()
    except OSError:
        return frozenset()
    return frozenset({(found.st_dev, found.st_ino)})


def _why_nothing(pattern: str) -> str:
    """The part of the pattern that is missing, where it is a fixed one."""
    path = Path("/")
    for part in Path(pattern).parts[1:-1]:
        if glob.has_magic(part):
            break
        path /= part
        try:
            path.stat()
        except OSError as error:
            return f": {path}: {error.strerror}"
    return " now; files that appear later are followed"


def _unreadable_why(path: str) -> str:
    """Why the file can't be followed; empty: it can."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return "not a regular file"
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _check_secrets(output: OutputConfig) -> Iterator[Finding]:
    files = {
        "username_file": output.username_file,
        "password_file": output.password_file,
        "ca_file": output.ca_file,
        "client_cert_file": output.client_cert_file,
        "client_key_file": output.client_key_file,
    }
    for name, path in files.items():
        if path is None:
            continue
        key = f"output.opensearch.{name}"
        why = _unreadable_why(str(path))
        if why:
            yield _warning(key, f"{key}: {path}: {why}")
        elif not path.stat().st_size:
            yield _warning(key, f"{key}: {path} is empty")
        elif name in {"password_file", "client_key_file"} and path.stat().st_mode & stat.S_IROTH:
            yield _warning(key, f"{key}: everyone can read {path}: chmod 0600 {path}")


def _check_state_directory(directory: Path) -> Iterator[Finding]:
    key = "state.directory"
    if directory.is_dir():
        try:
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            yield _warning(key, f"{key}: {directory} can't be written: {error.strerror}")
        return
    existing = next(parent for parent in directory.parents if parent.exists())
    if directory.exists() or not existing.is_dir():
        yield _warning(key, f"{key}: {directory} is not a directory and can't become one")
    elif not _may_write(existing):
        yield _warning(key, f"{key}: {directory} can't be made: {existing} can't be written")


def _may_write(directory: Path) -> bool:
    # Asked for the effective user where the system can: os.access takes the real one else.
    effective = os.access in os.supports_effective_ids
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=effective)


def _check_identity(config: Config) -> Iterator[Finding]:
    from shipper.identity import find_identity

    key = "identity"
    try:
        identity = find_identity(config.identity, patience_seconds=_IMDS_PATIENCE_SECONDS)
    except ConfigError as error:
        yield _warning(key, f"{error.what}: {error.why}: {error.next_step}")
        return
    source = "set in the configuration" if config.identity.instance_id else "found"
    yield Finding(severity="ok", key=key, what=f"instance id {identity.instance_id}, {source}")


def _check_output(output: OutputConfig) -> Iterator[Finding]:
    key = "output.opensearch.urls"
    try:
        probes = [probe_output(url, output) for url in output.urls]
    except ConfigError as error:
        what = f"{error.what}: {error.why}: {error.next_step}"
        yield Finding(severity="error", key=key, what=what, exit_code=_CONFIG_EXIT)
        return
    # One node that answers is enough to ship: the others are a warning.
    anyone = any(probe.outcome != "unreachable" for probe in probes)
    for probe in probes:
        yield _probe_finding(key, probe, anyone=anyone)
    for warning in output_warnings(output):
        yield _warning(key, warning)


def _probe_finding(key: str, probe: Probe, *, anyone: bool) -> Finding:
    if probe.outcome == "unreachable" and not anyone:
        return Finding(
            severity="error",
            key=key,
            what=f"{probe.url} {probe.what}",
            exit_code=_UNREACHABLE_EXIT,
        )
    severity: Literal["ok", "warning"] = "ok" if probe.outcome == "ok" else "warning"
    return Finding(severity=severity, key=key, what=f"{probe.url} {probe.what}")
