"""The surface that scripts rely on: commands, options, exit codes, JSON keys, generated pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from forensics import errors
from forensics.cli import documents
from forensics.cli.group import SECTIONS, TUI
from forensics.cli.instances import STATES
from forensics.cli.logs import LEVELS
from forensics.cli.main import cli
from forensics.cli.quarantine import EXIT_CODES
from forensics.cli.reference import PAGES
from forensics.findings.rank import find_all
from forensics.ledger.model import InstanceState
from forensics.quarantine.model import Mode
from forensics.quarantine.result import Outcome
from forensics.report.write import RENDERINGS
from shipper.wire import levels
from tests.forensics.findings.observed import observe
from tests.forensics.report.models import build_model

DOCS = Path(__file__).parents[2] / "docs"

FIXED = {
    "instances": {"--state"},
    "show": set(),
    "logs": {
        *("--since", "--until", "--match", "--grep", "--level", "--path", "--limit", "--all"),
        *("--timeline", "--jsonl"),
    },
    "raw": {"--list", "-o", "--force"},
    "quarantine": {
        *("--mode", "--dry-run", "--verbose", "--confirm", "--keep-running", "--accept-outage"),
        *("--floor", "--wait-snapshots"),
    },
    "report": {"-o", "--format"},
    "collector": {"--listen"},
    "opensearch up": {"--port", "--heap", "--data"},
    "centre install": {"--replicas"},
    "centre check": {"--replicas"},
    "doctor": set(),
    "demo": {"--headless", "--scenario"},
}
"""Commands and their own options: more may come, none of these may go."""

EVERYWHERE = {"--json", "--no-color"}
ACCOUNT = {"--profile", "--region"}
SETTINGS = {"--store", *ACCOUNT, "--evidence"}
USED = {
    "instances": {"--store", *ACCOUNT},
    "show": SETTINGS,
    "logs": {"--store", *ACCOUNT},
    "raw": {"--store"},
    "quarantine": SETTINGS,
    "report": SETTINGS,
    "collector": {"--store"},
    "opensearch up": set(),
    "centre install": {"--store"},
    "centre check": {"--store"},
    "doctor": SETTINGS,
    "demo": {"--store"},
    TUI: SETTINGS,
}
"""The settings that each command uses, and so offers: no option that does nothing."""


def _leaves(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


COMMANDS = dict(_leaves(cli))


def _options(command: click.Command) -> set[str]:
    return {word for parameter in command.params for word in parameter.opts if word[0] == "-"}


@pytest.mark.parametrize("name", FIXED)
def test_commands_and_options_that_others_script_are_there(name: str) -> None:
    """Each fixed command has its fixed options, and the ones that every command takes."""
    options = _options(COMMANDS[name])

    assert set() == (FIXED[name] | EVERYWHERE) - options


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_offers_the_settings_that_it_uses_and_no_other(name: str) -> None:
    """`--profile` of a collector would be a promise that nothing keeps."""
    assert USED[name] == _options(COMMANDS[name]) & SETTINGS


def test_every_setting_may_stand_before_any_command() -> None:
    """One line of the shell's history serves for all of them."""
    assert set() == (SETTINGS | EVERYWHERE) - _options(cli)


def test_every_command_is_fixed_here_and_stands_in_a_section() -> None:
    """A command that is added is added to the contract and to the help, too."""
    sections = {name for _, names in SECTIONS for name in names}

    assert set(FIXED) | {TUI} == set(COMMANDS)
    assert sections | {TUI} == set(cli.commands)


@pytest.mark.parametrize("name", [*COMMANDS, "opensearch", "centre"])
def test_every_help_starts_with_an_example_of_that_command(name: str) -> None:
    """The first thing to read is a line that can be copied; then comes what it does."""
    command: click.Command = cli
    for part in name.split():
        assert isinstance(command, click.Group)
        command = command.commands[part]

    mark, example, *rest = (command.help or "").splitlines()
    assert "\b" == mark
    assert example.startswith("forensics " if name == TUI else f"forensics {name}")
    assert any(line.endswith(".") for line in rest)
    assert command.short_help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str) -> None:
    """An option without words is one that nobody can use."""
    silent = [
        option.opts
        for option in COMMANDS[name].params
        if isinstance(option, click.Option) and not option.help
    ]

    assert [] == silent


@pytest.mark.parametrize("page", PAGES)
def test_generated_pages_are_as_generated(page: str) -> None:
    """Docs can't drift: `python -m forensics.cli.reference` writes what is committed."""
    assert PAGES[page]() == (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != TUI])
def test_every_command_has_its_entry_in_the_docs(name: str) -> None:
    """docs/cli.md has a heading for each."""
    assert f"### forensics {name}\n" in (DOCS / "cli.md").read_text(encoding="utf-8")


def test_exit_codes_are_what_they_always_were() -> None:
    """They are an API: a class may be added, no code may change its meaning."""
    codes = {
        "ForensicsError": 1,
        "UsageError": 2,
        "UnreachableError": 3,
        "TimedOutError": 4,
        "PartialResultError": 5,
        "IntegrityError": 6,
        "NotFoundError": 7,
        "RefusedError": 8,
    }

    assert codes == {name: getattr(errors, name).exit_code for name in codes}
    assert {"complete": 0, "degraded": 5, "lost": 1} == EXIT_CODES
    assert set(EXIT_CODES) == {str(outcome) for outcome in Outcome}


def test_choices_on_the_command_line_are_the_values_behind_them() -> None:
    """Written out there to keep start-up small; equal here to keep them true."""
    mode = next(p for p in COMMANDS["quarantine"].params if p.name == "mode")

    assert {str(state) for state in InstanceState} == set(STATES)
    assert levels.LEVELS == LEVELS
    assert isinstance(mode.type, click.Choice)
    assert {str(mode) for mode in Mode} == set(mode.type.choices)
    assert {"html", "md"} == set(RENDERINGS)


def test_keys_of_show_are_stable() -> None:
    """What a script reads from `show --json`; keys may be added, none may go."""
    document = documents.show_document(build_model("x"), [])

    assert _keys(document) >= {
        *("instance", "answer", "cause", "findings", "completeness", "quarantine", "snapshots"),
        *("peers", "warnings", "next"),
    }
    assert _keys(document["completeness"]) >= {
        *("statement", "stored_bytes", "missing_bytes", "sources"),
    }
    assert _keys(document["completeness"]["sources"][0]) >= {
        *("path", "verdict", "stored_bytes", "missing_bytes", "holes", "sources"),
        *("kind", "dropped_bytes", "dropped", "masked_bytes", "masked_records", "journal"),
    }
    assert _keys(document["completeness"]["sources"][0]["holes"][0]) >= {"start", "end", "reason"}
    assert _keys(document["instance"]) >= {
        *("instance_id", "state", "state_reason", "image_id", "group", "availability_zone"),
        *("launched_at", "last_sign_at", "last_word_at", "last_word", "closed", "case_id"),
    }


def test_keys_of_a_finding_are_stable() -> None:
    """Each claim with the `_id` of what it rests on."""
    finding = documents.finding_document(find_all(observe("MemoryError"))[0])

    assert {"name", "title", "statement", "confidence", "evidence"} == _keys(finding)
    assert {"_id", "at", "where", "quote"} == _keys(finding["evidence"][0])


def test_schemas_carry_a_name_and_a_version() -> None:
    """`afterimage.NAME/N` everywhere."""
    schemas = [value for name, value in vars(documents).items() if name.endswith("_SCHEMA")]

    assert len(schemas) >= 4
    for schema in schemas:
        name, _, version = schema.partition("/")
        assert name.startswith("afterimage.")
        assert version.isdigit()


def _keys(document: object) -> set[str]:
    assert isinstance(document, dict)
    return set(document)
