"""`shipper dead-letters redrive`: what the centre refused for good, sent once more.

In: the letters of a state folder, an output. Out: what became of each; stored ones leave the file,
request by request. Ids are those of the first time, so that a crash, or a second redrive, stores
nothing twice. It must never take out a letter that the centre has not named as stored.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shipper.config import OutputConfig
from shipper.dead_letter_file import DeadLetterFile
from shipper.deliver.burial import make_plain_item
from shipper.deliver.http import HttpTransport
from shipper.deliver.outcome import Outcome, parse_outcome
from shipper.errors import StateError
from shipper.ports import NoAnswerError, Transport
from shipper.wire.state import DeadLetter

SCHEMA: Final = "afterimage.shipper.redrive"
SCHEMA_VERSION: Final = 1

_GROUP_BYTES: Final = 1 << 20
_GROUP_LETTERS: Final = 500
_TRIES: Final = 3
_WAIT_SECONDS: Final = 1.0
_UNREACHABLE_EXIT: Final = 3
_PARTIAL_EXIT: Final = 5

Narrate = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """What became of the letters."""

    file: Path
    stored: Sequence[DeadLetter] = ()
    refused: dict[str, str] = field(default_factory=dict)
    """Refused for good once more: id and reason."""
    put_off: dict[str, str] = field(default_factory=dict)
    """Neither stored nor refused for good: id and why."""
    error: str = ""
    """Why it ended early; empty: it did not."""

    @property
    def exit_code(self) -> int:
        """0 all stored, 3 some not for now, 5 some refused again."""
        if self.put_off or self.error:
            return _UNREACHABLE_EXIT
        return _PARTIAL_EXIT if self.refused else 0


class _UnansweredError(Exception):
    """The centre is away, or refuses everything."""


class Redrive:
    """One run of the command."""

    def __init__(
        self,
        file: DeadLetterFile,
        transport: Transport,
        *,
        narrate: Narrate,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file = file
        self._transport = transport
        self._narrate = narrate
        self._wait = wait
        self._stored: list[DeadLetter] = []
        self._refused: dict[str, str] = {}
        self._put_off: dict[str, str] = {}

    def run(self, letters: Sequence[DeadLetter]) -> Redriven:
        """Send them; OSError: the file can't be rewritten."""
        error = ""
        groups = list(_group(letters))
        for number, group in enumerate(groups, start=1):
            try:
                self._send_group(group)
            except _UnansweredError as failed:
                error = str(failed)
                break
            finally:
                self._file.settle(self._stored, self._refused)
            self._narrate(
                f"{number} of {len(groups)} requests: {len(self._stored)} stored,"
                f" {len(self._refused)} refused, {len(self._put_off)} put off"
            )
        return Redriven(
            file=self._file.path,
            stored=self._stored,
            refused=self._refused,
            put_off=self._put_off,
            error=error,
        )

    def _send_group(self, letters: Sequence[DeadLetter]) -> None:
        """As they were first sent; those that are refused again, in their plain form."""
        again = self._send_items([(letter, letter.item) for letter in letters])
        plain = [
            (letter, item)
            for letter in again
            if (item := make_plain_item(letter.item)) not in {None, letter.item}
            and item is not None
        ]
        if plain:
            for letter, _ in plain:
                del self._refused[letter.id]
            self._send_items(plain)

    def _send_items(self, items: Sequence[tuple[DeadLetter, bytes]]) -> list[DeadLetter]:
        """Send, and take over what became of each; the letters that were refused."""
        outcome, was_unanswered = self._ask(items)
        if not outcome.answered:
            if len(items) == 1:
                return self._take_lone(items[0][0], outcome)
            middle = len(items) // 2
            return [*self._send_items(items[:middle]), *self._send_items(items[middle:])]
        self._stored += (items[place][0] for place in outcome.done)
        if outcome.conflicts:
            conflicts = [items[place] for place in outcome.conflicts]
            if was_unanswered:  # the try that made the conflict may yet fail: ask once more
                self._wait(_WAIT_SECONDS)
                self._send_items(conflicts)
            else:
                self._stored += (letter for letter, _ in conflicts)
        for place in outcome.retry:
            self._put_off[items[place][0].id] = outcome.error
        for place, reason in outcome.rejected.items():
            self._refused[items[place][0].id] = reason
        return [items[place][0] for place in outcome.rejected]

    def _take_lone(self, letter: DeadLetter, outcome: Outcome) -> list[DeadLetter]:
        """One that is too large alone is refused; one that loses its connection is put off."""
        if outcome.too_large:
            self._refused[letter.id] = outcome.error
            return [letter]
        self._put_off[letter.id] = outcome.error
        return []

    def _ask(self, items: Sequence[tuple[DeadLetter, bytes]]) -> tuple[Outcome, bool]:
        """The outcome of one request; unanswered: it is too large, or loses its connection.

        Raises:
            _UnansweredError: after some tries the centre answers nobody.
        """
        body = [item for _, item in items]
        if self._transport.takes_gzip:
            body = [_gzip(body)]
        was_unanswered = False
        outcome = Outcome(answered=False)
        for number in range(_TRIES):
            if number:
                self._wait(_WAIT_SECONDS * 2 ** (number - 1))
            try:
                reply = self._transport.send(body)
            except NoAnswerError as error:
                outcome = Outcome(answered=False, is_suspect=error.is_lost, error=str(error))
            else:
                was_unanswered |= reply.repeated
                outcome = parse_outcome(
                    reply.status, reply.body, len(items), location=reply.location
                )
                if outcome.answered or outcome.too_large:
                    return outcome, was_unanswered
            was_unanswered = True
        if outcome.is_suspect and self._is_centre_well():
            return outcome, True
        raise _UnansweredError(outcome.error)

    def _is_centre_well(self) -> bool:
        """Whether a request without items is answered: then the items are to blame."""
        try:
            body = _gzip([b"\n"]) if self._transport.takes_gzip else b"\n"
            return self._transport.send([body]).status in {200, 400}
        except NoAnswerError:
            return False


def run_redrive(
    directory: Path, output: OutputConfig, letters: Sequence[DeadLetter], *, narrate: Narrate
) -> Redriven:
    """Send letters of a state folder to an output.

    Raises:
        ConfigError: a certificate of the output, or an extra, can't be used.
        StateError: what was stored can't be taken out of the file; it may be sent again.
    """
    file = DeadLetterFile(directory)
    transport = HttpTransport(output)
    try:
        return Redrive(file, transport, narrate=narrate).run(letters)
    except OSError as error:
        raise StateError(
            f"{file.path} can't be rewritten",
            why=error.strerror or str(error),
            next_step="redrive as the user that the shipper runs as, with space on the disk",
        ) from error
    finally:
        transport.close()


def render_json(redriven: Redriven, left: int) -> str:
    """What became of the letters as one JSON document; `left`: how many are in the file now."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "file": str(redriven.file),
        "exit_code": redriven.exit_code,
        "stored": [letter.id for letter in redriven.stored],
        "refused": [{"id": id_, "reason": why} for id_, why in redriven.refused.items()],
        "put_off": [{"id": id_, "reason": why} for id_, why in redriven.put_off.items()],
        "error": redriven.error,
        "left": left,
    }
    return json.dumps(document, indent=2) + "\n"


def _group(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Letters of one request each, in the order of the file."""
    group: list[DeadLetter] = []
    size = 0
    for letter in letters:
        if group and (size + len(letter.item) > _GROUP_BYTES or len(group) == _GROUP_LETTERS):
            yield group
            group, size = [], 0
        group.append(letter)
        size += len(letter.item)
    if group:
        yield group


def _gzip(pieces: Sequence[bytes]) -> bytes:
    import gzip

    return gzip.compress(b"".join(pieces), compresslevel=1)
