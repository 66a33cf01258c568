"""What a case keeps beside its snapshots: console output, the instance's description, the plan.

In: values that AWS answered. Out: evidence objects put once, each with its digest in the custody
log, also where a run was killed between the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from forensics.errors import NotFoundError
from forensics.evidence.chain import encode_canonical
from forensics.evidence.custody import CustodyLog, case_prefix
from forensics.evidence.ports import EvidenceStore
from forensics.ports import ConsoleOutput, Instance, Snapshot
from forensics.quarantine.model import Plan
from forensics.quarantine.plan_json import to_json

CONSOLE: Final = "console-output.txt"
BEFORE: Final = "instance-before.json"
AFTER: Final = "instance-after.json"
PLAN: Final = "plan.json"
_PURPOSE: Final = "quarantine"


class Papers:
    """The papers of one case."""

    def __init__(self, evidence: EvidenceStore, case_id: str, custody: CustodyLog) -> None:
        self._evidence = evidence
        self._prefix = case_prefix(case_id)
        self._custody = custody

    def keep_plan(self, plan: Plan) -> None:
        """The plan, beside the claim that holds it."""
        self._keep(PLAN, encode_canonical(to_json(plan)), "planned", {})

    def keep_description(self, name: str, instance: Instance) -> None:
        """The instance as EC2 described it, `BEFORE` or `AFTER`."""
        self._keep(name, encode_canonical(instance.raw), "captured", {"state": instance.state})

    def keep_console(self, output: ConsoleOutput) -> Mapping[str, Any]:
        """The console's text, byte for byte as EC2 gave it."""
        data = output.text.encode("utf-8", "surrogateescape")
        return self._keep(CONSOLE, data, "captured", {"of": output.at})

    def has_console(self) -> bool:
        """Whether the console's text is kept, and its custody entry written."""
        key = f"{self._prefix}/{CONSOLE}"
        try:
            data = self._evidence.get(key)
        except NotFoundError:
            return False
        self._account_for(key, data, "captured", {})
        return True

    def note_snapshot(self, snapshot: Snapshot) -> None:
        """A snapshot exists: who took it, of what."""
        if not self._is_accounted_for(snapshot.snapshot_id):
            self._custody.record(
                "snapshotted",
                {
                    "volume_id": snapshot.volume_id,
                    "started_at": snapshot.started_at,
                    "size_gib": snapshot.size_gib,
                },
                subject=snapshot.snapshot_id,
                purpose=_PURPOSE,
            )

    def _keep(
        self, name: str, data: bytes, action: str, detail: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        key = f"{self._prefix}/{name}"
        if not self._evidence.put_new(key, data):
            data = self._evidence.get(key)  # the first one counts
        self._account_for(key, data, action, detail)
        return {"key": key, "size_bytes": len(data)}

    def _account_for(self, key: str, data: bytes, action: str, detail: Mapping[str, Any]) -> None:
        if not self._is_accounted_for(key):
            digest = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
            self._custody.record(action, {**digest, **detail}, subject=key, purpose=_PURPOSE)

    def _is_accounted_for(self, subject: str) -> bool:
        return any(entry.subject == subject for entry in self._custody.read())
