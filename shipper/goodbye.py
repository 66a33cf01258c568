"""The last words of a shipper that has drained, and its exit code: what is stored, and what is not.

In: what can't be read, and what was left behind, each with its reason. Out: words and a code. It
must never claim that everything is stored where the shipper knows of something that is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from shipper.narration import Level
from shipper.wire.vitals import show_path

DRAINED: Final = 0
NOT_DRAINED: Final = 3
_NAMED: Final = 10
"""So many are named; `shipper status` has the others."""


class Goodbye(NamedTuple):
    """What is said, and how the process ends."""

    level: Level
    text: str
    exit_code: int


def build_goodbye(*, unreadable: Mapping[str, str], left_behind: Mapping[str, str]) -> Goodbye:
    """All that was read is stored.

    `unreadable`: inputs of which it is not known how much they hold, which the centre knows;
    `left_behind`: what was there and was not taken.
    """
    if left_behind:
        also = {name: why for name, why in unreadable.items() if name not in left_behind}
        text = f"everything that was read is stored; not read: {_list({**left_behind, **also})}"
        return Goodbye("warning", text, NOT_DRAINED)
    if unreadable:
        text = f"everything that could be read is stored; not read: {_list(unreadable)}"
        return Goodbye("warning", text, DRAINED)
    return Goodbye("info", "everything that was written is stored", DRAINED)


def _list(reasons: Mapping[str, str]) -> str:
    named = [f"{show_path(name)} ({_one_line(why)})" for name, why in reasons.items()]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more


def _one_line(why: str) -> str:
    return "; ".join(line.strip().removeprefix("→ ") for line in why.split("\n"))
