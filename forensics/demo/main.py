"""`forensics demo`: set the stage, let the story run, count, write the reports, open the TUI.

In: what the command line said. Out: reports and a store that stay in one folder, a JSON document or
the TUI. An interruption ends every process and removes the folder; a failure leaves the folder,
to be looked into.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from forensics.config import Settings
from forensics.demo.account import REGION, build_account
from forensics.demo.audit import EventAudit, FileAudit, audit_events, audit_machine
from forensics.demo.machine import Machine
from forensics.demo.progress import Progress
from forensics.demo.stage import account_process, demo_environment, make_folder, store_process
from forensics.demo.story import Story
from forensics.errors import UsageError
from forensics.evidence.folder import FolderEvidence
from forensics.quarantine.result import QuarantineResult

SCENARIOS: Final = ("leak",)
SCHEMA: Final = "afterimage.demo/1"
STAND_IN: Final = (
    "  The demo's account is moto, which lacks calls that AWS has: expected here, not there."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the story came to."""

    dead: Machine
    terminated: Machine
    quarantine: QuarantineResult
    audits: Sequence[FileAudit]
    events: Sequence[EventAudit]
    reports: Sequence[Path]


def run_demo(
    *,
    headless: bool = False,
    json_output: bool = False,
    scenario: str = "leak",
    store: str | None = None,
    directory: Path | None = None,
) -> int:
    """Run the story; the exit code: 0, or 5 if a byte is missing or a record stored twice.

    Args:
        headless: end in written reports even if there is a terminal.
        json_output: print one document (`afterimage.demo/1`) on stdout.
        scenario: one of `SCENARIOS`.
        store: an OpenSearch URL; None: a collector over a SQLite file in the folder.
        directory: a new or empty folder for everything; None: a new one for temporary files.
    """
    if scenario not in SCENARIOS:
        raise UsageError(
            f"no scenario {scenario!r}", next_step=f"choose one of: {', '.join(SCENARIOS)}"
        )
    folder = make_folder(directory)
    to_tui = not (headless or json_output) and sys.stdin.isatty() and sys.stdout.isatty()
    try:
        with demo_environment():
            document = _run(folder, store, to_tui=to_tui)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    text = json.dumps(document, indent=2) + "\n" if json_output else _summary(document)
    sys.stdout.write(text)
    return 0 if document["missing_bytes"] == document["repeated_records"] == 0 else 5


def _run(folder: Path, store: str | None, *, to_tui: bool) -> dict[str, Any]:
    progress = Progress()
    progress.say(f"everything of this demo is in {folder}")
    with contextlib.ExitStack() as stack:
        endpoint = stack.enter_context(account_process(folder))
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        progress.say(f"the account: moto at {endpoint}, not AWS")
        demo_account = build_account(endpoint)
        url, location = stack.enter_context(store_process(folder, store))
        progress.say(f"the centre: {url}")
        from forensics.aws.account import connect

        story = Story(
            directory=folder,
            store_url=url,
            account=connect(None, REGION),
            demo_account=demo_account,
            progress=progress,
        )
        stack.callback(story.close)
        evidence = folder / "evidence"
        outcome = asyncio.run(_tell(story, location, evidence, folder / "reports", progress))
        if to_tui:
            from forensics.tui.app import run_tui

            story.resume_load()
            settings = Settings.resolve(store=location, evidence=str(evidence), region=REGION)
            run_tui(settings, outcome.dead.instance_id)
        return _document(outcome, location, folder)


async def _tell(
    story: Story, location: str, evidence_folder: Path, reports_folder: Path, progress: Progress
) -> Outcome:
    """Let the story run, then count and report what it left."""
    from forensics.ledger.load import find_row, load_ledger
    from forensics.ledger.observe import observe
    from forensics.report.gather import gather_report
    from forensics.report.write import write_report
    from forensics.store.open import open_store

    evidence = FolderEvidence(evidence_folder)
    store = await open_store(location)
    try:
        dead, terminated, result = await story.run(store, evidence)
        progress.say("every file is compared with the store, byte by byte")
        audits = [
            audit
            for machine in story.machines.values()
            for audit in await audit_machine(store, machine)
        ]
        events = [
            audit
            for machine in story.machines.values()
            for audit in await audit_events(store, machine)
        ]
        ledger = await load_ledger(store, story.account)
        await observe(store, ledger)
        reports: list[Path] = []
        for machine in (dead, terminated):
            row = find_row(ledger, machine.instance_id)
            model = await gather_report(
                store,
                row,
                evidence,
                peers=ledger.rows,
                warnings=ledger.warnings,
                account=ledger.caller.shown if ledger.caller else "",
            )
            reports += write_report(model, reports_folder, ("html", "md"))
    finally:
        await store.close()
    for path in reports:
        progress.say(f"report: {path}")
    return Outcome(dead, terminated, result, audits, events, reports)


def _document(outcome: Outcome, location: str, folder: Path) -> dict[str, Any]:
    audits: list[FileAudit | EventAudit] = [*outcome.audits, *outcome.events]
    return {
        "schema": SCHEMA,
        "written_bytes": sum(audit.written_bytes for audit in audits),
        "stored_bytes": sum(audit.stored_bytes for audit in audits),
        "missing_bytes": sum(audit.missing_bytes for audit in audits),
        "repeated_records": sum(audit.repeated_records for audit in audits),
        "dead_instance": outcome.dead.instance_id,
        "quarantined_instance": outcome.dead.instance_id,
        "terminated_instance": outcome.terminated.instance_id,
        "quarantine": {
            "case": outcome.quarantine.case_id,
            "outcome": str(outcome.quarantine.outcome),
            "reasons": list(outcome.quarantine.reasons),
        },
        "reports": [str(path) for path in outcome.reports],
        "store": location,
        "evidence": str(folder / "evidence"),
        "directory": str(folder),
        "files": [_audit(audit) for audit in outcome.audits],
        "events": [_audit(audit) for audit in outcome.events],
    }


def _audit(audit: FileAudit | EventAudit) -> dict[str, Any]:
    return {**asdict(audit), "missing_bytes": audit.missing_bytes}


def _program() -> str:
    """How this program was called, so that a line can be copied."""
    return sys.argv[0] if Path(sys.argv[0]).name == "forensics" else "forensics"


def _summary(document: dict[str, Any]) -> str:
    dead = document["dead_instance"]
    command = shlex.join(
        (_program(), "--store", document["store"], "--evidence", document["evidence"])
    )
    written, stored = document["written_bytes"], document["stored_bytes"]
    missing, repeated = document["missing_bytes"], document["repeated_records"]
    verdict = f"{missing} bytes missing, {repeated} records stored twice"
    if missing == repeated == 0:
        verdict = "every byte came back, none twice"
    lines = (
        f"{written:,} bytes written, {stored:,} stored: {verdict}.",
        f"Dead and quarantined: {dead} ({document['quarantine']['outcome']})",
        *(f"  because: {reason}" for reason in document["quarantine"]["reasons"]),
        *(STAND_IN for _ in document["quarantine"]["reasons"][:1]),
        f"Terminated and replaced: {document['terminated_instance']}",
        "Reports:",
        *(f"  {path}" for path in document["reports"]),
        "Look further:",
        f"  {command} {dead}",
        f"  {command} show {dead}",
        "Remove it all:",
        f"  rm -r {shlex.quote(document['directory'])}",
    )
    return "\n".join(lines) + "\n"
