"""A quarantine's plan as a screenful: a line a step. `--verbose` and `--json` have every call.

In: a plan, the evidence folder. Out: text of which every line passed `safe_text`. Pure.
"""

from __future__ import annotations

from forensics.quarantine.model import Plan
from forensics.safe_text import safe_text


def render_short_plan(plan: Plan, evidence: str) -> str:
    """What is done where, in which order, what to know before, and where it is written down."""
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
        f"  case {plan.case_id}, evidence in {evidence}",
        *(f"  {'!' if is_warning(note) else '-'} {note}" for note in plan.notes),
        *(f"  ! lost: {loss}" for loss in plan.losses),
    ]
    if plan.steps:
        lines.append("")
    for number, step in enumerate(plan.steps, start=1):
        back = "reversible" if step.is_reversible else "can't be undone"
        lines.append(f"{number:>2}. {step.title} ({back})")
    if plan.steps:
        lines += ["", "Each call is sent only if it is not so already; --verbose shows them all."]
    return "".join(f"{safe_text(line)}\n" for line in lines)


def is_warning(note: str) -> bool:
    """Whether a note is one to stop at; whose it is and what stays well are not."""
    if note == "a replacement will come":
        return False
    if note.startswith("target group ") and not note.endswith(" keeps 0 healthy targets"):
        return False
    return not note.startswith(("owner: Auto Scaling group ", "classic load balancers "))
