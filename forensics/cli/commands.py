"""The options of this call as the next command needs them: what only a flag said is said again.

In: settings, an error. Out: words to put behind `forensics`. Pure.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from forensics.safe_text import safe_text

if TYPE_CHECKING:
    from forensics.config import Settings

_COMMAND: Final = re.compile(
    r"(?<=\bforensics)(?= (?:show|instances|report|quarantine|logs|raw)\b)"
)


def given_options(settings: Settings) -> str:
    """` --store X --region Y` of those settings that a flag gave; the environment stays."""
    return "".join(
        f" {flag} {shlex.quote(safe_text(value))}"
        for flag, value in (
            ("--store", settings.store),
            ("--evidence", str(settings.evidence)),
            ("--profile", settings.profile),
            ("--region", settings.region),
        )
        if value and settings.sources.get(flag[2:]) == flag
    )


def repeat_options(hint: str, given: str) -> str:
    """The hint with these options in each command that it names."""
    return _COMMAND.sub(lambda _: given, hint) if given else hint
