"""`forensics`: the command group, and the one place where errors become text and exit codes.

In: the command line. Out: an exit code. Start-up is part of its promise: this module and those of
the commands import click and the error classes alone; each command imports its work when it runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import click

from forensics import __version__
from forensics.cli.centre import centre, collector, opensearch
from forensics.cli.demo import demo
from forensics.cli.doctor import doctor
from forensics.cli.failures import INTERRUPTED, from_click, report_bug, report_failure
from forensics.cli.group import SectionedGroup
from forensics.cli.instances import instances
from forensics.cli.logs import logs
from forensics.cli.options import SETTINGS, Invocation, global_options
from forensics.cli.output import narrate
from forensics.cli.quarantine import quarantine
from forensics.cli.raw import raw
from forensics.cli.report import report
from forensics.cli.show import show
from forensics.cli.tui import tui
from forensics.errors import ForensicsError

HELP = """\b
forensics i-0123456789abcdef0        open the terminal interface on an instance
forensics show i-0123456789abcdef0   the same answer as text
forensics demo                       the whole story on this machine

What remains of a server after it was replaced: its last words, why it died, whether anything is
missing, and a report to hand over. `forensics` alone opens the terminal interface.
"""
EPILOG = """\b
Exit codes: 0 ok · 1 failed · 2 usage or configuration · 3 unreachable, retry · 4 timed out ·
5 partial result · 6 integrity check failed · 7 not found · 8 refused · 130 interrupted.

stdout is data, stderr is narration. Times are UTC.
"""


@click.group(
    cls=SectionedGroup,
    help=HELP,
    epilog=EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="[ID] | COMMAND [ARGS]...",
)
@click.version_option(__version__, prog_name="forensics")
@global_options(*SETTINGS)
@click.pass_context
def cli(context: click.Context) -> int:
    """The group; without a command it is the TUI."""
    if context.invoked_subcommand is None:
        return int(context.invoke(tui))
    return 0


for command in (
    *(instances, show, logs, raw, quarantine, report),
    *(collector, opensearch, centre, doctor, demo, tui),
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    invocation = Invocation()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a locale that lacks a sign must not end the command
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(words, invocation)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has had enough (`| head`): quiet, as every filter is, also at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _run(words: list[str], invocation: Invocation) -> int:
    as_json = "--json" in words
    try:
        # Not cli.main(): it would end a broken pipe with 1, and answer Ctrl-C itself.
        with cli.make_context("forensics", words, obj=invocation) as context:
            return int(cli.invoke(context) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except ForensicsError as error:
        return report_failure(_with_options(error, invocation), as_json=as_json)
    except click.ClickException as error:
        return report_failure(from_click(error), as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        with contextlib.suppress(OSError):
            narrate("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary: what is not ours is a bug
        return report_bug(error, as_json=as_json)


def _with_options(error: ForensicsError, invocation: Invocation) -> ForensicsError:
    """The error, its next step with the options that this call was given."""
    from forensics.cli.commands import given_options, repeat_options

    with contextlib.suppress(ForensicsError):  # settings that are wrong are the error itself
        error.next_step = repeat_options(error.next_step, given_options(invocation.settings()))
    return error


if __name__ == "__main__":
    sys.exit(main())
