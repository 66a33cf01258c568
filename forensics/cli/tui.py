"""What `forensics` and `forensics ID` stand for: the terminal interface."""

from __future__ import annotations

import os
import sys

import click

from forensics.cli.options import SETTINGS, Invocation, global_options
from forensics.errors import UsageError


@click.command(
    hidden=True,
    short_help="Open the terminal interface.",
    help="""\b
forensics i-0123456789abcdef0

Open the terminal interface, on an instance if one is given. `forensics` alone does the same.
""",
)
@click.argument("instance", metavar="[ID]", required=False)
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal, for selecting.")
@global_options(*SETTINGS)
@click.pass_obj
def tui(invocation: Invocation, instance: str | None = None, *, no_mouse: bool = False) -> int:
    """Open the terminal interface."""
    if invocation.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        what = f"forensics show {instance}" if instance else "forensics instances"
        raise UsageError(
            "the terminal interface needs a terminal",
            why="--json was given" if invocation.json else "stdin or stdout is none",
            next_step=f"use: {what} (also with --json); `forensics --help` lists the rest",
        )
    settings = invocation.settings()
    if invocation.no_color:
        os.environ["NO_COLOR"] = "1"  # where Textual looks
    from forensics.tui.app import run_tui

    return run_tui(settings, instance, mouse=not no_mouse)
