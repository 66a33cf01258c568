"""Writes a report's files: each whole or not at all, next to nothing half-written.

In: the model, a folder, formats. Out: the paths. The model's renderings are pure; this is the one
module of the report that touches a disk.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from forensics.errors import ForensicsError, UsageError
from forensics.report.html import render_html
from forensics.report.markdown import render_markdown
from forensics.report.model import ReportModel

RENDERINGS: Final[Mapping[str, Callable[[ReportModel], str]]] = {
    "html": render_html,
    "md": render_markdown,
}
"""Formats of this version, which are also the files' suffixes."""
LATER: Final = frozenset(("pdf", "json", "timesketch"))
"""Formats that are planned and not there yet."""


def parse_formats(text: str) -> tuple[str, ...]:
    """The formats in `html,md`, each once.

    Raises:
        UsageError: one is unknown, or not in this version.
    """
    wanted = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    known = ",".join(RENDERINGS)
    for name in wanted:
        if name in LATER:
            raise UsageError(
                f"format {name} is not in this version", next_step=f"use --format {known}"
            )
        if name not in RENDERINGS:
            raise UsageError(f"no format {name!r}", next_step=f"use --format {known}")
    if not wanted:
        raise UsageError("no format is named", next_step=f"use --format {known}")
    return wanted


def report_path(instance_id: str, folder: Path, form: str) -> Path:
    """Where the instance's report of that format stands in the folder."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in instance_id)
    return folder / f"post-mortem-{name[:120]}.{form}"


def write_report(model: ReportModel, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write `post-mortem-INSTANCE.FORMAT` for each format; an older one is replaced.

    Raises:
        ForensicsError: the folder can't be written.
    """
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form in formats:
            path = report_path(model.instance.instance_id, folder, form)
            write_whole(path, RENDERINGS[form](model).encode("utf-8", "backslashreplace"))
            paths.append(path)
    except OSError as error:
        raise ForensicsError(
            f"the report can't be written to {folder}",
            why=error.strerror or str(error),
            next_step="name a folder that you can write with -o",
        ) from error
    return paths


def write_whole(path: Path, data: bytes) -> None:
    """Replace `path` by a file that holds exactly `data`, in one step."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
