"""The configuration's table of keys as texts: the file that an image gets, and docs/config.md.

In: `shipper.config.KEYS`. Out: TOML that the parser takes, and Markdown; the same each time.
It must never tell of a key that the parser doesn't know, so it has no text of its own per key.
"""

from __future__ import annotations

from typing import Final

from shipper import default_paths
from shipper.config import EXAMPLE_URLS, KEYS, NOT_YET, TABLES, Key

_DEFAULT_HEAD: Final = """\
# Afterimage shipper. Every key and its default; a line without # is in force.
# `shipper check -c FILE` tells what is wrong, with line numbers.
"""

_REFERENCE_HEAD: Final = f"""\
# Configuration of the shipper

Generated from `KEYS` in `shipper/config.py`; a test compares the two.

One TOML file, by default `{default_paths.CONFIG_FILE}`. It is read once: a changed file counts
from the next start on. Unknown keys are refused. `shipper check -c FILE` prints every problem with
its line, and warns of what it can see on this machine.
"""


def render_default_config() -> str:
    """The file that an image gets: every key with its meaning, and its default commented out."""
    parts = [_DEFAULT_HEAD]
    for table, meaning in TABLES.items():
        header = f"[[{table}]]" if table == "sources.tail" else f"[{table}]"
        parts.append(f"\n# {meaning.replace('`', '')}\n{header}\n")
        parts.extend(_render_key(key) for key in KEYS if key.table == table)
    return "".join(parts)


def _render_key(key: Key) -> str:
    meaning = key.meaning.replace("`", "")
    if key.default is None:
        return f"# {meaning}\n# Must be given.\n# {EXAMPLE_URLS}\n"
    if isinstance(key.default, tuple):
        value = "[" + ", ".join(f'"{text}"' for text in key.default) + "]"
        return f"# {meaning}\n{key.name} = {value}\n"
    return f'# {meaning}\n# {key.name} = "{key.default}"\n'


def render_reference() -> str:
    """docs/config.md."""
    parts = [_REFERENCE_HEAD]
    for table, meaning in TABLES.items():
        header = f"[[{table}]]" if table == "sources.tail" else f"[{table}]"
        parts.append(f"\n## `{header}`\n\n{meaning}\n\n| key | type | default | meaning |\n")
        parts.append("| --- | --- | --- | --- |\n")
        parts.extend(_render_row(key) for key in KEYS if key.table == table)
    parts.append("\n## Not in this version\n\nRefused by name, never ignored:\n\n")
    parts += [f"- `{name}`: {instead}\n" for name, instead in NOT_YET.items()]
    return "".join(parts)


def _render_row(key: Key) -> str:
    kind = {
        "id": "string, at most 128 characters, no white space",
        "text": "string",
        "path": "absolute path",
        "patterns": "list of absolute glob patterns",
        "urls": "list of URLs",
    }[key.kind]
    if key.default is None:
        default = "none: must be given"
    elif isinstance(key.default, tuple):
        default = ", ".join(f"`{text}`" for text in key.default)
    elif key.default:
        default = f"`{key.default}`"
    else:
        default = "from IMDSv2" if key.table == "identity" else "not used"
    return f"| `{key.name}` | {kind} | {default} | {key.meaning} |\n"
