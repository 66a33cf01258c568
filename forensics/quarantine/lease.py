"""Turns on a case: of several runs, one acts while the others wait.

In: an evidence store with conditional puts. Out: the lease, held, renewed and given back as
numbered objects: the newest says who acts and until when.
Must never let a run act after another took over: `hold` looks before every call.

Expiry compares clocks of different machines; the lease is long against any sane skew. A holder
that died on this very machine is noticed at once.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forensics.errors import IntegrityError, NotFoundError, TimedOutError
from forensics.evidence.chain import encode_canonical
from forensics.evidence.custody import case_prefix
from forensics.evidence.ports import EvidenceStore
from shipper.wire.times import NANOS_PER_SECOND, format_time

_POLL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What the newest lease object says."""

    n: int
    owner: str
    host: str
    pid: int
    until_nanos: int
    released: bool

    def is_gone(self, now_nanos: int) -> bool:
        """Whether somebody else may act now."""
        return self.released or now_nanos >= self.until_nanos or self._is_dead()

    def _is_dead(self) -> bool:
        if self.host != _local_host():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class Lease:
    """One run's turn on a case."""

    def __init__(
        self,
        evidence: EvidenceStore,
        case_id: str,
        owner: str,
        *,
        seconds: float,
        clock: Callable[[], int],
    ) -> None:
        self._evidence = evidence
        self._prefix = f"{case_prefix(case_id)}/lease/"
        self._owner = owner
        self._nanos = int(seconds * NANOS_PER_SECOND)
        self._clock = clock
        self._held: Holder | None = None

    def acquire(
        self,
        *,
        timeout_seconds: float,
        sleep: Callable[[float], None],
        on_wait: Callable[[str], None],
    ) -> bool:
        """Wait for the turn and take it; gives whether nobody ever had one before.

        Raises:
            TimedOutError: another run still acts after `timeout_seconds`.
        """
        deadline = self._clock() + int(timeout_seconds * NANOS_PER_SECOND)
        told = ""
        while True:
            holder = self._newest()
            if holder is None or holder.is_gone(self._clock()):
                if self._take(0 if holder is None else holder.n):
                    return holder is None
                continue
            if self._clock() >= deadline:
                raise TimedOutError(
                    "another run works on this case",
                    why=f"{holder.owner} holds it until {format_time(holder.until_nanos)}",
                    next_step="let it finish, then run the same command again",
                )
            if told != holder.owner:
                told = holder.owner
                on_wait(f"{holder.owner} is working on this case; waiting for its turn to end")
            sleep(_POLL_SECONDS)

    def hold(self) -> None:
        """Make sure that it is still this run's turn; renews it when half of it is over.

        Raises:
            TimedOutError: another run took over.
        """
        held = self._held
        if held is None or self._read(held.n + 1) is not None:
            raise self._lost()
        if self._clock() > held.until_nanos - self._nanos // 2 and not self._take(held.n):
            raise self._lost()

    def release(self) -> None:
        """Give the turn back; does nothing where it was lost or given back before."""
        if self._held is not None:
            self._put(self._held.n + 1, released=True)
            self._held = None

    def _take(self, newest: int) -> bool:
        taken = self._put(newest + 1, released=False)
        if taken is not None:
            self._held = taken
        return taken is not None

    def _put(self, n: int, *, released: bool) -> Holder | None:
        holder = Holder(
            n=n,
            owner=self._owner,
            host=_local_host(),
            pid=os.getpid(),
            until_nanos=self._clock() + self._nanos,
            released=released,
        )
        body = {
            "owner": holder.owner,
            "host": holder.host,
            "pid": holder.pid,
            "until_nanos": holder.until_nanos,
            "released": released,
        }
        return holder if self._evidence.put_new(self._key(n), encode_canonical(body)) else None

    def _newest(self) -> Holder | None:
        keys = self._evidence.list(self._prefix)
        return self._read(len(keys)) if keys else None

    def _read(self, n: int) -> Holder | None:
        try:
            data = self._evidence.get(self._key(n))
        except NotFoundError:
            return None
        try:
            return Holder(n=n, **json.loads(data))
        except (ValueError, TypeError) as error:
            raise IntegrityError(
                f"the lease {self._key(n)} can't be read",
                why=str(error),
                next_step="compare it with another copy of the case",
            ) from error

    def _key(self, n: int) -> str:
        return f"{self._prefix}{n:06d}.json"

    def _lost(self) -> TimedOutError:
        return TimedOutError(
            "this run lost its turn on the case",
            why="it stood still for too long, and another run took over",
            next_step="see what the other did, then run the same command again",
        )


def _local_host() -> str:
    """Names the set of processes in which a pid means something."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()
