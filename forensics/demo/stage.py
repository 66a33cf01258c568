"""The demo's stage: its folder, its environment, and the processes that stand in for the centre.

In: what the command line said. Out: contexts that set something up and take it away again; nothing
outlives them but the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from forensics.demo.account import CREDENTIALS
from forensics.demo.processes import kill_process, read_first_line, start_process, stop_process
from forensics.errors import UsageError


def make_folder(directory: Path | None) -> Path:
    """The demo's folder: a new one for temporary files, or the empty one that was named.

    Raises:
        UsageError: it can't be made, or is not empty.
    """
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
def demo_environment() -> Iterator[None]:
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
def account_process(folder: Path) -> Iterator[str]:
    """The stand-in account's endpoint."""
    log = folder / "account.stderr"
    process = start_process((sys.executable, "-m", "forensics.demo.account"), log)
    try:
        yield read_first_line(process, log, "the stand-in account")
    finally:
        kill_process(process)


@contextlib.contextmanager
def store_process(folder: Path, store: str | None) -> Iterator[tuple[str, str]]:
    """(the URL for shippers, the location for readers) of the store."""
    if store is not None:
        from forensics.centre.install import install_templates

        asyncio.run(install_templates(store))
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
        stop_process(process)
