"""The custody log of a case: who did what to which piece of evidence, when, and what for.

In: one action at a time. Out: its entry in the case's hash chain, or all of them, verified.
Must never be written after the fact in place of before it, nor hold the evidence itself: entries
name objects and their digests.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from forensics.errors import UsageError
from forensics.evidence.chain import Entry
from forensics.evidence.log import ChainedLog
from forensics.evidence.ports import EvidenceStore

CASES: Final = "cases"
_CASE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyEntry:
    """One line of the log. Texts may quote AWS or an operating system: hostile."""

    n: int
    at: str
    who: str
    """The AWS caller's ARN, or `user@host` of the operating system where AWS was not asked."""
    action: str
    """One word: claimed, captured, snapshotted, looked, copied, extracted, verified, reported."""
    subject: str
    """The object that was acted on: an evidence key, a snapshot id, an instance id."""
    purpose: str
    """Why, in a few words."""
    detail: Mapping[str, Any]
    """What belongs to it: `sha256`, `size_bytes`, `volume_id`, …"""
    digest: str
    """Of the chain's entry: what others may remember."""


@dataclass(slots=True)
class CustodyLog:
    """The log of one case."""

    evidence: EvidenceStore
    case_id: str
    who: str = ""
    """Empty: the operating system's user and host."""
    clock: Callable[[], int] = field(default=time.time_ns, kw_only=True)
    _log: ChainedLog = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.who = self.who or local_actor()
        self._log = ChainedLog(
            self.evidence, f"{case_prefix(self.case_id)}/custody", clock=self.clock
        )

    def record(
        self, action: str, detail: Mapping[str, Any] | str, *, subject: str = "", purpose: str = ""
    ) -> CustodyEntry:
        """Append one action; it is durable when this returns. A text `detail` is a note."""
        body = {
            "who": self.who,
            "action": action,
            "subject": subject,
            "purpose": purpose,
            "detail": {"note": detail} if isinstance(detail, str) else dict(detail),
        }
        return _custody_entry(self._log.append(body))

    def read(self, *, count: int | None = None, head: str = "") -> Sequence[CustodyEntry]:
        """Every entry, in order; `count` and `head` as others remember them, see `verify_chain`.

        Raises:
            IntegrityError: names the first entry that does not verify.
        """
        return [_custody_entry(entry) for entry in self._log.read(count=count, head=head)]


def case_prefix(case_id: str) -> str:
    """The key under which everything of a case is stored.

    Raises:
        UsageError: that can't be a case id.
    """
    if _CASE_ID.fullmatch(case_id) is None:
        raise UsageError(
            f"{case_id[:80]!r} is not a case id",
            why="a case id has letters, digits, dots and dashes",
            next_step="take one from `forensics quarantine` or `forensics show`",
        )
    return f"{CASES}/{case_id}"


def local_actor() -> str:
    """`user@host` of this process, for what is done without asking AWS."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _custody_entry(entry: Entry) -> CustodyEntry:
    text = {name: str(entry.body.get(name, "")) for name in ("who", "action", "subject", "purpose")}
    detail = entry.body.get("detail")
    return CustodyEntry(
        n=entry.n,
        at=entry.at,
        detail=detail if isinstance(detail, dict) else {},
        digest=entry.digest,
        **text,
    )
