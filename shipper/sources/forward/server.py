"""The Forward server: one thread that reads from all clients and commits once for all of them.

In: connections. Out: lines in a spool, and acknowledgements after the disk has them. It must never
acknowledge what is not durable, never wait for one client, and read no further when the spool is
full: clients then wait, and nothing is lost.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from shipper.clock import SystemClock
from shipper.errors import StateError
from shipper.listen_address import ListenAddress
from shipper.narration import narrate
from shipper.ports import Clock
from shipper.sources.forward.batch import Batch
from shipper.sources.forward.complaints import Complaints
from shipper.sources.forward.connection import Connection
from shipper.sources.forward.handshake import read_key
from shipper.sources.forward.protocol import SessionOptions, Step
from shipper.sources.forward.sockets import (
    Listener,
    answer_heartbeats,
    open_listener,
    shut,
)
from shipper.sources.spool import Spool, SpoolFullError
from shipper.statistics import ForwardStatistics

CONNECTIONS_LIMIT: Final = 256

_TURN_BYTES: Final = 1 << 20
"""Read at most about so much from all clients before the disk is asked."""
_GATHER_BYTES: Final = 64 << 10
_GATHER_SECONDS: Final = 0.02
"""Little that comes often is read in one go; else every event costs a write to the disk."""
_TICK_SECONDS: Final = 1.0
_FULL_RETRY_SECONDS: Final = 0.1
_PROMPT_SECONDS: Final = 1.0
_CALM_SECONDS: Final = 300.0
"""After a delay: longer than clients wait for an acknowledgement before they send again."""
_ACCEPT_RETRY_SECONDS: Final = 0.1


class ForwardServer:
    """One `[[sources.forward]]`."""

    def __init__(
        self,
        listen: ListenAddress,
        spool: Spool,
        *,
        shared_key_file: Path | None = None,
        clock: Clock | None = None,
        on_append: Callable[[], None] = lambda: None,
        connections_limit: int = CONNECTIONS_LIMIT,
    ) -> None:
        """`on_append` is called by the server's thread when new lines are durable."""
        self.error = ""
        """Why nothing can be taken at present; empty: all is well."""
        self.unkept_events = 0
        """Those that had come at the end, and could not be made durable."""
        self._listen = listen
        self._shared_key_file = shared_key_file
        self._spool = spool
        self._clock: Clock = clock or SystemClock()
        self._on_append = on_append
        self._connections_limit = connections_limit
        self._statistics = ForwardStatistics()
        self._listener: Listener | None = None
        self._options = SessionOptions(server_name=f"afterimage@{socket.gethostname()}")
        self._selector = selectors.DefaultSelector()
        self._connections: set[Connection] = set()
        self._large: Connection | None = None
        self._accepts_at = 0.0
        self._is_crowded = False
        """Whether nobody is accepted for a moment, for want of room."""
        self._complaints = Complaints()
        self._waiting: deque[Connection] = deque()
        self._batch = Batch()
        self._is_blocked = False
        self._turn_at = 0.0
        self._slow_at = float("-inf")
        """When a client was kept waiting last."""
        self._stop = threading.Event()
        self._stop_at = 0.0
        self._waker, self._wakened = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="forward", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens, with the port that was chosen; as configured before `start`."""
        return str(self._listener.stream.address if self._listener else self._listen)

    def start(self) -> None:
        """Listen, and serve in a thread of its own.

        Raises:
            ConfigError: it can't listen there, or the key can't be read.
        """
        path = self._shared_key_file
        key = b"" if path is None else read_key(path)
        self._options = replace(self._options, shared_key=key)
        self._listener = open_listener(self._listen)
        self._watch_listener()
        if self._listener.datagrams is not None:
            self._selector.register(self._listener.datagrams, selectors.EVENT_READ, "heartbeat")
        self._selector.register(self._wakened, selectors.EVENT_READ, "wake")
        self._thread.start()

    def stop(self, deadline_seconds: float) -> None:
        """Take what the kernel holds already, answer it, and close; returns within the deadline."""
        if self._stop.is_set():
            return
        self._stop_at = self._clock.monotonic() + deadline_seconds
        self._stop.set()
        if self._thread.ident is None:
            self._let_go()
        else:
            with suppress(OSError):  # it ended by itself
                self._waker.send(b"\0")
            self._thread.join(deadline_seconds + _TICK_SECONDS)
        self._waker.close()

    def statistics(self) -> ForwardStatistics:
        """What it did so far."""
        return replace(self._statistics, connections_open=len(self._connections))

    # ---- the thread

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._turn()
            self._drain()
        except Exception as error:  # noqa: BLE001 - a worker's boundary: the agent reads `error`
            self.error = f"the Forward server at {self.address} failed: {error!r}"
            narrate("error", self.error)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        for connection in list(self._connections):
            self._close(connection)
        if self._listener is not None:
            self._listener.close()
        self._selector.close()
        self._wakened.close()

    def _turn(self) -> None:
        timeout = _FULL_RETRY_SECONDS if self._is_blocked or self._is_crowded else _TICK_SECONDS
        before = self._statistics.bytes_received
        ready = self._selector.select(timeout)
        self._turn_at = self._clock.monotonic()
        for key, events in ready:
            match key.data:
                case "accept":
                    self._accept()
                case "heartbeat":
                    self._answer_heartbeats()
                case "wake":
                    pass
                case connection:
                    self._serve(connection, events, before + _TURN_BYTES)
        is_awaited = bool(self._batch.replies)
        self._commit()
        self._look_after()
        received = self._statistics.bytes_received - before
        if 0 < received < _GATHER_BYTES and not is_awaited:
            self._stop.wait(_GATHER_SECONDS)

    def _serve(self, connection: Connection, events: int, until_bytes: int) -> None:
        if events & selectors.EVENT_WRITE:
            connection.send()
        if events & selectors.EVENT_READ:
            self._read(connection, until_bytes - self._statistics.bytes_received)
        self._watch(connection)

    def _read(self, connection: Connection, limit_bytes: int) -> None:
        now, now_nanos = self._clock.monotonic(), self._clock.now_nanos()
        for size, step in connection.read(now, now_nanos, limit_bytes):
            self._statistics = replace(
                self._statistics, bytes_received=self._statistics.bytes_received + size
            )
            self._take(connection, step)
            if connection.is_large and not self._may_be_large(connection):
                return

    def _take(self, connection: Connection, step: Step) -> None:
        for delivery in step.deliveries:
            self._batch.add(connection, delivery, self._spool.is_known)
        self._batch.replies += ((connection, reply) for reply in step.replies)
        if not step.refusals:
            return
        self._statistics = replace(
            self._statistics, refused=self._statistics.refused + len(step.refusals)
        )
        self._say(self._complaints.note(step.refusals, self._clock.monotonic()))

    def _say(self, lines: Sequence[str]) -> None:
        for line in lines:
            narrate("warning", f"Forward at {self.address}: {line}")

    # ---- committing

    def _commit(self) -> None:
        """Make durable what was read, then answer; if it can't be, stop reading until it can."""
        batch = self._batch
        if batch.lines:
            try:
                self._spool.append(batch.lines, chunks=batch.chunks)
            except SpoolFullError:
                self._block("the spool is full: clients have to wait until more is shipped")
                return
            except StateError as error:
                self._block(str(error))
                return
            self._on_append()
        self._batch = Batch()
        self._statistics = replace(
            self._statistics,
            events=self._statistics.events + len(batch.lines),
            duplicates=self._statistics.duplicates + batch.duplicates,
        )
        self._unblock()
        for connection, reply in batch.replies:
            connection.owe(reply)
        for connection in {connection for connection, _ in batch.replies}:
            connection.send()
            self._watch(connection)
        self._note_answers(batch)
        for connection in [one for one in self._connections if one.is_ended]:
            self._watch(connection)

    def _note_answers(self, batch: Batch) -> None:
        """Remember who has an answer, unless some client may have given up waiting for its own."""
        now = self._clock.monotonic()
        if now - self._turn_at > _PROMPT_SECONDS:
            self._slow_at = now
        elif now - self._slow_at > _CALM_SECONDS:
            for connection, key in batch.answers:
                if not connection.is_owed:
                    connection.note_answered(key)

    def _block(self, why: str) -> None:
        if self.error != why:
            self.error = why
            narrate("warning", f"Forward at {self.address}: {why}")
        self._slow_at = self._clock.monotonic()
        if not self._is_blocked:
            self._is_blocked = True
            for connection in list(self._connections):
                self._watch(connection)

    def _unblock(self) -> None:
        self.error = ""
        if self._is_blocked:
            self._is_blocked = False
            for connection in list(self._connections):
                connection.heard_at = self._clock.monotonic()  # it was not listened to
                self._watch(connection)

    # ---- connections

    def _answer_heartbeats(self) -> None:
        if self._listener is not None and self._listener.datagrams is not None:
            answer_heartbeats(self._listener.datagrams)

    def _accept(self) -> None:
        if self._listener is None:
            return
        while len(self._connections) < self._connections_limit or self._evict():
            try:
                sock, _ = self._listener.stream.socket.accept()
            except BlockingIOError:
                return
            except OSError:  # the client went away, or no descriptor is left
                break
            connection = Connection(sock, self._options, self._clock.monotonic())
            self._connections.add(connection)
            self._statistics = replace(
                self._statistics, connections=self._statistics.connections + 1
            )
            connection.send()
            self._watch(connection)
        self._accepts_at = self._clock.monotonic() + _ACCEPT_RETRY_SECONDS
        self._watch_listener()

    def _watch_listener(self) -> None:
        """Accept no more for a moment where there is no room; the kernel keeps who waits."""
        if self._listener is None:
            return
        is_open = self._clock.monotonic() >= self._accepts_at
        self._is_crowded = not is_open
        stream = self._listener.stream.socket
        registered = stream in self._selector.get_map()
        if is_open and not registered:
            self._selector.register(stream, selectors.EVENT_READ, "accept")
        elif registered and not is_open:
            self._selector.unregister(stream)

    def _evict(self) -> bool:
        """Make room by closing a connection that has said nothing for long, or never anything."""
        if self._is_blocked:
            return False
        now = self._clock.monotonic()
        for idle in sorted(self._connections, key=lambda one: one.may_go_at):
            if idle.may_go_at > now:
                return False
            if not idle.has_unread:
                self._close(idle)
                return True
        return False

    def _watch(self, connection: Connection) -> None:
        """Watch a connection for what it may do now; close it when nothing is left to do."""
        if connection not in self._connections:
            return
        is_answered = all(one is not connection for one, _ in self._batch.replies)
        if connection.is_lost or (connection.is_ended and is_answered and not connection.is_owed):
            self._close(connection)
            return
        events = selectors.EVENT_WRITE if connection.is_owed else 0
        if not (connection.is_ended or self._is_blocked or connection in self._waiting):
            events |= selectors.EVENT_READ
        key = self._selector.get_map().get(connection.socket)
        if key is None:
            if events:
                self._selector.register(connection.socket, events, connection)
        elif not events:
            self._selector.unregister(connection.socket)
        elif events != key.events:
            self._selector.modify(connection.socket, events, connection)

    def _may_be_large(self, connection: Connection) -> bool:
        """One client at a time may have a large unfinished message; the others wait their turn."""
        if self._large is None:
            self._large = connection
        if self._large is connection:
            return True
        if connection not in self._waiting:
            self._waiting.append(connection)
            self._slow_at = self._clock.monotonic()
        return False

    def _look_after(self) -> None:
        """Let the next large message go on, close who is stuck, let idle segments go."""
        now = self._clock.monotonic()
        for connection in [one for one in self._connections if one.is_stuck(now)]:
            if connection not in self._waiting and not self._is_blocked:
                self._take(connection, Step(refusals=["a client stood still in its message"]))
                self._close(connection)
        if self._large is not None and not self._large.is_large:
            self._large = None
        if self._large is None and self._waiting:
            self._large = self._waiting.popleft()
            self._large.heard_at = now
            self._watch(self._large)
        self._watch_listener()
        self._say(self._complaints.tell_due(now))
        self._spool.tend()

    def _close(self, connection: Connection) -> None:
        if connection.session.held_bytes:
            self._statistics = replace(self._statistics, cut=self._statistics.cut + 1)
        self._connections.discard(connection)
        if connection in self._waiting:
            self._waiting.remove(connection)
        if self._large is connection:
            self._large = None
        if connection.socket in self._selector.get_map():
            self._selector.unregister(connection.socket)
        connection.socket.close()

    # ---- the end

    def _drain(self) -> None:
        """The last words: what the kernel holds of every client, and of those not yet accepted."""
        self._connections_limit = 1 << 30
        self._accept()
        for connection in self._connections:
            shut(connection.socket)
        while self._clock.monotonic() < self._stop_at:
            before = self._statistics.bytes_received
            for connection in self._readable():
                self._read(connection, _TURN_BYTES)
            self._commit()
            self._look_after()
            if self._is_blocked:
                self._sleep(_FULL_RETRY_SECONDS)
            elif self._statistics.bytes_received == before:
                break
        if self._batch.lines:
            self.unkept_events = len(self._batch.lines)
            narrate(
                "warning",
                f"Forward at {self.address}: {len(self._batch.lines)} events could not be kept "
                f"({self.error}); clients that want acknowledgements send theirs again",
            )

    def _readable(self) -> Iterator[Connection]:
        if self._is_blocked:
            return
        for connection in list(self._connections):
            if not connection.is_ended and connection not in self._waiting:
                yield connection

    def _sleep(self, seconds: float) -> None:
        self._selector.select(0)
        threading.Event().wait(seconds)
