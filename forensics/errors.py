"""What can go wrong in forensics, grouped by who acts on it; each class is one exit code.

ForensicsError                1   failed
├── UsageError                2   fix the arguments or the configuration
├── UnreachableError          3   the store or AWS does not answer: retry
├── TimedOutError             4   it answered too late: retry, or narrow the question
├── PartialResultError        5   the result is real but incomplete: it says what is missing
├── IntegrityError            6   evidence does not match what it claims: stop, report
├── NotFoundError             7   nothing by that name
├── RefusedError              8   a floor, a budget or missing rights forbid it
│   └── StateConflictError    8   the thing's state forbids it now: read it again, decide again
└── UnsupportedError          1   this endpoint has no such call: go on without it

Interrupted by Ctrl-C: 130. An exception that is none of these is a bug, and says so.
"""

from __future__ import annotations


class ForensicsError(Exception):
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


class UsageError(ForensicsError):
    """An argument, an environment variable or a configuration file is wrong."""

    exit_code = 2


class UnreachableError(ForensicsError):
    """The store or AWS can't be reached, or refuses for now."""

    exit_code = 3


class TimedOutError(ForensicsError):
    """The answer did not come within the time that was given."""

    exit_code = 4


class PartialResultError(ForensicsError):
    """What came is real, but not all of it came."""

    exit_code = 5


class IntegrityError(ForensicsError):
    """Stored bytes, a journal or a custody log are not what they claim to be."""

    exit_code = 6


class NotFoundError(ForensicsError):
    """No instance, path, case or snapshot by that name."""

    exit_code = 7


class RefusedError(ForensicsError):
    """It was understood and not done: a floor, a budget, a lock or missing rights."""

    exit_code = 8


class StateConflictError(RefusedError):
    """AWS refused because of the state that the thing is in; read it again and decide again."""


class UnsupportedError(ForensicsError):
    """The endpoint, or this kind of instance, does not offer the call; the rest can go on."""
