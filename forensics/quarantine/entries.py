"""What a case's journal can say, as values: six kinds of entry, and the one place that knows them.

In: verified entries of the chain. Out: a frozen value for each. Pure. Steps, effects and outcomes
stay the words that were written, so that a journal can be read when a later version knows others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forensics.errors import IntegrityError
from forensics.evidence.chain import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What every entry has."""

    n: int
    """1 for the first."""
    at: str
    """30-character UTC text."""
    run: str
    """Which run wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(Written):
    """A run took its turn on the case."""

    who: str
    claim_sha256: str
    """The claim as it was when this run began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfCall(Written):
    """What entries about one call have."""

    step: str
    effect: str
    api: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended(OfCall):
    """It was about to be sent."""

    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(OfCall):
    """AWS accepted it."""

    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(OfCall):
    """AWS refused it, or no answer came."""

    reason: str
    """Hostile text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded(Written):
    """A step came to its end in this run."""

    step: str
    title: str
    outcome: str
    """A `StepState` that is an end."""
    message: str
    """Hostile text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Written):
    """A run came to the end of the plan."""

    outcome: str
    """An `Outcome`."""
    reasons: tuple[str, ...]
    """Hostile text."""


JournalEntry = Joined | Intended | Answered | Failed | StepEnded | RunEnded


def parse_entry(entry: Entry) -> JournalEntry:
    """The entry as a value.

    Raises:
        IntegrityError: it is none of the six kinds, or lacks what its kind has.
    """
    try:
        return _parse(entry, entry.body)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"entry {entry.n} of the journal can't be read",
            why=f"{type(error).__name__}: {error}",
            next_step="it was made by another version: read it with that one",
        ) from error


def _parse(entry: Entry, body: Mapping[str, Any]) -> JournalEntry:
    place: dict[str, Any] = {"n": entry.n, "at": entry.at, "run": str(body["run"])}
    match body["kind"]:
        case "joined":
            return Joined(**place, who=str(body["who"]), claim_sha256=str(body["claim_sha256"]))
        case "intent":
            return Intended(**place, **_call(body), parameters=body["parameters"])
        case "observed":
            return Answered(**place, **_call(body), detail=body["detail"])
        case "failed":
            return Failed(**place, **_call(body), reason=str(body["reason"]))
        case "step":
            return StepEnded(
                **place,
                step=str(body["step"]),
                title=str(body["title"]),
                outcome=str(body["outcome"]),
                message=str(body["message"]),
            )
        case "outcome":
            reasons = tuple(map(str, body["reasons"]))
            return RunEnded(**place, outcome=str(body["outcome"]), reasons=reasons)
        case kind:
            raise ValueError(f"no such kind: {kind!r}")


def _call(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(body[name]) for name in ("step", "effect", "api")}
