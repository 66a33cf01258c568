"""What can go wrong in the shipper, grouped by who acts on it.

ShipperError
├── ConfigError         the one who wrote the configuration: fix it (exit 2)
├── UnreachableError    nobody: the shipper retries for ever (exit 3 from a one-shot command)
└── StateError          the one who runs the machine: the state folder can't be used (exit 1)
    └── StateReusedError  nobody: the shipper begins a new stream, and reads every file again

Each says what failed, why, and what to do next.
"""

from __future__ import annotations


class ShipperError(Exception):
    """Base; its text is what a person reads: what failed, why, and what to do next."""

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", next_step: str = "") -> None:
        self.what = what
        self.why = why
        self.next_step = next_step
        super().__init__(what, why, next_step)

    def __str__(self) -> str:
        text = f"{self.what}: {self.why}" if self.why else self.what
        return f"{text}\n  → {self.next_step}" if self.next_step else text


class ConfigError(ShipperError):
    """The configuration, an argument or a file it names is wrong."""

    exit_code = 2


class UnreachableError(ShipperError):
    """The centre, or IMDS, does not answer or refuses for now."""

    exit_code = 3


class StateError(ShipperError):
    """The state folder can't be read or written, or another shipper holds it."""


class StateReusedError(StateError):
    """The state folder was used before from where it stands now: reverted, copied or cut short."""
