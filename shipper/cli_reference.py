"""The `shipper` command's part of docs/cli.md.

In: the command line's parser. Out: Markdown; the same with every version of Python, whose own help
texts differ. `python -m shipper.cli_reference` prints it. It must never tell of an option that the
parser does not have.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Final

from shipper.cli import COMMANDS, EPILOG, GROUPS, SUMMARY, build_parser

_NOTES: Final = {
    "status": """
```text
running, process 4711, wrote 1 s ago
stream 0123456789abcdef0123, run 2, since 2026-01-03T14:00:00.000000000Z
output ok, last answer 2026-01-03T14:05:11.000000000Z
bytes: read 44,090 = stored 2,140 + dropped 41,750 + dead-lettered 0 + pending 200
  /var/log/flood.log: settled 43,890 of 44,120 bytes: 2,140 stored, 41,750 dropped, 30 unread, \
200 pending, the oldest read at 2026-01-03T14:05:10.000000000Z (2 s) (source 3)
```

| word in the text | member of `--json` | meaning |
| --- | --- | --- |
| settled | a source's `acked` | done with, stored or not; an offset: all before it is |
| stored | `counters.acked_bytes` | the centre has them |
| dropped | `counters.dropped_bytes` | left out by a rule; the centre knows which |
| dead-lettered | `counters.dead_lettered_bytes` | refused by the centre, kept here |
| pending | `counters.pending_bytes` | read, and on their way: nothing of the above yet |
| read | `counters.read_bytes` | stored + dropped + dead-lettered + pending |
| letters left | `dead_letters_left` | in `dead-letters.jsonl` now: redriven ones are not |
| full, free | `state_disk_full_since`, `usage.state_disk_free_bytes` | the state folder's disk |
| last error | `last_error`, `last_error_at` | "12 min ago": it is over |
| unread | a source's `size` - `read` | written, and not read yet |

A source's `size`, `read` and `acked` are offsets: bytes of a file, entries of a journal. `counters`
are always bytes, of every run of the stream; `gaps`, `delivery` and `forward` count this run alone.
""",
}
"""What a command's options do not say."""


def render_reference() -> str:
    """Every command, in the order of the help, with what it takes."""
    parsers = _find_commands(build_parser())
    parts = [f"# The shipper command\n\n{SUMMARY}\n"]
    parts += [_render_command(name, parsers[name]) for _, names in GROUPS for name in names]
    codes, words = " ".join(EPILOG.split()).split(" stdout is ")
    parts.append(f"\n{codes[0].upper()}{codes[1:]}.\n\nstdout is {words}\n")
    return "".join(parts)


def _find_commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(
        dict(action.choices)
        for action in parser._actions  # noqa: SLF001 - argparse lists its arguments nowhere else
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - it has no public name
    )


def _render_command(name: str, parser: argparse.ArgumentParser) -> str:
    text = COMMANDS[name]
    head = f"\n## shipper {name}\n\n{text[0].upper()}{text[1:]}.\n\n"
    return f"{head}| argument | meaning |\n| --- | --- |\n{''.join(_render_rows(parser))}" + (
        _NOTES.get(name, "")
    )


def _render_rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 - as above
        if action.dest == "help":
            continue
        meaning = (action.help or "").replace("%(default)s", f"`{action.default}`")
        if action.choices is not None:
            shown = " or ".join(f"`{choice}`" for choice in action.choices)
        elif action.option_strings:
            value = f" {action.metavar}" if action.metavar else ""
            shown = ", ".join(f"`{option}{value}`" for option in action.option_strings)
        else:
            shown = f"`{action.metavar}`"
        if action.required and action.option_strings:
            meaning += "; must be given"
        yield f"| {shown} | {meaning} |\n"


if __name__ == "__main__":
    sys.stdout.write(render_reference())
