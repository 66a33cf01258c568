"""The `shipper` command: arguments in, the right module called, an exit code out.

In: the command line. Out: data on stdout, narration on stderr; 0 ok, 1 failed, 2 usage or
configuration, 3 unreachable, 5 partial, 7 not found, 130 interrupted. It must never import at its
top what `--help` does not need, nor show a traceback for an error that has a name.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from shipper import __version__
from shipper.default_paths import CONFIG_FILE, STATE_DIRECTORY
from shipper.errors import ShipperError

if TYPE_CHECKING:  # pathlib alone would cost a tenth of the start
    from pathlib import Path

    from shipper.config import Config
    from shipper.wire.state import DeadLetter

_INTERRUPTED: Final = 130
_NOT_RUNNING: Final = 3
_NOT_FOUND: Final = 7
_HELP_COLUMNS: Final = 96

SUMMARY: Final = "Ships a machine's logs to where they outlive it."
COMMANDS: Final = {
    "check": "tell all that is wrong in a configuration, and on this machine",
    "bake": "install the shipper into a mounted image root",
    "run": "ship until SIGTERM, or the end of standard input where that is all, then drain",
    "status": "tell how the running shipper fares: what is behind, since when, and what to do",
    "dead-letters": "list what the centre refused for good, or send it again",
}
GROUPS: Final = (
    ("Set up", ("check", "bake")),
    ("Run", ("run",)),
    ("Look", ("status", "dead-letters")),
)
EPILOG: Final = """\
exit codes: 0 ok · 1 failed · 2 usage or configuration · 3 unreachable, retry · 5 partial result ·
7 not found · 130 interrupted
stdout is data, stderr is narration; --json output carries its schema and version.
"""

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parsed = _parse(build_parser(), arguments)
    command: Command = parsed.command
    try:
        code = command(parsed)
        sys.stdout.flush()
    except ShipperError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        # The reader has seen enough (`| head`); Python's own flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename or 'see above'}", 1)
    return code


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """As `parse_args`, and ids may stand behind options, which argparse takes from a command."""
    parsed, rest = parser.parse_known_args(arguments)
    ids: list[str] | None = getattr(parsed, "ids", None)
    if rest and (ids is None or any(one.startswith("-") for one in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if ids is not None:
        ids += rest
    return parsed


def _fail(text: str, code: int) -> int:
    from shipper.narration import narrate

    narrate("error", text)
    return code


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = _parser(argparse.ArgumentParser, prog="shipper", epilog=EPILOG)
    parser.description = SUMMARY + "".join(
        f"\n\n{title}:\n" + "\n".join(f"  {name:<14}{COMMANDS[name]}" for name in names)
        for title, names in GROUPS
    )
    parser.add_argument("--version", action="version", version=f"shipper {__version__}")
    # listed above, in groups, which argparse has not
    parser.usage = "shipper [-h] [--version] COMMAND ..."
    commands = parser.add_subparsers(
        prog="shipper", metavar="COMMAND", required=True, help=argparse.SUPPRESS
    )

    def add(name: str, command: Command) -> argparse.ArgumentParser:
        sub = _parser(commands.add_parser, name, description=COMMANDS[name])
        sub.set_defaults(command=command)
        return sub

    check = add("check", _check)
    _add_config(check)
    _add_json(check)

    _add_bake(add("bake", _bake))

    run = add("run", _run)
    _add_config(run)

    status = add("status", _status)
    _add_state(status)
    _add_json(status)

    letters = add("dead-letters", _dead_letters)
    letters.add_argument(
        "action",
        choices=["list", "redrive"],
        help="list: one line for each; redrive: send them again, stored ones leave the list",
    )
    letters.add_argument("ids", nargs="*", metavar="ID", help="an id, or its start (default: all)")
    _add_state(letters)
    _add_json(letters)
    return parser


def _parser(
    build: Callable[..., argparse.ArgumentParser], *names: str, **settings: str
) -> argparse.ArgumentParser:
    return build(
        *names,
        allow_abbrev=False,  # a new option must not break somebody's script
        formatter_class=_HelpFormatter,
        **settings,
    )


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Asks the terminal itself for its width: argparse would import shutil and its codecs."""

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size(sys.stdout.fileno()).columns
        except (OSError, ValueError):
            columns = _HELP_COLUMNS
        super().__init__(prog, width=min(columns - 2, _HELP_COLUMNS))


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=CONFIG_FILE,
        help="default: %(default)s",
    )


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help=f"the shipper's configuration ({CONFIG_FILE})",
    )
    parser.add_argument(
        "--state", metavar="DIR", help="the state folder, instead of the configuration's"
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _add_bake(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", metavar="DIR", required=True, help="the image's mounted root")
    parser.add_argument("-c", "--config", metavar="FILE", help="the configuration to bake in")
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if something is off"
    )
    action.add_argument(
        "--remove", action="store_true", help="take out exactly what bake has installed"
    )
    _add_json(parser)


def _run(parsed: argparse.Namespace) -> int:
    from shipper import agent
    from shipper.config_rules import output_warnings
    from shipper.identity import find_identity
    from shipper.narration import narrate

    config = _load_config(parsed.config)
    for warning in output_warnings(config.output):
        narrate("warning", warning)
    identity = find_identity(config.identity)
    narrate("info", f"{__version__}: {identity.instance_id} ships to {config.output.urls[0]}")
    return agent.run(config, identity)


def _check(parsed: argparse.Namespace) -> int:
    from pathlib import Path

    from shipper.check import check_file, exit_code, render_json, render_text

    path = Path(parsed.config)
    findings = check_file(path)
    sys.stdout.write((render_json if parsed.json else render_text)(path, findings))
    return exit_code(findings)


def _status(parsed: argparse.Namespace) -> int:
    from shipper.status import load_status, render_json
    from shipper.status_text import render_text

    status = load_status(_state_directory(parsed))
    sys.stdout.write((render_json if parsed.json else render_text)(status))
    return 0 if status.is_running else _NOT_RUNNING


def _dead_letters(parsed: argparse.Namespace) -> int:
    from shipper.dead_letters import choose_letters, load_dead_letters, render_json, render_text
    from shipper.narration import narrate

    directory = _state_directory(parsed)
    found, unreadable = load_dead_letters(directory)
    letters = choose_letters(found, parsed.ids)
    if unreadable:
        narrate("warning", f"lines that can't be read: {', '.join(map(str, unreadable))}")
    if parsed.ids and not letters:
        return _fail(f"no dead letter in {directory} has an id that starts so", _NOT_FOUND)
    if parsed.action == "redrive":
        return _redrive(parsed, directory, letters)
    if parsed.json:
        sys.stdout.write(render_json(directory, letters, unreadable))
    else:
        sys.stdout.write(render_text(letters))
        narrate("info", f"{len(letters)} dead letters in {directory}")
    return 0


def _redrive(parsed: argparse.Namespace, directory: Path, letters: Sequence[DeadLetter]) -> int:
    from shipper.dead_letters import load_dead_letters
    from shipper.narration import narrate
    from shipper.redrive import render_json, run_redrive

    config = _load_config(parsed.config or CONFIG_FILE)
    done = run_redrive(
        directory, config.output, letters, narrate=lambda text: narrate("info", text)
    )
    left, _ = load_dead_letters(directory)
    if parsed.json:
        sys.stdout.write(render_json(done, len(left)))
    for letter_id, why in (*done.refused.items(), *done.put_off.items()):
        narrate("warning", f"{letter_id}: {why}")
    if done.error:
        narrate("error", f"{done.error}\n  → nothing is lost: run it again once the centre answers")
    narrate("info", f"{len(done.stored)} stored, {len(left)} dead letters left in {directory}")
    return done.exit_code


def _bake(parsed: argparse.Namespace) -> int:
    from pathlib import Path

    from shipper.bake.command import run_bake

    return run_bake(
        Path(parsed.root),
        config_file=Path(parsed.config) if parsed.config else None,
        action="check" if parsed.check else "remove" if parsed.remove else "install",
        as_json=parsed.json,
    )


def _state_directory(parsed: argparse.Namespace) -> Path:
    from pathlib import Path

    if parsed.state:
        return Path(parsed.state)
    if parsed.config or Path(CONFIG_FILE).exists():
        return _load_config(parsed.config or CONFIG_FILE).state_directory
    return Path(STATE_DIRECTORY)


def _load_config(file: str) -> Config:
    from pathlib import Path

    from shipper.config_reader import load_config

    return load_config(Path(file))
