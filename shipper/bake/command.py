"""`shipper bake`: install into an image, check it, or take it out again.

In: the image's root and what to do. Out: one row per file on stdout, problems on stderr, an exit
code. It must never bake a configuration that the shipper would refuse.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from shipper.bake import image
from shipper.bake.root import ImageRoot
from shipper.config_reader import load_config
from shipper.errors import ConfigError
from shipper.narration import narrate, printable

SCHEMA: Final = "afterimage.shipper.bake"
SCHEMA_VERSION: Final = 1

Action = Literal["install", "check", "remove"]


def run_bake(root: Path, *, config_file: Path | None, action: Action, as_json: bool) -> int:
    """Do it and tell it; 1 where a check finds something off.

    Raises:
        ConfigError: the root or the configuration can't be used; nothing was changed.
    """
    if action == "remove" and config_file is not None:
        raise ConfigError("--remove takes no -c FILE", next_step="leave it out")
    opened = ImageRoot.open(root)
    config = _read_config(config_file) if config_file else None
    fits = True
    problems: list[str] = []
    if action == "remove":
        rows = image.remove(opened)
    elif action == "check":
        rows, fits = image.check(opened, config)
        problems = image.find_problems(opened)
        fits = fits and not problems
    else:
        rows = image.install(opened, config)
        problems = image.find_problems(opened)
    sys.stdout.write(_render_json(root, action, rows, problems) if as_json else _render_text(rows))
    for problem in problems:
        narrate("error" if action == "check" else "warning", problem)
    if action == "remove" and not rows:
        narrate("info", f"nothing was baked into {root}")
    return 0 if fits else 1


def _read_config(file: Path) -> bytes:
    load_config(file)
    return file.read_bytes()


def _render_text(rows: Sequence[image.Row]) -> str:
    return "".join(f"{printable(row.path)}: {row.what}\n" for row in rows)


def _render_json(
    root: Path, action: Action, rows: Sequence[image.Row], problems: Sequence[str]
) -> str:
    document = {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "root": str(root),
        "action": action,
        "files": [{"path": row.path, "what": row.what} for row in rows],
        "problems": list(problems),
    }
    return json.dumps(document, indent=2) + "\n"
