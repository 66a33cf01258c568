"""`forensics doctor`: what this machine can reach and do, line by line, with the next step."""

from __future__ import annotations

import click

from forensics.cli.options import SETTINGS, Invocation, global_options

SCHEMA = "afterimage.doctor/1"


@click.command(
    short_help="Check settings, store, account, evidence folder.",
    help="""\b
forensics doctor --store ./logs.sqlite --region eu-west-1

Say what is installed, where each setting comes from, whether the store answers and refuses changes,
who you are in which account and region, whether evidence can be written, and how far the clocks
differ. Changes nothing. Exit code 1 if something that is configured does not work.
""",
)
@global_options(*SETTINGS)
@click.pass_obj
def doctor(invocation: Invocation) -> int:
    """Check everything that the other commands rely on."""
    from forensics.cli.checks import Status, run_checks
    from forensics.cli.output import write_json, write_line
    from forensics.cli.session import run_async
    from forensics.safe_text import safe_text

    checks = run_async(run_checks(invocation.settings()))
    failed = any(check.status is Status.FAIL for check in checks)
    if invocation.json:
        rows = [
            {
                "name": check.name,
                "status": str(check.status),
                "says": check.says,
                "next_step": check.next_step,
            }
            for check in checks
        ]
        write_json(SCHEMA, {"ok": not failed, "checks": rows})
        return int(failed)
    width = max(len(check.name) for check in checks)
    for check in checks:
        write_line(safe_text(f"{check.status:<4}  {check.name.ljust(width)}  {check.says}"))
        if check.next_step:
            write_line(safe_text(f"      {' ' * width}  → {check.next_step}"))
    return int(failed)
