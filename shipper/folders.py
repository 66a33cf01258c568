"""Small questions about folders that are asked before something is put into them.

In: paths. Out: answers. It must never change anything.
"""

from __future__ import annotations

import os
from pathlib import Path


def nearest_existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def may_write(directory: Path) -> bool:
    """Whether this process may make files in it."""
    # Asked for the effective user where the system can: os.access takes the real one else.
    effective = os.access in os.supports_effective_ids
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=effective)
