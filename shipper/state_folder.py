"""The state folder: the only things a shipper must not forget, on disk in the right order.

In: the folder's path and who the machine is. Out: the stream, what earlier runs knew of each
source, and durable appends. One process at a time: the `lock` is held as long as the object is
open. It must never return from `append` before the disk has the entry, and never fail because a
file is damaged: a damaged journal begins a new stream, a damaged checkpoint reads again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shipper.dead_letter_file import DeadLetterFile
from shipper.durable import (
    FILE_MODE,
    put_in_place,
    replace,
    sync_data,
    sync_folder,
    write_all,
    writing_beside,
)
from shipper.errors import StateError
from shipper.identity import machine_id
from shipper.narration import narrate
from shipper.reserve import Reserve
from shipper.wire import state
from shipper.wire.state import Checkpoint, Closed, DeadLetter, Entry, Journal, Stream

_STREAM_RANDOM_BYTES: Final = 10
COMPACTED_ABOVE_BYTES: Final = 64 << 10
"""A smaller journal is left as it is."""


class StateFolder:
    """An opened and locked state folder."""

    def __init__(self, directory: Path, *, instance_id: str, now: str) -> None:
        """Open it, creating what is missing.

        Raises:
            StateError: it can't be used, or another shipper holds it.
        """
        self.directory = directory
        self.notices: list[str] = []
        """What was found damaged and what was done about it, for the birth document and stderr."""
        self._is_new_stream = False
        self._dead_letters = DeadLetterFile(directory)
        self._reserve = Reserve(directory)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._acquire_lock()
            self.stream = self._load_stream(instance_id, now)
            self._checkpoint = self._read_checkpoint()
            self.journal = self._load_journal(now)
            self._journal_file = os.open(self._path("sources"), os.O_WRONLY | os.O_CLOEXEC)
            os.ftruncate(self._journal_file, self.journal.valid_bytes)
            self._journal_bytes = self.journal.valid_bytes
            if self.stream.why and not self.journal.runs:
                self.notices.append(self.stream.why)
            self._reserve.hold()
        except OSError as error:
            raise self._unusable(error) from error

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries to the journal; when this returns they survive a power cut.

        Raises:
            StateError: the disk took none of them (full, read-only). Nothing was used yet.
        """
        if not entries:
            return
        data = b"".join(map(state.format_entry, entries))
        try:
            if all(isinstance(entry, Closed) for entry in entries):  # it makes room
                self._reserve.write(lambda: self._write_entries(data))
            else:
                self._write_entries(data)
        except OSError as error:
            raise self._unusable(error) from error
        self._journal_bytes += len(data)

    def _write_entries(self, data: bytes) -> None:
        try:
            write_all(self._journal_file, data, self._journal_bytes)
            sync_data(self._journal_file)
        except OSError:
            # half a line must not stand before the next one
            with contextlib.suppress(OSError):
                os.ftruncate(self._journal_file, self._journal_bytes)
            raise

    def abandon_stream(self, why: str) -> None:
        """Let the next one who opens the folder begin a new stream; the journal is kept aside."""
        narrate("warning", f"{why}; a new stream begins, every file is read anew")
        self._new_stream(
            self.stream.instance_id, self.stream.machine_id, self.stream.created, why=why
        )

    def load_checkpoint(self) -> Checkpoint:
        """The last checkpoint, or an empty one where it is missing, damaged or another stream's."""
        found = self._checkpoint
        if found is None or found.stream != self.stream.stream:
            return Checkpoint(stream=self.stream.stream, saved_at="")
        return found

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint; OSError: it stays as it was, and only lags."""
        data = state.format_checkpoint(checkpoint)
        self._reserve.write(lambda: replace(self._path("checkpoint"), data, sync=True))
        self._reserve.hold()

    def append_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Write dead letters; when this returns they survive a power cut. OSError: none may have.

        Any thread may call it.
        """
        self._dead_letters.append(letters)

    def save_status(self, text: str) -> None:
        """Replace `status.json`, which `shipper status` reads; OSError: it stays as it was."""
        replace(self._path("status.json"), text.encode(), sync=False)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._journal_file)
        os.close(self._lock)

    def _path(self, name: str) -> Path:
        return self.directory / name

    def _read_checkpoint(self) -> Checkpoint | None:
        try:
            return state.parse_checkpoint(self._path("checkpoint").read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._notice(f"the checkpoint can't be read ({error}); every source is read again")
            return None

    def _acquire_lock(self) -> int:
        file = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise StateError(
                f"the state folder {self.directory} is in use",
                why="another shipper holds its lock",
                next_step="stop the other one, or give this one a [state] directory of its own",
            ) from error
        return file

    def _load_stream(self, instance_id: str, now: str) -> Stream:
        here = machine_id()
        try:
            found = state.parse_stream(self._path("stream").read_bytes())
        except FileNotFoundError:
            pass
        except ValueError as error:
            self._notice(f"the stream file is damaged ({error}); a new stream begins")
        else:
            if (found.instance_id, found.machine_id) == (instance_id, here):
                return found
            self._notice(
                f"the state folder is from {found.instance_id} (machine {found.machine_id or '?'});"
                " a new stream begins"
            )
        return self._new_stream(instance_id, here, now)

    def _new_stream(self, instance_id: str, machine_id: str, now: str, *, why: str = "") -> Stream:
        stream = Stream(
            stream=secrets.token_hex(_STREAM_RANDOM_BYTES),
            instance_id=instance_id,
            machine_id=machine_id,
            created=now,
            why=why,
        )
        replace(self._path("stream"), state.format_stream(stream), sync=True)
        self._is_new_stream = True
        return stream

    def _load_journal(self, now: str) -> Journal:
        """The stream's journal; one that is missing or damaged ends the stream.

        Numbers of sources that were given before are lost with it, and must not be given to other
        files under the same stream. The new stream is on disk before the old journal goes.
        """
        path = self._path("sources")
        why = "is missing"
        try:
            found = state.parse_journal(path.read_bytes())
        except FileNotFoundError:
            found = None
        except ValueError as error:
            found = None
            why = f"is damaged ({error})"
        if found is not None and found.stream == self.stream.stream:
            # a row was durable before its first byte was sent, and so before any checkpoint
            unknown = self.load_checkpoint().sources.keys() - found.rows.keys()
            if not unknown:
                return self._compact(found)
            found = None
            why = f"was cut short: it lacks source {min(unknown)}, which the checkpoint knows"
        if found is None and not self._is_new_stream:
            self._notice(f"the sources journal {why}; a new stream begins, every file is read anew")
            self.stream = self._new_stream(self.stream.instance_id, self.stream.machine_id, now)
        with contextlib.suppress(FileNotFoundError):
            path.replace(self._path("sources.before"))
        head = state.format_journal_head(self.stream.stream)
        replace(path, head, sync=True)
        return Journal(stream=self.stream.stream, valid_bytes=len(head))

    def _compact(self, journal: Journal) -> Journal:
        """Forget closed sources where that halves the journal: it would only ever grow.

        The old file holds until the new one is whole and on the disk. A full disk leaves the old.
        """
        if not journal.closed.keys().isdisjoint(self.load_checkpoint().sources):
            return journal  # the checkpoint lags, and must never know what the journal does not
        data = state.format_compacted(journal)
        if journal.valid_bytes < max(COMPACTED_ABOVE_BYTES, 2 * len(data)):
            return journal
        path = self._path("sources")
        try:
            with writing_beside(path, sync=True) as file:
                write_all(file, data, None)
        except OSError as error:
            narrate("warning", f"the sources journal could not be made smaller: {error}")
            return journal
        put_in_place(path)
        sync_folder(path.parent)
        return dataclasses.replace(journal, valid_bytes=len(data))

    def _notice(self, text: str) -> None:
        self.notices.append(text)
        narrate("warning", text)

    def _unusable(self, error: OSError) -> StateError:
        return StateError(
            f"the state folder {self.directory} can't be used",
            why=str(error),
            next_step="give it space and write permission, or choose another [state] directory",
        )
