"""The options that stand before any command's name, and after it where it uses them.

In: click's parameters. Out: one `Invocation` for the whole call, from which `Settings` come. Import
this as a command module does: it costs click and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from forensics.config import Settings

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(slots=True, kw_only=True)
class Invocation:
    """What the global options said; None: not given."""

    store: str | None = None
    evidence: str | None = None
    profile: str | None = None
    region: str | None = None
    json: bool = False
    no_color: bool = False

    def settings(self) -> Settings:
        """The settings of this call; `UsageError` where a value is none."""
        from forensics.config import Settings

        return Settings.resolve(
            store=self.store, evidence=self.evidence, profile=self.profile, region=self.region
        )

    def use_color(self) -> bool:
        """Whether stdout may carry colour: a terminal that has it, and nobody said no."""
        return (
            not self.no_color
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM") != "dumb"
            and sys.stdout.isatty()
        )


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    invocation = context.find_root().ensure_object(Invocation)
    if value is not None and value is not False:
        setattr(invocation, str(parameter.name), value)


SETTINGS: Final = ("store", "profile", "region", "evidence")
"""The options that make `Settings`: a command offers those that it uses."""
_ALWAYS: Final = ("json", "no_color")
"""Manners, which every command has."""
_OPTIONS: Final = {
    "store": click.option(
        "--store",
        metavar="WHERE",
        expose_value=False,
        callback=_remember,
        help="sqlite:PATH, PATH or http(s)://HOST:PORT of the logs (AFTERIMAGE_STORE).",
    ),
    "profile": click.option(
        "--profile",
        metavar="NAME",
        expose_value=False,
        callback=_remember,
        help="AWS profile (AWS_PROFILE).",
    ),
    "region": click.option(
        "--region",
        metavar="NAME",
        expose_value=False,
        callback=_remember,
        help="AWS region (AWS_REGION, AWS_DEFAULT_REGION).",
    ),
    "evidence": click.option(
        "--evidence",
        metavar="DIR",
        expose_value=False,
        callback=_remember,
        help="Folder of journals and custody logs (AFTERIMAGE_EVIDENCE).",
    ),
    "json": click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_remember,
        help="One JSON document on stdout, errors included.",
    ),
    "no_color": click.option(
        "--no-color",
        is_flag=True,
        expose_value=False,
        callback=_remember,
        help="No colour (NO_COLOR).",
    ),
}


def global_options(*settings: str) -> Callable[[Decorated], Decorated]:
    """Decorates a command, or the group, with the settings that it uses and with the manners."""

    def decorate(command: Decorated) -> Decorated:
        for name in reversed((*settings, *_ALWAYS)):
            command = _OPTIONS[name](command)
        return command

    return decorate
