"""`forensics quarantine`: set a faulty instance aside, by a plan that one can read first."""

from __future__ import annotations

import asyncio
import shlex
import sys
from typing import TYPE_CHECKING, Final

import click

from forensics.cli.options import SETTINGS, Invocation, global_options
from forensics.errors import ForensicsError, RefusedError

if TYPE_CHECKING:
    from forensics.config import Settings
    from forensics.ports import Account
    from forensics.quarantine.model import Plan
    from forensics.quarantine.result import QuarantineResult, StepReport
    from forensics.store.protocol import Store

_REMEMBER_SECONDS: Final = 60
EXIT_CODES = {"complete": 0, "degraded": 5, "lost": 1}


@click.command(
    short_help="Set an instance aside, with its disks.",
    help="""\b
forensics quarantine i-0123456789abcdef0 --dry-run
forensics quarantine i-0123456789abcdef0 --confirm i-0123456789abcdef0

Take a faulty instance out of its group, snapshot its disks, isolate it, stop it, snapshot again.
The plan names every step, in which account and region; --verbose every call. Nothing is deleted.
A run that was cut off goes on where it stopped; a second run changes nothing.

Exit codes: 0 complete, 5 degraded, 1 lost, 8 refused. The plan and the steps go to stderr, the
result to stdout; with --dry-run the plan is the result.
""",
)
@click.argument("instance", metavar="ID")
@click.option(
    "--mode",
    type=click.Choice(("fault", "attack")),
    default="fault",
    show_default=True,
    help="fault: the disk first. attack: the isolation first.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan, and do nothing.")
@click.option("--verbose", is_flag=True, help="The plan with every call, risk and way back.")
@click.option("--confirm", metavar="ID", help="The instance's id again: yes, do it.")
@click.option("--keep-running", is_flag=True, help="Isolate it, but do not stop it.")
@click.option("--accept-outage", is_flag=True, help="Go on though too few healthy others are left.")
@click.option(
    "--floor",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Healthy others that must be left in its group and target groups.",
)
@click.option("--wait-snapshots", is_flag=True, help="Wait until the snapshots can be read.")
@global_options(*SETTINGS)
@click.pass_obj
def quarantine(
    invocation: Invocation,
    instance: str,
    mode: str,
    dry_run: bool,
    verbose: bool,
    confirm: str | None,
    keep_running: bool,
    accept_outage: bool,
    floor: int,
    wait_snapshots: bool,
) -> int:
    """Set an instance aside."""
    from forensics.cli.commands import given_options
    from forensics.cli.output import narrate, write_json, write_line
    from forensics.cli.session import run_async
    from forensics.quarantine.facts import fetch_facts
    from forensics.quarantine.model import Mode
    from forensics.quarantine.plan import plan_quarantine
    from forensics.quarantine.plan_json import to_json
    from forensics.quarantine.render import render_plan, render_short_plan
    from forensics.session import connect_account

    settings = invocation.settings()
    account = connect_account(settings)
    plan = plan_quarantine(
        fetch_facts(account, instance),
        mode=Mode(mode),
        keep_running=keep_running,
        accept_outage=accept_outage,
        floor=floor,
    )
    given = given_options(settings)
    text = render_plan(plan) if verbose else render_short_plan(plan, str(settings.evidence))
    if dry_run:
        if invocation.json:
            body = dict(to_json(plan))
            write_json(str(body.pop("schema")), body)
        else:
            write_line(text.rstrip("\n"))
            if plan.steps:
                write_line(_carry_out(given, plan, wait_snapshots=wait_snapshots))
        return 0
    sys.stderr.write(text)
    if plan.steps:
        _require_confirmation(instance, confirm)
    result = run_async(_run(settings, account, plan, wait_snapshots=wait_snapshots))
    if invocation.json:
        body = dict(result.to_json())
        write_json(str(body.pop("schema")), body)
    else:
        _say_result(result)
    for command in ("show {}", "report {} -o ."):
        narrate(f"next: forensics{given} {command.format(shlex.quote(result.instance_id))}")
    return EXIT_CODES[str(result.outcome)]


def _carry_out(given: str, plan: Plan, *, wait_snapshots: bool) -> str:
    """The command that does what the plan says: the same options, and the id typed again."""
    from forensics.safe_text import safe_text

    options = plan.options
    instance = shlex.quote(plan.instance_id)
    words = [
        f"forensics{given} quarantine {instance}",
        *([f"--mode {options.mode}"] if str(options.mode) != "fault" else []),
        *(["--keep-running"] if options.keep_running else []),
        *(["--accept-outage"] if options.accept_outage else []),
        *([f"--floor {options.floor}"] if options.floor != 1 else []),
        *(["--wait-snapshots"] if wait_snapshots else []),
        f"--confirm {instance}",
    ]
    return safe_text(" ".join(words))


async def _run(
    settings: Settings, account: Account, plan: Plan, *, wait_snapshots: bool
) -> QuarantineResult:
    from forensics.evidence.folder import FolderEvidence
    from forensics.quarantine.run import run_quarantine

    store = await _open_store_if_it_answers(settings)
    try:
        result = await run_quarantine(
            plan,
            account,
            FolderEvidence(settings.evidence),
            store=store,
            on_step=_say_step,
            wait_snapshots=wait_snapshots,
        )
        if store is not None:
            await _remember_facts(store, account, result.instance_id)
        return result
    finally:
        if store is not None:
            await store.close()


async def _open_store_if_it_answers(settings: Settings) -> Store | None:
    """The store for the lifecycle; a dead one must not block containment."""
    from forensics.cli.output import narrate
    from forensics.store.open import open_store

    if settings.store is None:
        return None
    try:
        return await open_store(settings.store)
    except ForensicsError as error:
        narrate(f"warning: the store will not hear of this quarantine: {error.what}: {error.why}")
        return None


async def _remember_facts(store: Store, account: Account, instance_id: str) -> None:
    """Let the store keep what EC2 soon forgets; the quarantine is done: no trouble may end it."""
    from forensics.cli.output import narrate, warn_each
    from forensics.ledger.load import load_ledger
    from forensics.ledger.observe import observe

    try:
        async with asyncio.timeout(_REMEMBER_SECONDS):
            ledger = await load_ledger(None, account, frozenset((instance_id,)))
            warn_each(ledger.warnings)
            await observe(store, ledger)
    except ForensicsError as error:
        narrate(f"warning: the store did not keep what AWS says: {error.what}: {error.why}")
    except TimeoutError:
        narrate(f"warning: what AWS says was not kept in the store within {_REMEMBER_SECONDS} s")


def _say_step(report: StepReport) -> None:
    from forensics.cli.output import narrate

    place = f"[{report.number}/{report.total}] " if report.total else ""
    message = f": {report.message}" if report.message else ""
    narrate(f"{place}{report.title}: {report.state}{message}")


def _require_confirmation(instance: str, confirm: str | None) -> None:
    """The id, typed again: as an option, or at the prompt of a terminal."""
    from forensics.cli.output import narrate
    from forensics.safe_text import safe_text

    if confirm is None and sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(f"Type the id to go on ({safe_text(instance)}): ")
        sys.stderr.flush()
        confirm = sys.stdin.readline().strip()
    if confirm is None:
        raise RefusedError(
            f"{instance} is not quarantined",
            why="there is no terminal to ask on, and --confirm was not given",
            next_step=f"read the plan with --dry-run, then give --confirm {instance}",
        )
    if confirm != instance:
        narrate("nothing was done")
        raise RefusedError(
            f"{instance} is not quarantined",
            why=f"{confirm!r} is not its id",
            next_step=f"give --confirm {instance}",
        )


def _say_result(result: QuarantineResult) -> None:
    from forensics.cli.output import write_line
    from forensics.safe_text import safe_text

    write_line(safe_text(f"{result.instance_id}: {result.outcome} ({result.case_id})"))
    if not any(str(step.state) not in {"already", "skipped"} for step in result.steps):
        write_line("Nothing changed: all of it was so before.")
    for reason in result.reasons:
        write_line(f"  because: {safe_text(reason)}")
    for note in result.notes:
        write_line(f"  note: {safe_text(note)}")
    for snapshot in result.snapshot_ids:
        pending = " (not readable yet)" if snapshot in result.pending_snapshot_ids else ""
        write_line(f"  {safe_text(snapshot)}{pending}")
