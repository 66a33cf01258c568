"""Files as a person names them: by the end of their path, and shown by it where that is unique.

In: the paths that an instance's shipper named, and what was typed. Out: one path, or short names.
Pure. It must never choose between two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from forensics.errors import NotFoundError
from forensics.safe_text import safe_text
from shipper.wire.vitals import show_path

_SHOWN: Final = 20


def find_path(paths: Sequence[str], text: str) -> str | None:
    """The path that `text` is, or the only one that ends in it; None: there is none.

    Raises:
        NotFoundError: several end in it.
    """
    # The command line has a name that is no UTF-8 as surrogates, and the store as the shipper
    # spells it.
    wanted = show_path(text)
    for exact in (text, wanted):
        if exact in paths:
            return exact
    ending = [path for path in paths if path.endswith(f"/{wanted}")]
    if len(ending) > 1:
        raise NotFoundError(
            f"{safe_text(wanted)} is no single file",
            why=f"{len(ending)} paths end in it",
            next_step=f"choose one of:\n{list_paths(ending)}",
        )
    return ending[0] if ending else None


def list_paths(paths: Sequence[str]) -> str:
    """One a line, and how many more there are."""
    more = len(paths) - _SHOWN
    lines = [safe_text(path) for path in paths[:_SHOWN]]
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])


def short_names(paths: Sequence[str]) -> Mapping[str, str]:
    """Each path's shortest end that no other path has; the whole path where there is none."""
    ends: dict[str, int] = {}
    for path in paths:
        for end in _ends(path):
            ends[end] = ends.get(end, 0) + 1
    return {
        path: next((end for end in _ends(path) if end and ends[end] == 1), path) for path in paths
    }


def _ends(path: str) -> Sequence[str]:
    """`c`, `b/c`, `a/b/c` of `/a/b/c`."""
    parts = path.strip("/").split("/")
    return ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)]
