"""What the CLI says when something fails: text on stderr, JSON on stdout if asked for, a code.

In: an error. Out: the exit code. The classes' codes are in `forensics/errors.py`; an exception that
is none of ours is a bug, and its traceback goes to a file that the message names.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from typing import Final

import click

from forensics import __version__
from forensics.cli.output import narrate, write_json
from forensics.errors import ForensicsError, UsageError

ERROR_SCHEMA: Final = "afterimage.error/1"
INTERRUPTED: Final = 130
BUG: Final = 1


def report_failure(error: ForensicsError, *, as_json: bool) -> int:
    """Say what failed, why and what to do next."""
    narrate(f"error: {error.what}: {error.why}" if error.why else f"error: {error.what}")
    for line in error.next_step.splitlines():
        narrate(f"  → {line}")
    if as_json:
        write_json(
            ERROR_SCHEMA,
            {
                "error": {
                    "what": error.what,
                    "why": error.why,
                    "next_step": error.next_step,
                    "exit_code": error.exit_code,
                }
            },
        )
    return error.exit_code


def from_click(error: click.ClickException) -> UsageError:
    """A wrong command line, as one of our errors."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context is not None else "forensics"
    what, _, rest = error.format_message().partition("\n")
    return UsageError(
        what.rstrip("."), why=" ".join(rest.split()), next_step=f"see: {command} --help"
    )


def report_bug(error: Exception, *, as_json: bool) -> int:
    """Say that this is ours to mend, and where the traceback is."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get("AFTERIMAGE_DEBUG") == "1":
        sys.stderr.write(text)
        where = "the traceback above"
    else:
        where = _save_traceback(text)
    bug = ForensicsError(
        "this is a bug in forensics",
        why=f"{type(error).__name__}: {error}"[:500],
        next_step=f"report it with {where}; AFTERIMAGE_DEBUG=1 prints tracebacks",
    )
    return report_failure(bug, as_json=as_json)


def _save_traceback(text: str) -> str:
    head = (
        f"forensics {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"{sys.argv}\n\n"
    )
    try:
        descriptor, path = tempfile.mkstemp(prefix="afterimage-bug-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(head + text)
    except OSError as error:
        return f"the traceback (it could not be saved: {error})"
    return path
