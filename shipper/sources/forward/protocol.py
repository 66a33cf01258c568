"""One connection of the Forward protocol as a state machine: bytes in, lines and answers out.

In: bytes as the kernel gives them, cut anywhere, and the time. Out: deliveries (lines that belong
together, and the acknowledgement that may be sent once they are durable), other replies, and
whether to close. Pure: no socket, no clock, no random. It must never acknowledge by itself, and
never leave out an event without saying so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from shipper.sources.forward.compressed import (
    CompressedError,
    NoZstdError,
    TooLargeError,
    decompress,
)
from shipper.sources.forward.entries import (
    BROKEN,
    build_entry,
    build_line,
    decode_or_skip,
    is_plain,
    is_utf8,
    packed_lines,
)
from shipper.sources.forward.events import LineBuilder, Peer
from shipper.sources.forward.handshake import answer_ping, build_helo
from shipper.sources.forward.json_values import JsonError, JsonSplitter
from shipper.sources.forward.msgpack import (
    DEPTH_LIMIT,
    DamagedError,
    Frame,
    IncompleteError,
    Scanner,
    decode,
    encode,
    find_end,
    read_frame,
)

MESSAGE_LIMIT_BYTES: Final = 16 << 20
"""A message on the wire; Fluentd's chunks have 8 MiB unless somebody made them larger."""
UNPACKED_LIMIT_BYTES: Final = 32 << 20
"""A message's entries, decompressed."""

_HANDSHAKE_LIMIT_BYTES: Final = 8 << 10
_JSON_LIMIT_BYTES: Final = 1 << 20
_CHUNK_LIMIT_BYTES: Final = 1 << 10
_KEY_BYTES: Final = 16
_BUILDERS_LIMIT: Final = 64
_NIL: Final = 0xC0
_LOGS_SIGNAL: Final = 0
_SIGNALS: Final = {1: "metrics", 2: "traces"}


class Delivery(NamedTuple):
    """The lines of one message."""

    lines: Sequence[bytes]
    key: bytes = b""
    """Names the client's chunk and its content; empty: the client wants no acknowledgement."""
    ack: bytes = b""
    """To be sent when the lines are durable, or were before."""


@dataclass(slots=True, kw_only=True)
class Step:
    """What follows from some bytes."""

    deliveries: list[Delivery] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """What was not taken, and why: each is counted."""
    is_closed: bool = False
    """Whether the connection has to be closed, once the replies are sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What all connections of a listener have in common."""

    server_name: str
    shared_key: bytes = b""
    """Empty: clients need not prove anything."""
    message_limit_bytes: int = MESSAGE_LIMIT_BYTES
    unpacked_limit_bytes: int = UNPACKED_LIMIT_BYTES


class _RefusedError(Exception):
    """The connection can't go on."""


class Session:
    """The server's side of one connection."""

    def __init__(self, options: SessionOptions, *, nonce: bytes, peer: Peer | None = None) -> None:
        self._options = options
        self._nonce = nonce
        self._peer = peer
        self._builders: dict[str, LineBuilder] = {}
        self._buffer = bytearray()
        self._json: JsonSplitter | None = None
        self._is_first = True
        self.is_admitted = not options.shared_key
        """Whether the client may send events."""
        self._scanner = self._make_scanner()

    @property
    def greeting(self) -> bytes:
        """What the server says first."""
        return build_helo(self._nonce) if self._options.shared_key else b""

    @property
    def held_bytes(self) -> int:
        """How many bytes wait for the rest of their message."""
        return len(self._buffer) + (self._json.held_bytes if self._json else 0)

    def feed(self, data: bytes, now_nanos: int) -> Step:
        """Take what the client sent."""
        step = Step()
        try:
            if self._is_first and data:
                self._is_first = False
                if data[0] in b"{[":
                    self._begin_json()
            if self._json is not None:
                self._take_json(self._json, data, step, now_nanos)
            else:
                self._take(data, step, now_nanos)
        except DamagedError as error:
            self._close(step, f"these are no Forward messages: {error}")
        except (_RefusedError, JsonError) as error:
            self._close(step, str(error))
        except NoZstdError:
            self._close(
                step,
                "the client compresses with zstd, which this Python can't read: install "
                "afterimage-forensics[zstd], or let the client use gzip",
            )
        except TooLargeError:
            limit = self._options.unpacked_limit_bytes
            self._close(step, f"a message is above {limit} bytes when decompressed")
        return step

    def _close(self, step: Step, why: str) -> None:
        step.refusals.append(why)
        step.is_closed = True
        self._buffer.clear()
        self._json = None

    # ---- MessagePack

    def _take(self, data: bytes, step: Step, now_nanos: int) -> None:
        if self._buffer:
            self._buffer += data
            try:
                self._scanner.find_end(self._buffer)
            except IncompleteError:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        at = 0
        while at < len(data) and not step.is_closed:
            try:
                at = self._take_value(data, at, step, now_nanos)
            except IncompleteError:
                self._hold(data, at)
                return
            except (DamagedError, _RefusedError):
                # judged when it is whole, so that it makes no difference where it was cut
                if _is_cut(data, at):
                    self._hold(data, at)
                    return
                raise

    def _hold(self, data: bytes, at: int) -> None:
        """Keep the beginning of a message until the rest comes."""
        self._buffer += memoryview(data)[at:]
        self._scanner = self._make_scanner()
        try:
            self._scanner.find_end(self._buffer)
        except IncompleteError:
            return
        raise DamagedError("a message ends within one of its values")

    def _make_scanner(self) -> Scanner:
        limit = self._options.message_limit_bytes if self.is_admitted else _HANDSHAKE_LIMIT_BYTES
        return Scanner(limit)

    def _take_value(self, data: bytes, at: int, step: Step, now_nanos: int) -> int:
        """Take the value at `at`; where the next one begins. IncompleteError: nothing was taken."""
        if data[at] == _NIL:
            return at + 1  # a heartbeat
        if self.is_admitted and is_plain(data, at):
            try:
                (tag, time, record), end = decode(data, at)
            except DamagedError:
                pass  # whole on the wire, and kept below
            else:
                builder = self._builder(tag)
                line = build_line(builder, time, record, now_nanos) or builder.build_opaque(
                    data[at:end], now_nanos
                )
                step.deliveries.append(Delivery((line,)))
                return end
        frame = read_frame(data, at)
        if not self.is_admitted:
            return self._take_ping(data, at, step)
        if frame.kind != "array":
            end = find_end(data, at)
            step.refusals.append("a value that is no message")
            return end
        return self._take_message(data, at, frame, step, now_nanos)

    def _take_ping(self, data: bytes, at: int, step: Step) -> int:
        message, end = decode_or_skip(data, at)
        answer = answer_ping(
            message,
            shared_key=self._options.shared_key,
            nonce=self._nonce,
            server_name=self._options.server_name,
        )
        step.replies.append(answer.pong)
        if answer.refusal:
            raise _RefusedError(answer.refusal)
        self.is_admitted = True
        return end

    def _take_message(
        self, data: bytes, start: int, frame: Frame, step: Step, now_nanos: int
    ) -> int:
        tag, at = decode_or_skip(data, frame.body) if frame.size else (BROKEN, frame.body)
        if frame.size < 2 or not isinstance(tag, str):  # noqa: PLR2004 - a tag and something
            end = find_end(data, start)
            line = LineBuilder("", self._peer).build_opaque(data[start:end], now_nanos)
            step.deliveries.append(Delivery((line,)))
            return end
        second = read_frame(data, at)
        if second.kind in {"scalar", "ext"}:
            return self._take_single(data, start, at, frame.size, tag, step, now_nanos)
        if second.kind == "map":
            raise _RefusedError("a message has a map where its time or entries should be")
        builder = self._builder(tag)
        if second.kind == "array":
            lines, end = self._read_entries(builder, data, second, now_nanos)
            content = data[second.body : end]
            options, after = self._read_options(data, end, frame.size - 2)
        else:
            end = second.body + second.size
            if end > len(data):
                raise IncompleteError("a payload is cut")
            content = data[second.body : end]
            options, after = self._read_options(data, end, frame.size - 2)
            lines, content = self._unpack(builder, content, now_nanos)
        self._deliver(step, tag, lines, content, options)
        return after

    def _take_single(
        self, data: bytes, start: int, at: int, size: int, tag: str, step: Step, now_nanos: int
    ) -> int:
        """A message that is one event: tag, time, record, options."""
        time, record_at = decode_or_skip(data, at)
        record: Any = BROKEN
        end = record_at
        if size > 2:  # noqa: PLR2004 - more than tag and time
            record, end = decode_or_skip(data, record_at)
        options, after = self._read_options(data, end, size - 3)
        builder = self._builder(tag)
        line = build_line(builder, time, record, now_nanos) or builder.build_opaque(
            data[start:end], now_nanos
        )
        self._deliver(step, tag, (line,), data[at:end], options)
        return after

    def _read_options(self, data: bytes, at: int, count: int) -> tuple[Mapping[Any, Any], int]:
        """A message's last value, and where it ends; what follows it is of a later version."""
        options: Any = None
        for place in range(count):
            value, at = decode(data, at)
            options = value if not place else options
        return (options if isinstance(options, Mapping) else {}), at

    def _read_entries(
        self, builder: LineBuilder, data: bytes, frame: Frame, now_nanos: int
    ) -> tuple[list[bytes], int]:
        """The lines of an array of entries, and where it ends."""
        lines = []
        at = frame.body
        for _ in range(frame.size):
            start = at
            entry, at = decode_or_skip(data, at)
            line = build_entry(builder, entry, now_nanos)
            lines.append(line or builder.build_opaque(data[start:at], now_nanos))
        return lines, at

    def _unpack(
        self, builder: LineBuilder, payload: bytes, now_nanos: int
    ) -> tuple[list[bytes], bytes]:
        """The lines of a payload, and its bytes when decompressed."""
        try:
            plain = decompress(payload, self._options.unpacked_limit_bytes)
        except CompressedError:
            return [builder.build_opaque(payload, now_nanos)], payload
        return list(packed_lines(builder, plain, now_nanos)), plain

    # ---- JSON

    def _begin_json(self) -> None:
        if self._options.shared_key:
            raise _RefusedError("JSON is not taken where clients have to know a key")
        self._json = JsonSplitter(
            limit_bytes=min(_JSON_LIMIT_BYTES, self._options.message_limit_bytes),
            depth_limit=DEPTH_LIMIT,
        )

    def _take_json(self, splitter: JsonSplitter, data: bytes, step: Step, now_nanos: int) -> None:
        for raw in splitter.feed(data):
            try:
                message = json.loads(raw)
            except (ValueError, RecursionError) as error:
                raise _RefusedError(f"this is no JSON: {error}") from None
            self._take_json_message(message, raw, step, now_nanos)

    def _take_json_message(self, message: Any, raw: bytes, step: Step, now_nanos: int) -> None:
        rest: list[Any] = []
        match message:
            case [str(tag), *_] if not is_utf8(tag):
                tag = ""
                lines = [self._builder("").build_opaque(raw, now_nanos)]
            case [str(tag), [*entries], *rest]:
                builder = self._builder(tag)
                lines = [
                    build_entry(builder, entry, now_nanos)
                    or builder.build_opaque(json.dumps(entry).encode(), now_nanos)
                    for entry in entries
                ]
            case [str(tag), time, dict(record), *rest]:
                builder = self._builder(tag)
                line = build_line(builder, time, record, now_nanos)
                lines = [line or builder.build_opaque(raw, now_nanos)]
            case _:
                tag = ""
                lines = [self._builder("").build_opaque(raw, now_nanos)]
        options = rest[0] if rest and isinstance(rest[0], dict) else {}
        self._deliver(step, tag, lines, raw, options, is_json=True)

    # ---- both

    def _builder(self, tag: str) -> LineBuilder:
        builder = self._builders.get(tag)
        if builder is None:
            if len(self._builders) >= _BUILDERS_LIMIT:
                self._builders.clear()
            builder = self._builders[tag] = LineBuilder(tag, self._peer)
        return builder

    def _deliver(
        self,
        step: Step,
        tag: str,
        lines: Sequence[bytes],
        content: bytes,
        options: Mapping[Any, Any],
        *,
        is_json: bool = False,
    ) -> None:
        chunk = options.get("chunk")
        signal = options.get("fluent_signal", _LOGS_SIGNAL)
        if signal in _SIGNALS:
            why = f"a client sends {_SIGNALS[signal]}, which are no logs: let it send logs alone"
            if chunk is not None:
                raise _RefusedError(why)  # it would wait for an answer
            step.refusals.append(why)
            return
        if chunk is None:
            step.deliveries.append(Delivery(lines))
            return
        if not isinstance(chunk, str | bytes) or len(chunk) > _CHUNK_LIMIT_BYTES:
            raise _RefusedError("the option `chunk` is no text, or too long to be sent back")
        raw = chunk.encode("utf-8", "surrogatepass") if isinstance(chunk, str) else chunk
        digest = hashlib.sha256()
        for part in (raw, tag.encode("utf-8", "surrogatepass")):
            digest.update(b"%d:%b" % (len(part), part))
        digest.update(content)
        ack = json.dumps({"ack": chunk}).encode() if is_json else encode({"ack": chunk})
        step.deliveries.append(Delivery(lines, digest.digest()[:_KEY_BYTES], ack))


def _is_cut(data: bytes, at: int) -> bool:
    """Whether the value at `at` goes on where the bytes end."""
    try:
        find_end(data, at)
    except IncompleteError:
        return True
    except DamagedError:
        return False
    return False
