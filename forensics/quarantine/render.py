"""A plan as text for a person, as JSON for a program, and back from JSON.

In: a plan, or its JSON. Out: text of which every line passed `safe_text`, or a JSON-safe mapping.
Pure. Must never show less than what will be sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from forensics.errors import IntegrityError
from forensics.quarantine.model import Call, Effect, Mode, Options, Plan, Step, StepId
from forensics.safe_text import safe_text

SCHEMA: Final = "afterimage.quarantine-plan/1"


def render_plan(plan: Plan) -> str:
    """What `--dry-run` prints."""
    options = plan.options
    said = [f"mode {options.mode}"]
    if options.keep_running:
        said.append("keeps running")
    if options.accept_outage:
        said.append("outage accepted")
    lines = [
        f"Quarantine of {plan.instance_id}: {', '.join(said)}",
        f"  account {plan.account_id}, region {plan.region}"
        + (f", endpoint {plan.endpoint} (not AWS)" if plan.endpoint else ""),
        f"  as {plan.caller_arn}",
        f"  case {plan.case_id}, facts of {plan.planned_at}",
    ]
    lines += [f"  ! {note}" for note in plan.notes]
    lines += [f"  lost: {loss}" for loss in plan.losses]
    for number, step in enumerate(plan.steps, start=1):
        lines += ["", *_step_lines(number, step)]
    if plan.steps:
        lines += ["", "Each call is sent only if what it brings about is not so already."]
        lines += ["Read again before the run, since they may change:"]
        lines += [f"  - {fact}" for fact in plan.rechecked]
    # No line is cut: what will be sent is shown whole.
    return "".join(f"{safe_text(line, max(len(line), 1))}\n" for line in lines)


def _step_lines(number: int, step: Step) -> Sequence[str]:
    undo = step.undo if step.is_reversible else "can't be undone"
    return [
        f"{number}. {step.title}  [{step.id}]",
        *(
            f"     {call.api} {json.dumps(call.parameters, sort_keys=True, ensure_ascii=False)}"
            for call in step.calls
        ),
        f"   needs: {step.precondition}",
        f"   risk:  {step.risk}",
        f"   undo:  {undo}",
    ]


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
