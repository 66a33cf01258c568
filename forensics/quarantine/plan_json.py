"""A plan as JSON, for a program and for the claim that holds it, and back.

In: a plan, or its JSON. Out: a JSON-safe mapping with its schema, or the same plan. Pure.
Must never read a plan other than the one that was written: what it does not know it refuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from forensics.errors import IntegrityError
from forensics.quarantine.model import Call, Effect, Mode, Options, Plan, Step, StepId

SCHEMA: Final = "afterimage.quarantine-plan/1"


def to_json(plan: Plan) -> Mapping[str, Any]:
    """The plan as a JSON-safe mapping with its schema."""
    body: Mapping[str, Any] = json.loads(json.dumps(asdict(plan)))
    return {"schema": SCHEMA, **body}


def from_json(body: Mapping[str, Any]) -> Plan:
    """The plan that `to_json` gave.

    Raises:
        IntegrityError: it is none.
    """
    if body.get("schema") != SCHEMA:
        raise _unreadable(f"its schema is {body.get('schema')!r}, not {SCHEMA!r}")
    try:
        fields = {key: value for key, value in body.items() if key != "schema"}
        options = fields["options"]
        for name in ("volume_ids", "notes", "losses", "rechecked"):
            fields[name] = tuple(fields[name])
        fields["options"] = Options(**{**options, "mode": Mode(options["mode"])})
        fields["steps"] = tuple(_parse_step(step) for step in fields["steps"])
        return Plan(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error


def _unreadable(why: str) -> IntegrityError:
    return IntegrityError(
        "the stored plan can't be read",
        why=why,
        next_step="it was altered, or made by another version: compare it with another copy",
    )


def _parse_step(fields: Mapping[str, Any]) -> Step:
    calls = tuple(
        Call(effect=Effect(call["effect"]), api=call["api"], parameters=call["parameters"])
        for call in fields["calls"]
    )
    return Step(**{**fields, "id": StepId(fields["id"]), "calls": calls})
