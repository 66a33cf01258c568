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
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from forensics.config import Settings
from forensics.demo.account import CREDENTIALS, REGION, build_account
from forensics.demo.audit import FileAudit, audit_machine
from forensics.demo.machine import Machine
from forensics.demo.processes import kill_process, read_first_line, start_process, stop_process
from forensics.demo.progress import Progress
from forensics.demo.story import Story
from forensics.errors import UsageError
from forensics.evidence.folder import FolderEvidence
from forensics.quarantine.result import QuarantineResult
from forensics.store.protocol import Store

SCENARIOS: Final = ("leak",)
SCHEMA: Final = "afterimage.demo/1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the story came to."""

    dead: Machine
    terminated: Machine
    quarantine: QuarantineResult
    audits: Sequence[FileAudit]
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
    folder = _make_folder(directory)
    try:
        with _demo_environment():
            return asyncio.run(_run(folder, headless=headless, as_json=json_output, store=store))
    except (KeyboardInterrupt, asyncio.CancelledError):
        shutil.rmtree(folder, ignore_errors=True)
        raise


async def _run(folder: Path, *, headless: bool, as_json: bool, store: str | None) -> int:
    progress = Progress()
    progress.say(f"everything of this demo is in {folder}")
    async with contextlib.AsyncExitStack() as stack:
        endpoint = stack.enter_context(_account_process(folder))
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        progress.say(f"the account: moto at {endpoint}, not AWS")
        demo_account = await asyncio.to_thread(build_account, endpoint)
        url, location = await stack.enter_async_context(_store_process(folder, store))
        progress.say(f"the centre: {url}")
        from forensics.aws.account import connect
        from forensics.store.open import open_store

        opened = await open_store(location)
        stack.push_async_callback(opened.close)
        story = Story(
            directory=folder,
            store=opened,
            store_url=url,
            account=connect(None, REGION),
            demo_account=demo_account,
            progress=progress,
        )
        stack.callback(story.close)
        outcome = await _tell_story(story, opened, folder, progress)
        settings = Settings.resolve(
            store=location, evidence=str(folder / "evidence"), region=REGION
        )
        document = _document(outcome, location, folder)
        if as_json:
            sys.stdout.write(json.dumps(document, indent=2) + "\n")
        elif headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
            sys.stdout.write(_summary(document))
        else:
            story.resume_load()
            await asyncio.to_thread(_open_tui, settings, outcome.dead.instance_id)
            sys.stdout.write(_summary(document))
    return 0 if document["missing_bytes"] == document["repeated_records"] == 0 else 5


async def _tell_story(story: Story, store: Store, folder: Path, progress: Progress) -> Outcome:
    from forensics.ledger.load import find_row, load_ledger
    from forensics.ledger.observe import observe
    from forensics.report.gather import gather_report
    from forensics.report.write import write_report

    evidence = FolderEvidence(folder / "evidence")
    dead, terminated, result = await story.run(evidence)
    progress.say("every file is compared with the store, byte by byte")
    audits = [
        audit
        for machine in story.machines.values()
        for audit in await audit_machine(store, machine)
    ]
    ledger = await load_ledger(store, story.account)
    await observe(store, ledger)
    reports: list[Path] = []
    for machine in (dead, terminated):
        row = find_row(ledger, machine.instance_id)
        model = await gather_report(
            store, row, evidence, peers=ledger.rows, warnings=ledger.warnings
        )
        reports += write_report(model, folder / "reports", ("html", "md"))
    for path in reports:
        progress.say(f"report: {path}")
    return Outcome(dead, terminated, result, audits, reports)


def _open_tui(settings: Settings, instance_id: str) -> None:
    from forensics.tui.app import run_tui

    run_tui(settings, instance_id)


def _document(outcome: Outcome, location: str, folder: Path) -> dict[str, Any]:
    audits = outcome.audits
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
        "files": [{**asdict(audit), "missing_bytes": audit.missing_bytes} for audit in audits],
    }


def _summary(document: dict[str, Any]) -> str:
    dead, store = document["dead_instance"], document["store"]
    written, stored = document["written_bytes"], document["stored_bytes"]
    missing, repeated = document["missing_bytes"], document["repeated_records"]
    verdict = f"{missing} bytes missing, {repeated} records stored twice"
    if missing == repeated == 0:
        verdict = "every byte came back, none twice"
    lines = (
        f"{written:,} bytes written, {stored:,} stored: {verdict}.",
        f"Dead and quarantined: {dead} ({document['quarantine']['outcome']})",
        *(f"  because: {reason}" for reason in document["quarantine"]["reasons"]),
        f"Terminated and replaced: {document['terminated_instance']}",
        "Reports:",
        *(f"  {path}" for path in document["reports"]),
        "Look further:",
        f"  forensics --store {shlex.quote(store)} {dead}",
        f"  forensics --store {shlex.quote(store)} show {dead}",
        "Remove it all:",
        f"  rm -r {shlex.quote(document['directory'])}",
    )
    return "\n".join(lines) + "\n"


def _make_folder(directory: Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="afterimage-demo-"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        empty = not any(directory.iterdir())
    except OSError as error:
        raise UsageError(
            f"can't use {directory}", why=str(error), next_step="name a folder you may write to"
        ) from error
    if not empty:
        raise UsageError(
            f"{directory} is not empty", next_step="name a new folder: the demo fills it"
        )
    return directory.resolve()


@contextlib.contextmanager
def _demo_environment() -> Iterator[None]:
    """boto3's environment while the demo runs: the stand-in account, never a real one."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ.update(CREDENTIALS)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _account_process(folder: Path) -> Iterator[str]:
    log = folder / "account.stderr"
    process = start_process((sys.executable, "-m", "forensics.demo.account"), log)
    try:
        yield read_first_line(process, log, "the stand-in account")
    finally:
        kill_process(process)


@contextlib.asynccontextmanager
async def _store_process(folder: Path, store: str | None) -> AsyncIterator[tuple[str, str]]:
    """(the URL for shippers, the location for readers) of the store."""
    if store is not None:
        from forensics.centre.install import install_templates

        await install_templates(store)
        yield store, store
        return
    path, log = folder / "logs.sqlite", folder / "collector.stderr"
    process = start_process(
        (
            *(sys.executable, "-m", "forensics.cli.main", "collector"),
            *("--listen", "127.0.0.1:0", "--store", str(path)),
        ),
        log,
    )
    try:
        yield read_first_line(process, log, "the collector"), f"sqlite:{path}"
    finally:
        await asyncio.to_thread(stop_process, process)
