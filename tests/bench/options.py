"""What a run of the benches was asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Sizes; the defaults take about half an hour on two cores."""

    lines: int = 1_000_000
    rounds: int = 3
    seconds: int = 30
    """How long idle and steady loads are watched."""
    shippers: int = 1000
    """How many are simulated in the reconnect storm."""
    backlog_gib: float = 0.5
