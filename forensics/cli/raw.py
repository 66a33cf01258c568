"""`forensics raw`: a file's bytes as they were shipped, exactly, or which of them are missing."""

from __future__ import annotations

import codecs
import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forensics.cli.options import Invocation, global_options
from forensics.errors import ForensicsError, NotFoundError, PartialResultError, UsageError
from forensics.safe_text import safe_text

if TYPE_CHECKING:
    from forensics.report.completeness import Account
    from forensics.store.protocol import Store

PATHS_SCHEMA = "afterimage.paths/1"
RAW_SCHEMA = "afterimage.raw/1"


@click.command(
    short_help="Print a file's shipped bytes, exactly.",
    help="""\b
forensics raw i-0123456789abcdef0 /var/log/app.log > app.log
forensics raw i-0123456789abcdef0 --list

PATH may be cut at the front where only one file ends so: app.log. What is no file has a name:
forward:unix:///run/afterimage/forward.sock, journald.
Write the bytes of a file as the instance's shipper sent them: compare them with `cmp` or
`sha256sum`. Bytes that are not stored are left out and listed on stderr; the exit code is then 5.
What a rule of the shipper's dropped or masked is told on stderr too; as it was declared, it is
nothing that is missing.
""",
)
@click.argument("instance", metavar="ID")
@click.argument("path", metavar="[PATH]", required=False)
@click.option("--list", "list_paths", is_flag=True, help="List the files and what is stored.")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Write here.")
@click.option("--force", is_flag=True, help="Send bytes that are no text to a terminal too.")
@global_options("store")
@click.pass_obj
def raw(
    invocation: Invocation,
    instance: str,
    path: str | None,
    list_paths: bool,
    output: Path | None,
    force: bool,
) -> int:
    """Print a file's bytes."""
    from forensics.cli.session import run_async

    if list_paths:
        return run_async(_list_paths(invocation, instance))
    if path is None:
        raise UsageError(
            "no PATH is given", next_step=f"list them: forensics raw {instance} --list"
        )
    if invocation.json and output is None:
        raise UsageError(
            "--json has no place beside the bytes on stdout",
            next_step="write the bytes to a file with -o FILE, or list files with --list --json",
        )
    return run_async(_write_raw(invocation, instance, path, output, force=force))


async def _list_paths(invocation: Invocation, instance: str) -> int:
    from forensics.cli.documents import source_document
    from forensics.cli.output import render_table, write_json, write_line
    from forensics.cli.session import opened
    from forensics.report.completeness import read_completeness
    from forensics.report.words import render_source

    async with opened(invocation.settings()) as session:
        store = await session.require_store()
        row = await session.find_stored(instance)
        sources = await read_completeness(store, row)
    if invocation.json:
        payload: dict[str, Any] = {
            "instance_id": row.instance_id,
            "sources": [source_document(source) for source in sources],
        }
        write_json(PATHS_SCHEMA, payload)
        return 0
    table = render_table(
        ("PATH", "STORED BYTES", "FILES", "COMPLETENESS"),
        (
            (
                source.path,
                f"{source.stored_bytes:,}",
                str(source.files),
                render_source(source),
            )
            for source in sources
        ),
    )
    for line in table:
        write_line(line)
    return 0


async def _write_raw(
    invocation: Invocation, instance: str, path: str, output: Path | None, *, force: bool
) -> int:
    from forensics.cli.output import narrate, write_json
    from forensics.cli.session import opened
    from forensics.proof.pieces import Bytes
    from forensics.proof.raw import read_path
    from forensics.report.completeness import Account
    from forensics.report.words import render_hole, render_missing

    account = Account()
    async with opened(invocation.settings()) as session:
        store = await session.require_store()
        row = await session.find_stored(instance)
        path = await _require_path(store, row.instance_id, path)
        with open_sink(output, force=force) as write:
            async for piece in read_path(store, row.instance_id, path):
                account.add(piece)
                if isinstance(piece, Bytes):
                    write(piece.data)
    missing = sum(hole.end - hole.start for hole in account.holes if hole.unit == "bytes")
    for hole in account.holes:
        narrate(f"missing from {path}: {render_hole(hole)}")
    for told in _render_declared(account):
        narrate(f"{path}: {told}")
    if invocation.json:
        payload = {
            "instance_id": row.instance_id,
            "path": path,
            "output": str(output),
            "written_bytes": account.stored_bytes,
            "missing_bytes": missing,
            "dropped_bytes": sum(drop.size_bytes for drop in account.dropped),
            "masked_bytes": account.masked_bytes,
            "masked_records": account.masked_records,
            "holes": [asdict(hole) for hole in account.holes],
            "dropped": [asdict(drop) for drop in account.dropped],
            "journal": asdict(account.journal) if account.journal else None,
        }
        write_json(RAW_SCHEMA, payload)
    if not account.holes:
        return 0
    lacking = "entries are" if account.journal is not None else render_missing(missing)
    narrate(f"incomplete: {account.stored_bytes:,} bytes are written, {lacking} missing")
    return PartialResultError.exit_code


def _render_declared(account: Account) -> list[str]:
    """What a reader of the bytes has to know although nothing is missing."""
    from forensics.report.words import render_drop, render_entries, render_masked

    told = [render_drop(drop) for drop in account.dropped]
    if account.masked_records:
        told.append(render_masked(account.masked_records, account.masked_bytes))
    if account.journal is not None:
        told.append(render_entries(account.journal))
    return told


async def _require_path(store: Store, instance_id: str, text: str) -> str:
    from forensics.cli.paths import find_path, list_paths
    from forensics.proof.declared import load_paths

    paths = await load_paths(store, instance_id)
    path = find_path(paths, text)
    if path is not None:
        return path
    shown = list_paths(paths) or "none: its shipper sent no file"
    raise NotFoundError(
        f"{instance_id} shipped no file {safe_text(text)}",
        why=f"{len(paths)} files are known of it",
        next_step=f"choose one of:\n{shown}",
    )


@contextlib.contextmanager
def open_sink(output: Path | None, *, force: bool) -> Iterator[Callable[[bytes], object]]:
    """Where the bytes go: a file that appears whole, or stdout, guarded where it is a terminal."""
    if output is None:
        out = sys.stdout.buffer
        if force or not sys.stdout.isatty():
            yield out.write
        else:
            guard = TextGuard()
            yield lambda data: out.write(guard.checked(data))
        out.flush()
        return
    partial = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        partial.replace(output)
    except OSError as error:
        raise ForensicsError(
            f"{output} can't be written",
            why=error.strerror or str(error),
            next_step="name a file that you can write with -o",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


class TextGuard:
    """Lets bytes through as long as they are text that can't act on a terminal."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._return = ""

    def checked(self, data: bytes) -> bytes:
        """`data` as it is.

        Raises:
            UsageError: it holds a control or invisible character, or is no UTF-8.
        """
        try:
            text = self._return + self._decoder.decode(data)
        except UnicodeDecodeError:
            text = "\0"
        # A carriage return is harmless before a newline, which may come with the next piece.
        self._return = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r")
        plain = text.replace("\r\n", "").replace("\n", "").replace("\t", "")
        if safe_text(plain, len(plain)) != plain:
            raise UsageError(
                "these bytes are no plain text",
                why="they could act on your terminal",
                next_step="write them to a file with -o FILE, or send them all the same: --force",
            )
        return data
