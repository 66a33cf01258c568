"""docs/walk.md is true: a line and an instance, followed for real, enter the modules it names."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

from forensics.aws.account import connect
from forensics.collect.server import open_collector
from forensics.evidence.folder import FolderEvidence
from forensics.ledger.load import find_row, load_ledger
from forensics.proof.pieces import Bytes
from forensics.proof.raw import read_path
from forensics.quarantine.facts import fetch_facts
from forensics.quarantine.plan import plan_quarantine
from forensics.quarantine.run import run_quarantine
from forensics.report.gather import gather_report
from forensics.report.html import render_html
from forensics.report.markdown import render_markdown
from forensics.store.open import open_store
from forensics.store.protocol import Query, Store
from shipper.agent import Agent
from shipper.config import Config, OutputConfig, TailConfig
from shipper.wire.record import Identity
from tests.forensics.moto_account import MotoAccount

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "walk.md").read_text(encoding="utf-8")
NAMED: Final = re.compile(r"`((?:shipper|forensics|tests|dashboards|terraform)/[\w/.-]*)`")
NEVER_ENTERED: Final = {
    "forensics/store/opensearch.py",  # the other store: the contract suite runs it
    "forensics/store/protocol.py",  # declarations
    "forensics/ports.py",
}


def named_in(section: str) -> list[str]:
    """Modules that a section of the page names, in its order."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    names = [name for name in NAMED.findall(text) if name.endswith(".py")]
    return [name for name in dict.fromkeys(names) if name not in NEVER_ENTERED]


@contextmanager
def modules_entered() -> Iterator[list[str]]:
    """The repository's files in which a function ran, by first entry, in any thread begun inside.

    Workers of the event loop that were there before see nothing: inside, it gets new ones.
    """
    files: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            files.setdefault(frame.f_code.co_filename)

    entered: list[str] = []
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield entered
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        prefix = f"{ROOT}/"
        entered += [name.removeprefix(prefix) for name in files if name.startswith(prefix)]


async def follow_a_line(folder: Path) -> bytes:
    """Write a line, ship it, stop, read it back, report on it; its bytes as they came back."""
    log = folder / "app.log"
    log.write_bytes(b"2026-01-03T14:05:12Z ERROR shop: the last word\n")
    async with open_collector("127.0.0.1:0", folder / "logs.sqlite") as url:
        config = Config(
            output=OutputConfig(urls=(url,)),
            state_directory=folder / "state",
            tails=(TailConfig(paths=(str(log),)),),
        )
        agent = Agent(config, Identity(instance_id="i-0123456789abcdef0"))
        thread = threading.Thread(target=agent.run)
        thread.start()
        store = await open_store(str(folder / "logs.sqlite"))
        try:
            await asyncio.wait_for(_wait_until_shipped(store), 30)
            agent.stop("SIGTERM")
            await asyncio.to_thread(thread.join, 30)
            row = find_row(await load_ledger(store, None), "i-0123456789abcdef0")
            model = await gather_report(store, row, FolderEvidence(folder / "evidence"))
            assert "the last word" in render_html(model)
            assert "the last word" in render_markdown(model)
            pieces = [piece async for piece in read_path(store, row.instance_id, str(log))]
            return b"".join(piece.data for piece in pieces if isinstance(piece, Bytes))
        finally:
            await store.close()


async def _wait_until_shipped(store: Store) -> None:
    while not await store.count(Query()):  # noqa: ASYNC110 - a store can only be asked
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_one_lines_way_is_the_one_the_page_tells(tmp_path: Path) -> None:
    """Every module that the page names on a line's way is entered by a real line.

    Not in the page's order: agent, sender and collector run side by side, and the vitals of the
    start go through most of them before there is a line.
    """
    with modules_entered() as entered:
        came = await follow_a_line(tmp_path)
    assert came == (tmp_path / "app.log").read_bytes()
    assert [name for name in named_in("One line's way") if name not in entered] == []


@pytest.mark.slow
async def test_one_instances_way_is_the_one_the_page_tells(
    tmp_path: Path, moto: MotoAccount
) -> None:
    """A real quarantine enters the modules that the page names for the first time in its order."""
    instance_id = moto.build_group(3).instance_ids[0]
    evidence = FolderEvidence(tmp_path / "evidence")
    async with open_collector("127.0.0.1:0", tmp_path / "logs.sqlite"):
        store = await open_store(str(tmp_path / "logs.sqlite"))
        try:
            with modules_entered() as entered:
                account = connect()
                plan = plan_quarantine(fetch_facts(account, instance_id))
                await run_quarantine(plan, account, evidence, store=store, on_step=lambda _: None)
                ledger = await load_ledger(store, account)
        finally:
            await store.close()
    assert find_row(ledger, instance_id).case_id == plan.case_id
    named = named_in("One instance's way")
    assert named == [name for name in entered if name in named]


def test_every_file_that_the_page_names_exists() -> None:
    """No name on the page is stale."""
    assert [name for name in NAMED.findall(PAGE) if not (ROOT / name).exists()] == []
