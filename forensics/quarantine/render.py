"""A plan as text for a person.

In: a plan. Out: text of which every line passed `safe_text`. Pure.
Must never show less than what will be sent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from forensics.quarantine.model import Plan, Step
from forensics.safe_text import safe_text


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
