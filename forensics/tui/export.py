"""Writes a report into a folder, as Markdown and as HTML.

In: the model and a folder. Out: the files' absolute paths. It must never leave half a file under a
final name.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from forensics.errors import UsageError
from forensics.report.model import ReportModel


async def save_report(model: ReportModel, folder: Path) -> Sequence[Path]:
    """Write `report.md` and `report.html`; older ones there are replaced.

    Raises:
        UsageError: the folder can't be made or written.
    """
    return await asyncio.to_thread(_save, model, folder)


def _save(model: ReportModel, folder: Path) -> Sequence[Path]:
    from forensics.report.html import render_html
    from forensics.report.markdown import render_markdown

    texts = {"report.md": render_markdown(model), "report.html": render_html(model)}
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = folder.resolve() / name
            part = path.with_suffix(f"{path.suffix}.part")
            part.write_text(text, encoding="utf-8")
            os.replace(part, path)  # noqa: PTH105 - atomic, and says so
            paths.append(path)
    except OSError as error:
        raise UsageError(
            f"The report can't be written to {folder}",
            why=error.strerror or str(error),
            next_step="press o and give a folder that can be written",
        ) from error
    return paths
