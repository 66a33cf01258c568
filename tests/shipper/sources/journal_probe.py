"""A process that reads the machine's journal as it is told on standard input, line by line."""

from __future__ import annotations

import json
import select
import sys
from dataclasses import asdict
from typing import Any

from shipper.sources.journald import Batch, JournalReader


def _answer(reader: JournalReader, question: dict[str, Any]) -> dict[str, Any]:
    if "open" in question:
        reader.open(question["open"])
        return {}
    if "wait" in question:
        return {"awake": bool(select.select([reader], [], [], question["wait"])[0])}
    if question["process"]:
        reader.process()
    batches = list(iter(lambda: reader.read(question["read"]), None))
    return {"batches": [_show(batch) for batch in batches]}


def _show(batch: Batch) -> dict[str, Any]:
    return {
        "cursor": batch.cursor,
        "sequence_id": batch.sequence_id,
        "lines": [entry.data.decode() for entry in batch.entries],
        "gaps": [asdict(gap) for gap in batch.gaps],
    }


def main() -> None:
    """Until standard input ends."""
    reader = JournalReader()
    for line in sys.stdin:
        print(json.dumps(_answer(reader, json.loads(line))), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
