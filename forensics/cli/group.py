"""The `forensics` group: commands by what they are for, and an instance's id as a command.

In: the words of the command line. Out: the command to run. `forensics i-0abc…` is the TUI on that
instance; a word that is near to a command's name is a typing error, never an instance.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

import click

SECTIONS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Look", ("instances", "show", "logs", "raw")),
    ("Act", ("quarantine",)),
    ("Hand over", ("report",)),
    ("Centre", ("collector", "opensearch", "centre", "doctor", "demo")),
)
"""Every command stands in one section; the order is the help's."""

TUI: Final = "tui"
"""The hidden command that an id, or nothing, stands for."""


class SectionedGroup(click.Group):
    """Lists its commands by section, and takes an instance's id for a command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` name; an id is the TUI's argument."""
        name = args[0]
        if self.get_command(ctx, name) is None and is_instance_id(name, self.list_commands(ctx)):
            return TUI, self.get_command(ctx, TUI), args
        if self.get_command(ctx, name) is None:
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each section with its commands."""
        for title, names in SECTIONS:
            rows = [
                (name, command.get_short_help_str(80))
                for name in names
                if (command := self.get_command(ctx, name)) is not None
            ]
            with formatter.section(title):
                formatter.write_dl(rows)


def is_instance_id(word: str, commands: Sequence[str]) -> bool:
    """Whether `word`, which is no command, is meant as an instance's id.

    EC2's ids start with `i-`; hosts elsewhere have names that hold a digit, a dot or a dash.
    """
    if word.startswith("i-"):
        return True
    if word.startswith("-") or difflib.get_close_matches(word, commands, n=1, cutoff=0.75):
        return False
    return any(character.isdigit() or character in ".-" for character in word)
