"""`ForwardHandler`: the `logging` of a Python application, handed to the shipper as it happens.

In: log records. Out: Forward events, in chunks that the shipper acknowledges when they are durable
and stores once however often they come. It must never block the application, never hold more than
its queue, and never leave out a record without saying how many. Needs the extra `[logging]`.

    logging.basicConfig(handlers=[ForwardHandler("shop")], level=logging.INFO)
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shipper.listen_address import parse_listen
from shipper.logging_events import build_event, created_nanos, tell_message

DEFAULT_ADDRESS: Final = "unix:///run/afterimage/forward.sock"

_BATCH_BYTES: Final = 512 << 10
_CHUNK_RANDOM_BYTES: Final = 16
_ACK_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 3.0
_RETRY_SECONDS: Final = (0.1, 2.0)
_ACK_LIMIT_BYTES: Final = 4096
_PLAIN_FORMATS: Final = frozenset((logging.BASIC_FORMAT, "%(message)s"))
"""What `logging.basicConfig` and `Formatter()` give a handler that has no format of its own."""


class ForwardHandler(logging.Handler):
    """Queues records as the Forward protocol has them; a thread hands them over."""

    def __init__(
        self,
        tag: str,
        address: str = DEFAULT_ADDRESS,
        *,
        level: int = logging.NOTSET,
        queue_bytes: int = 8 << 20,
        exit_seconds: float = 5.0,
    ) -> None:
        """`address` is what `[[sources.forward]]` listens on: a unix socket, or TCP over IPv4.

        `queue_bytes`: what may wait; above it the oldest records go. `exit_seconds`: how long
        `flush` and the end of the program wait for the shipper, at most.

        Raises:
            ImportError: the extra is not installed.
            ValueError: `address` is none.
        """
        super().__init__(level)
        self._pack = _import_msgpack().packb
        self._event_time = _import_fluent().EventTime.from_unix_nano
        self._queue = _Queue(queue_bytes)
        self._courier = _Courier(tag, address, self._queue, self._pack_drops)
        self._exit_seconds = exit_seconds
        self._has_given_up = False
        _HANDLERS.add(self)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - logging's name
        """As `logging` does; a default format is left out, since level and logger are fields."""
        is_plain = type(fmt) is logging.Formatter and fmt._fmt in _PLAIN_FORMATS  # noqa: SLF001 - no public name tells its format
        super().setFormatter(None if is_plain else fmt)

    @property
    def dropped(self) -> int:
        """How many records did not fit into the queue so far."""
        return self._queue.dropped_ever

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record; returns at once."""
        try:
            message = self.format(record) if self.formatter else tell_message(record)
            entry = self._pack_entry(created_nanos(record), build_event(record, message))
        except Exception:  # noqa: BLE001 - logging's own boundary: it tells, and the program goes on
            self.handleError(record)
            return
        self._queue.put(entry)
        self._courier.start()

    def flush(self) -> None:
        """Wait until the shipper has all, at most for `exit_seconds`."""
        self._has_given_up = not self._courier.wait_until_idle(self._exit_seconds)

    def close(self) -> None:
        """Hand over what is left, at most for `exit_seconds`; `logging.shutdown` calls it."""
        _HANDLERS.discard(self)
        # `logging.shutdown` flushes first: whoever did not answer then is not waited for again
        self._courier.finish(0.0 if self._has_given_up else self._exit_seconds)
        super().close()

    def _pack_entry(self, nanos: int, event: Mapping[str, Any]) -> bytes:
        entry: bytes = self._pack((self._event_time(nanos), event))
        return entry

    def _pack_drops(self, count: int) -> bytes:
        """What stands where records are missing."""
        return self._pack_entry(
            time.time_ns(),
            {
                "message": f"{count} log records were dropped: the shipper did not take them",
                "log.level": "warning",
                "log.logger": "shipper.logging_handler",
                "event.dropped": count,
                "process.pid": os.getpid(),
            },
        )

    def _begin_in_child(self) -> None:
        """After a fork: what waits is the parent's to send, and so is the connection."""
        self._queue.begin_in_child()
        self._courier.begin_in_child()


_HANDLERS: Final[weakref.WeakSet[ForwardHandler]] = weakref.WeakSet()


def _begin_in_child() -> None:
    for handler in list(_HANDLERS):
        handler._begin_in_child()  # noqa: SLF001 - same module


os.register_at_fork(after_in_child=_begin_in_child)


def _tell(text: str) -> None:
    """Say it where `logging` itself says what is wrong, unless the application wants no such."""
    if logging.raiseExceptions and sys.stderr is not None:
        sys.stderr.write(f"ForwardHandler: {text}\n")


class _KeyWantedError(OSError):
    """The listener begins with a handshake."""

    def __str__(self) -> str:
        return (
            "it wants a shared key, which this handler can't prove: use a unix socket, "
            "or a listener without a key"
        )


# ---- what is waiting


class _Queue:
    """Packed entries, bounded in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.dropped_ever = 0
        self.begin_in_child()

    def begin_in_child(self) -> None:
        """Empty, and with a lock that nobody holds."""
        self.changed = threading.Condition()
        self._entries: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0

    @property
    def size_bytes(self) -> int:
        """How many bytes wait."""
        return self._bytes

    @property
    def records(self) -> int:
        """How many records wait."""
        return len(self._entries)

    def put(self, entry: bytes) -> None:
        """Add one; where there is no room the oldest go: last words say most."""
        with self.changed:
            self._entries.append(entry)
            self._bytes += len(entry)
            while self._bytes > self._limit_bytes:
                self._bytes -= len(self._entries.popleft())
                self._dropped += 1
                self.dropped_ever += 1
            self.changed.notify_all()

    def take(self) -> tuple[list[bytes], int]:
        """The next entries for one chunk, and how many were dropped before them."""
        batch = []
        size = 0
        with self.changed:
            dropped, self._dropped = self._dropped, 0
            while self._entries and size < _BATCH_BYTES:
                entry = self._entries.popleft()
                batch.append(entry)
                size += len(entry)
            self._bytes -= size
        return batch, dropped


class _Courier:
    """The thread that hands entries over, chunk by chunk, each until it is acknowledged."""

    def __init__(self, tag: str, address: str, queue: _Queue, pack_drops: Any) -> None:
        self._tag = tag
        self._address = address
        self._queue = queue
        self._pack_drops = pack_drops
        self._sender = _make_sender(tag, address)
        self._message = b""
        self._message_records = 0
        self._chunk = ""
        self._trouble: OSError | ValueError | None = None
        self._has_told_key = False
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._gives_up_at = math.inf

    def start(self) -> None:
        """Have the thread run; at the interpreter's end there can be no new one."""
        if self._is_running:
            return
        with self._start_lock:
            if not self._is_running:
                thread = threading.Thread(target=self._run, name="afterimage", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return
                self._thread = thread

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def begin_in_child(self) -> None:
        """Without the parent's thread, chunk and connection."""
        self._sender.abandon()
        self._message = b""
        self._message_records = 0
        self._thread = None
        self._start_lock = threading.Lock()

    def wait_until_idle(self, seconds: float) -> bool:
        """Whether everything was handed over in time."""
        if self._left_bytes:
            self.start()
        with self._queue.changed:
            return self._queue.changed.wait_for(lambda: not self._left_bytes, seconds)

    def finish(self, seconds: float) -> None:
        """Hand over the rest and end; what is left is told, and why."""
        with self._queue.changed:
            self._gives_up_at = min(self._gives_up_at, time.monotonic() + seconds)
            self._queue.changed.notify_all()
        if self._left_bytes:
            self.start()
        if self._thread is not None:
            self._thread.join(seconds + 1)
        if self._left_bytes and not self._is_running:
            self._run()  # no thread can be started any more
        if self._left_bytes:
            _tell(
                f"{self._queue.records + self._message_records} log records ({self._left_bytes} "
                f"bytes) were not handed over to {self._address}: {self._render_trouble()}"
            )

    def _render_trouble(self) -> str:
        """Why it does not work, and what to do."""
        error = self._trouble
        if isinstance(error, _KeyWantedError):
            return str(error)
        why = "it did not answer" if error is None else getattr(error, "strerror", "") or error
        return f"{why}; does the shipper run, and `[[sources.forward]]` listen there?"

    @property
    def _left_bytes(self) -> int:
        return self._queue.size_bytes + len(self._message)

    @property
    def _is_finishing(self) -> bool:
        return self._gives_up_at < math.inf

    def _run(self) -> None:
        delay, longest = _RETRY_SECONDS
        while self._next_message():
            if self._deliver():
                delay = _RETRY_SECONDS[0]
                with self._queue.changed:
                    self._message = b""
                    self._message_records = 0
                    self._queue.changed.notify_all()
                continue
            if time.monotonic() + delay >= self._gives_up_at:
                break
            self._pause(delay)
            delay = min(2 * delay, longest)
        self._sender.close()

    def _pause(self, seconds: float) -> None:
        """Wait before the next try, but not through the end of the program."""
        with self._queue.changed:
            if not self._is_finishing:
                self._queue.changed.wait_for(lambda: self._is_finishing, seconds)
                return
        time.sleep(seconds)

    def _next_message(self) -> bool:
        """Wait for entries and make a message of them; False: the program ends, and all is sent."""
        with self._queue.changed:
            while not self._left_bytes:
                if self._is_finishing:
                    return False
                self._queue.changed.wait()
            if self._message:
                return True
            entries, dropped = self._queue.take()
            self._message_records = len(entries)
            if dropped:
                entries.insert(0, self._pack_drops(dropped))
            self._chunk = os.urandom(_CHUNK_RANDOM_BYTES).hex()
            self._message = self._sender.pack_chunk(self._tag, entries, self._chunk)
            return True

    def _deliver(self) -> bool:
        left = self._gives_up_at - time.monotonic()
        try:
            self._sender.deliver(self._message, self._chunk, max(0.1, min(_ACK_SECONDS, left)))
        except (OSError, ValueError) as error:
            self._sender.abandon()  # the shipper is away: the same chunk again, later
            self._trouble = error
            if isinstance(error, _KeyWantedError) and not self._has_told_key:
                self._has_told_key = True  # waiting does not help: somebody must act
                _tell(f"nothing can be handed over to {self._address}: {error}")
            return False
        self._trouble = None
        return True


def _make_sender(tag: str, address: str) -> Any:
    """fluent-logger's sender, with chunks and acknowledgements in place of its buffer."""
    msgpack = _import_msgpack()

    class ChunkSender(_import_fluent().FluentSender):  # type: ignore[misc]  # it has no types
        socket: Any

        def pack_chunk(self, tag: str, entries: Sequence[bytes], chunk: str) -> bytes:
            """A PackedForward message."""
            option = {"chunk": chunk, "size": len(entries)}
            packed: bytes = msgpack.packb((tag, b"".join(entries), option))
            return packed

        def deliver(self, message: bytes, chunk: str, seconds: float) -> None:
            """Send a message and wait for its acknowledgement; OSError, ValueError: none came."""
            self._reconnect()
            deadline = time.monotonic() + seconds
            self.socket.settimeout(seconds)
            with contextlib.suppress(ConnectionError):  # it may have said why it closed
                self.socket.sendall(message)
            answers = msgpack.Unpacker(max_buffer_size=_ACK_LIMIT_BYTES)
            while True:
                self.socket.settimeout(max(0.01, deadline - time.monotonic()))
                data = self.socket.recv(_ACK_LIMIT_BYTES)
                if not data:
                    raise OSError("the shipper closed the connection")
                answers.feed(data)
                for answer in answers:
                    if isinstance(answer, dict) and answer.get("ack") == chunk:
                        return
                    if isinstance(answer, list) and answer[:1] == ["HELO"]:
                        raise _KeyWantedError

        def abandon(self) -> None:
            """Let go of the connection without a word: after a fork it is the parent's."""
            sock, self.socket = self.socket, None
            if sock is not None:
                sock.close()

    host, port = _parse_address(address)
    return ChunkSender(tag, host=host, port=port, timeout=_CONNECT_SECONDS)


def _parse_address(address: str) -> tuple[str, int]:
    """What fluent-logger calls host and port."""
    try:
        parsed = parse_listen(address)
    except ValueError as error:
        raise ValueError(f"ForwardHandler's address {error}") from error
    if ":" in parsed.host:
        raise ValueError(
            f"ForwardHandler can't reach {address}: fluent-logger connects over IPv4 alone; "
            f"let the shipper listen on tcp://127.0.0.1:{parsed.port} or on a unix socket"
        )
    return (address, 0) if parsed.path else (parsed.host, parsed.port)


def _import_fluent() -> Any:
    try:
        import fluent.sender
    except ImportError as error:
        raise ImportError(
            "ForwardHandler needs fluent-logger: pip install 'afterimage-forensics[logging]'"
        ) from error
    return fluent.sender


def _import_msgpack() -> Any:
    _import_fluent()
    import msgpack

    return msgpack
