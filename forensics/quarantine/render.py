"""A plan as text for a person.

In: a plan. Out: text of which every line passed `safe_text`. Pure.
`render_plan` must never show less than what will be sent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from forensics.quarantine.model import Plan, Step
from forensics.safe_text import safe_text


def render_short_plan(plan: Plan, evidence: str) -> str:
    """The plan as a screenful: a line a step, and where it is written down."""
    lines = [*_head(plan), f"  evidence in {evidence}", *_notes(plan)]
    if plan.steps:
        lines.append("")
    for number, step in enumerate(plan.steps, start=1):
        back = "reversible" if step.is_reversible else "can't be undone"
        lines.append(f"{number:>2}. {step.title} ({back})")
    if plan.steps:
        lines += ["", "Each call is sent only if it is not so already; --verbose shows them all."]
    return "".join(f"{safe_text(line)}\n" for line in lines)


def render_plan(plan: Plan) -> str:
    """The whole plan, every call with its parameters."""
    lines = [*_head(plan), f"  facts of {plan.planned_at}", *_notes(plan)]
    for number, step in enumerate(plan.steps, start=1):
        lines += ["", *_step_lines(number, step)]
    if plan.steps:
        lines += ["", "Each call is sent only if what it brings about is not so already."]
        lines += ["Read again before the run, since they may change:"]
        lines += [f"  - {fact}" for fact in plan.rechecked]
    # No line is cut: what will be sent is shown whole.
    return "".join(f"{safe_text(line, max(len(line), 1))}\n" for line in lines)


def is_warning(note: str) -> bool:
    """Whether a note is one to stop at; whose it is and what stays well are not."""
    if note == "a replacement will come":
        return False
    if note.startswith("target group ") and not note.endswith(" keeps 0 healthy targets"):
        return False
    return not note.startswith(("owner: Auto Scaling group ", "classic load balancers "))


def _head(plan: Plan) -> Sequence[str]:
    """Which instance, how, where and as whom."""
    options = plan.options
    said = [f"mode {options.mode}"]
    if options.keep_running:
        said.append("keeps running")
    if options.accept_outage:
        said.append("outage accepted")
    endpoint = f", endpoint {plan.endpoint} (not AWS)" if plan.endpoint else ""
    return (
        f"Quarantine of {plan.instance_id}: {', '.join(said)}",
        f"  account {plan.account_id}, region {plan.region}{endpoint}",
        f"  as {plan.caller_arn}",
        f"  case {plan.case_id}",
    )


def _notes(plan: Plan) -> Sequence[str]:
    """What a person should know before saying yes."""
    notes = (f"  {'!' if is_warning(note) else '-'} {note}" for note in plan.notes)
    return (*notes, *(f"  ! lost: {loss}" for loss in plan.losses))


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
