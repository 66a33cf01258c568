"""What is fuzzed: each target takes any bytes and raises where a promise is broken.

In: bytes. Out: nothing. A target holds its parser to a property, not just to not crashing: bytes
that were taken apart come together again, however they were cut. Errors that a parser promises are
no failure; any other exception is.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from shipper.config_reader import parse_config
from shipper.sources.forward.msgpack import MsgpackError, decode, encode
from shipper.sources.forward.protocol import Session, SessionOptions
from shipper.wire import state
from shipper.wire.formats import find_shape, make_framer
from shipper.wire.framing import frame
from shipper.wire.masks import Masker
from shipper.wire.multiline import PRESETS
from shipper.wire.secret_kinds import BUILTIN
from shipper.wire.shapes import Shape, escape_message
from shipper.wire.structured import find_fields

Target = Callable[[bytes], None]

NOW_NANOS: Final = 1_767_449_112_000_000_000
_LIMIT_BYTES: Final = 1 << 16
_NONCE: Final = bytes(16)
_MASKER: Final = Masker(builtin=tuple(BUILTIN))
_FRAMERS: Final = {
    **{f"{kind}": make_framer(kind) for kind in ("docker", "cri")},
    **{preset: make_framer("lines", preset=preset) for preset in PRESETS},
    "start": make_framer("lines", start=r"^\d{4}-"),
    "docker python": make_framer("docker", preset=next(iter(PRESETS))),
}


def fuzz_forward(data: bytes) -> None:
    """A Forward session gives the same lines however its bytes arrive, and holds few of them."""
    if not data:
        return
    whole = _feed([data[1:]])
    step = 1 + data[0]
    pieces = [data[at : at + step] for at in range(1, len(data), step)]
    assert whole == _feed(pieces), "cut otherwise, it is otherwise"


def _feed(pieces: Sequence[bytes]) -> tuple[list[bytes], bool]:
    options = SessionOptions(
        server_name="fuzz", message_limit_bytes=_LIMIT_BYTES, unpacked_limit_bytes=_LIMIT_BYTES
    )
    session = Session(options, nonce=_NONCE)
    lines: list[bytes] = []
    for piece in pieces:
        step = session.feed(piece, NOW_NANOS)
        for delivery in step.deliveries:
            lines += delivery.lines
        assert session.held_bytes <= _LIMIT_BYTES + len(piece), "it holds more than its limit"
        if step.is_closed:
            return lines, True
    for line in lines:
        assert line.endswith(b"\n"), "a line without its end"
        assert line.count(b"\n") == 1, "two lines in one"
    return lines, False


def fuzz_forward_login(data: bytes) -> None:
    """Without the shared key no byte becomes an event."""
    options = SessionOptions(server_name="fuzz", shared_key=b"secret")
    session = Session(options, nonce=_NONCE)
    assert [] == session.feed(data, NOW_NANOS).deliveries
    assert not session.is_admitted


def fuzz_msgpack(data: bytes) -> None:
    """What is decoded is encoded to something that decodes to the same."""
    with contextlib.suppress(MsgpackError):
        value, end = decode(data)
        assert 0 < end <= len(data)
        with contextlib.suppress(TypeError):  # an extension is read, and never written
            assert repr(decode(encode(value))[0]) == repr(value)


def fuzz_config(data: bytes) -> None:
    """A configuration is right, or refused with lines that are there."""
    text = data.decode("utf-8", "replace")
    config, problems = parse_config(text)
    assert (config is None) == bool(problems)
    for problem in problems:
        assert 0 < problem.line <= text.count("\n") + 1, problem


def fuzz_framing(data: bytes) -> None:
    """Records tile the bytes, and are the same where reading goes on after any of them."""
    for name, framer in {"lines": frame, **_FRAMERS}.items():
        records = framer(data)
        assert data.startswith(b"".join(records)), name
        assert all(records), name
        final = framer(data, final=True)
        assert data == b"".join(final), name
        assert final[: len(records)] == records, name
        if len(records) > 1:
            rest = data[len(records[0]) :]
            assert records[1:] == framer(rest), f"{name}: read on, it is framed otherwise"


def fuzz_shapes(data: bytes) -> None:
    """A record that was taken apart comes together again, byte for byte."""
    for kind in ("docker", "cri", "forward", "journald"):
        shape = find_shape(kind)
        assert shape is not None
        for record in frame(data, final=True):
            _take_apart(shape, record)


def _take_apart(shape: Shape, record: bytes) -> None:
    shaped = shape(record)
    if shaped is None:
        return
    shaped.message.encode()  # a document can carry it
    if shaped.is_whole:
        text = shaped.before + escape_message(shaped.message, shaped.escape) + shaped.after
        assert record == text.encode(), "the shape is not the record"


def fuzz_masks(data: bytes) -> None:
    """A mask changes no length and nothing beside its ranges, and leaves nothing to mask."""
    masked, ranges = _MASKER.mask(data)
    assert len(data) == len(masked)
    at = 0
    for start, length in ranges:
        assert at <= start
        assert length > 0
        assert data[at:start] == masked[at:start]
        assert b"*" * length == masked[start : start + length]
        at = start + length
    assert data[at:] == masked[at:]


def fuzz_structured(data: bytes) -> None:
    """A line's fields are an object, or left out for a reason."""
    with contextlib.suppress(UnicodeDecodeError):
        fields = find_fields(data.decode())
        assert isinstance(fields, Mapping)


def fuzz_state(data: bytes) -> None:
    """A state file is read or refused; a line whose CRC fits is no exception."""
    parsers: tuple[Callable[[bytes], object], ...] = (
        state.parse_stream,
        state.parse_journal,
        state.parse_checkpoint,
        state.parse_dead_letter,
    )
    summed = b"%08x %b\n" % (zlib.crc32(data), data)
    headed = state.format_journal_head("s") + summed
    for parse in parsers:
        for text in (data, summed, headed):
            with contextlib.suppress(ValueError):
                parse(text)


TARGETS: Final[Mapping[str, Target]] = {
    "forward": fuzz_forward,
    "forward_login": fuzz_forward_login,
    "msgpack": fuzz_msgpack,
    "config": fuzz_config,
    "framing": fuzz_framing,
    "shapes": fuzz_shapes,
    "masks": fuzz_masks,
    "structured": fuzz_structured,
    "state": fuzz_state,
}
