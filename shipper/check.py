"""`shipper check`: what is wrong in a configuration, and what won't work of it on this machine.

In: a configuration file. Out: findings, worst first, for a person or as JSON, and an exit code.
It looks and never changes anything, but for a file that it makes and removes in the state folder.
It must never print a secret, nor believe what a server answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from shipper.checks.centre import CONFIG_EXIT, UNREACHABLE_EXIT, check_output
from shipper.checks.files import check_files
from shipper.checks.finding import Finding
from shipper.checks.inputs import check_inputs
from shipper.checks.machine import check_identity, check_room, check_state_directory
from shipper.checks.transforms import check_transforms
from shipper.config_reader import place_of, read_config
from shipper.narration import printable
from shipper.toml_lines import Path as KeyPath
from shipper.toml_lines import find_lines

SCHEMA: Final = "afterimage.shipper.check"
SCHEMA_VERSION: Final = 1

_SEVERITIES: Final = ("error", "warning", "ok")
_INSIDE: Final = frozenset({"exit_code", "at"})


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
                exit_code=CONFIG_EXIT,
            )
            for problem in problems
        ]
    findings = [
        *check_files(config),
        *check_inputs(config),
        *check_transforms(config),
        *check_state_directory(config.state_directory),
        *check_room(config),
        *check_identity(config),
        *check_output(config.output),
    ]
    lines = find_lines(path.read_text(encoding="utf-8"))
    located = [replace(finding, line=_line_of(finding.at, lines)) for finding in findings]
    return sorted(located, key=lambda finding: _SEVERITIES.index(finding.severity))


def _line_of(at: KeyPath, lines: dict[KeyPath, int]) -> int:
    """Where it stands; where its key is left out, the table; 0: neither is there."""
    for depth in range(len(at), 1, -1):
        if at[:depth] in lines:
            return lines[at[:depth]]
    return lines.get(at, 0)


def exit_code(findings: Iterable[Finding]) -> int:
    """2 where the configuration is wrong, 3 where the centre can't be reached, else 0."""
    codes = {finding.exit_code for finding in findings}
    return next((code for code in (CONFIG_EXIT, UNREACHABLE_EXIT) if code in codes), 0)


def render_text(path: Path, findings: Iterable[Finding]) -> str:
    """The findings, one a line."""
    lines = []
    for finding in findings:
        where = (
            f"{place_of(path, finding.line)}: "
            if finding.line or finding.exit_code == CONFIG_EXIT
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
            {name: getattr(finding, name) for name in Finding.__slots__ if name not in _INSIDE}
            for finding in found
        ],
    }
    return json.dumps(document, indent=2) + "\n"
