"""The protocol's state machine: every mode, every form of entry, and whatever else may come."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

import msgpack
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shipper.sources.forward import compressed
from shipper.sources.forward.protocol import Session, SessionOptions, Step
from tests.shipper.sources.forward.forward_messages import (
    NOW,
    NOW_NANOS,
    entries,
    event_time,
    messages,
    opaque,
    pack,
    packed,
    parse,
)

_NONCE = b"\x00\xffnonce of 16 byt"


def _session(*, shared_key: bytes = b"", limit_bytes: int = 1 << 20) -> Session:
    options = SessionOptions(
        server_name="server",
        shared_key=shared_key,
        message_limit_bytes=limit_bytes,
        unpacked_limit_bytes=limit_bytes,
    )
    return Session(options, nonce=_NONCE)


def _feed(data: bytes, **options: Any) -> Step:
    return _session(**options).feed(data, NOW_NANOS)


def _lines(step: Step) -> list[bytes]:
    return [line for delivery in step.deliveries for line in delivery.lines]


def _one(data: bytes) -> dict[str, Any]:
    step = _feed(data)
    assert [] == step.refusals
    (line,) = parse(_lines(step))
    return line


# ---- modes


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (1_700_000_000, "2023-11-14T22:13:20.000000000Z"),
        (event_time(1_700_000_000, 7), "2023-11-14T22:13:20.000000007Z"),
        (1_700_000_000.5, "2023-11-14T22:13:20.500000000Z"),
    ],
)
@pytest.mark.parametrize("options", [(), (None,), ({},)])
def test_message_mode(time: Any, expected: str, options: tuple[Any, ...]) -> None:
    """One event, with or without options, its time of each kind."""
    assert {"time": expected, "tag": "app", "record": {"k": "v"}} == _one(
        pack(["app", time, {"k": "v"}, *options])
    )


def test_a_time_of_eight_bytes_in_the_long_form() -> None:
    """`C7 08 00` is as good as `D7 00`."""
    data = b"\x93\xa1t\xc7\x08\x00" + (5).to_bytes(4, "big") + (6).to_bytes(4, "big") + b"\x80"
    assert "1970-01-01T00:00:05.000000006Z" == _one(data)["time"]


def test_forward_mode() -> None:
    """An array of entries; an empty one too."""
    assert ["a", "b"] == messages(_lines(_feed(pack(["app", entries("a", "b")]))))
    assert [] == _lines(_feed(pack(["app", []])))


@pytest.mark.parametrize("is_text", [False, True])
def test_packed_forward_mode(is_text: bool) -> None:  # noqa: FBT001 - pytest's way
    """Fluentd sends the payload as text, others as bytes."""
    payload = packed(entries("a", "b"))
    data = pack("app") + (msgpack.packb(payload, use_bin_type=not is_text))
    assert ["a", "b"] == messages(_lines(_feed(b"\x92" + data)))


def test_a_text_payload_that_is_utf8_by_chance_is_a_payload() -> None:
    """Whether bytes are text must not depend on what they are."""
    assert [] == _lines(_feed(b"\x92" + pack("app") + msgpack.packb(b"", use_bin_type=False)))
    step = _feed(b"\x92" + pack("app") + msgpack.packb(b"ab", use_bin_type=False))
    assert [b"a", b"b"] == [opaque(line) for line in parse(_lines(step))]


def _compress_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("compress", [gzip.compress, _compress_zstd])
@pytest.mark.parametrize("option", [{"compressed": "gzip"}, {"compressed": "zstd"}, {}])
def test_compressed_packed_forward_mode(compress: Any, option: Any) -> None:
    """Several members, known by their first bytes whatever the option says."""
    payload = compress(packed(entries("a", "b"))) + compress(packed(entries("c")))
    assert ["a", "b", "c"] == messages(_lines(_feed(pack(["app", payload, option]))))


def test_entries_with_metadata() -> None:
    """Fluent Bit's form, in each mode that has entries; metadata stays unless it is empty."""
    some = [[[event_time(5, 6), {"m": 1}], {"message": "a"}], [[5, {}], {"message": "b"}]]
    for data in (pack(["t", some]), pack(["t", packed(some)])):
        first, second = parse(_lines(_feed(data)))
        assert {"m": 1} == first["metadata"]
        assert ["time", "tag", "metadata", "record"] == list(first)
        assert "metadata" not in second
        assert ["a", "b"] == [first["record"]["message"], second["record"]["message"]]


def test_several_messages_and_heartbeats_in_one_piece() -> None:
    """Nil is a heartbeat, before, between and after."""
    data = b"\xc0" + pack(["a", 1, {"message": "x"}]) + b"\xc0\xc0"
    data += pack(["b", entries("y", "z"), {"size": 2, "unknown": [1]}]) + b"\xc0"
    step = _feed(data)
    assert ["x", "y", "z"] == messages(_lines(step))
    assert ["a", "b", "b"] == [line["tag"] for line in parse(_lines(step))]
    assert [] == step.replies + step.refusals


@given(data=st.data())
def test_the_lines_do_not_depend_on_where_the_stream_is_cut(data: st.DataObject) -> None:
    """The kernel gives bytes in any pieces."""
    stream = b"".join(
        (
            pack(["a", event_time(7, 8), {"message": "ä" * 40, "n": [1, {"k": b"\xff"}]}]),
            b"\xc0",
            pack(["b", entries("y", "z"), {"chunk": "c1"}]),
            pack(["c", packed(entries("p", "q")), {"chunk": "c2", "size": 2}]),
            pack(["d", gzip.compress(packed(entries("r")), mtime=0), {"compressed": "gzip"}]),
            pack(["e", 5]),
            pack(5),
        )
    )
    whole = _feed(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    session = _session()
    steps = [
        session.feed(stream[start:end], NOW_NANOS)
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    assert whole.deliveries == [delivery for step in steps for delivery in step.deliveries]
    assert whole.refusals == [refusal for step in steps for refusal in step.refusals]
    assert 0 == session.held_bytes


# ---- acknowledgements


def test_a_chunk_is_acknowledged_and_named_by_its_content() -> None:
    """Same id, same content: the same key; anything else: another one."""
    bodies: list[list[Any]] = [
        ["t", entries("a"), {"chunk": "id"}],
        ["t", entries("a"), {"chunk": "id", "size": 1}],
        ["t", entries("b"), {"chunk": "id"}],
        ["t", entries("a"), {"chunk": "other"}],
        ["u", entries("a"), {"chunk": "id"}],
    ]
    found = [_feed(pack(body)).deliveries[0] for body in bodies]
    assert {"ack": "id"} == msgpack.unpackb(found[0].ack)
    assert found[0].key == found[1].key
    assert 4 == len({delivery.key for delivery in found})


def test_a_chunk_compressed_anew_is_the_same_chunk() -> None:
    """A client may compress again before it sends again."""
    payload = packed(entries("a", "b"))
    keys = {
        _feed(pack(["t", body, {"chunk": "id"}])).deliveries[0].key
        for body in (payload, gzip.compress(payload, 1), gzip.compress(payload, 9, mtime=5))
    }
    assert 1 == len(keys)


@pytest.mark.parametrize(
    "body", [["t", 5, {"message": "a"}], ["t", entries("a")], ["t", packed(entries("a"))]]
)
@pytest.mark.parametrize("chunk", ["an id", b"\xff\xfe", ""])
def test_each_mode_may_ask_for_an_acknowledgement(body: list[Any], chunk: Any) -> None:
    """The id comes back as it was given, also when it is no text."""
    delivery = _feed(pack([*body, {"chunk": chunk}])).deliveries[0]
    assert ["a"] == messages(delivery.lines)
    assert {"ack": chunk} == msgpack.unpackb(delivery.ack)


def test_without_a_chunk_nothing_is_answered() -> None:
    """A client that does not ask does not read."""
    assert b"" == _feed(pack(["t", entries("a"), {"size": 1}])).deliveries[0].ack


@pytest.mark.parametrize("chunk", [5, ["a"], "x" * 2000])
def test_a_chunk_id_that_can_not_be_sent_back_ends_the_connection(chunk: Any) -> None:
    """Its client would wait for ever."""
    step = _feed(pack(["t", entries("a"), {"chunk": chunk}]))
    assert step.is_closed
    assert [] == step.deliveries


@pytest.mark.parametrize(("signal", "word"), [(1, "metrics"), (2, "traces")])
def test_metrics_and_traces_are_refused_and_never_acknowledged(signal: int, word: str) -> None:
    """Without a chunk id the client goes on; with one it would wait, so it is let go."""
    body = ["t", packed([{"metrics": 1}]), {"fluent_signal": signal}]
    step = _feed(pack(body) + pack(["t", 1, {"message": "log"}]))
    assert ["log"] == messages(_lines(step))
    assert [True] == [word in refusal for refusal in step.refusals]
    assert not step.is_closed
    body[2] = {"fluent_signal": signal, "chunk": "id"}
    step = _feed(pack(body))
    assert step.is_closed
    assert [] == step.deliveries + step.replies
    assert ["a"] == messages(_lines(_feed(pack(["t", entries("a"), {"fluent_signal": 0}]))))


# ---- what is no event


@pytest.mark.parametrize(
    "entry",
    [[5, "no map"], [5], "text", [[5], {"a": 1}], [[5, {}, 1], {}], 5, [5, {1: 2}], {"a": 1}],
)
def test_an_entry_that_is_no_event_keeps_its_bytes(entry: Any) -> None:
    """It stands among the others, in its place."""
    some: list[Any] = [*entries("a"), entry, *entries("b")]
    for data in (pack(["t", some]), pack(["t", packed(some)])):
        first, odd, last = parse(_lines(_feed(data)))
        assert (NOW, "t", pack(entry)) == (odd["time"], odd["tag"], opaque(odd))
        assert ["a", "b"] == [first["record"]["message"], last["record"]["message"]]


@pytest.mark.parametrize("body", [["t", 5], ["t", 5, "no map"], ["t", 5, {1: 2}]])
def test_a_message_that_is_no_event_keeps_its_bytes(body: list[Any]) -> None:
    """Its tag is known; its bytes are kept whole."""
    line = _one(pack(body))
    assert ("t", pack(body)) == (line["tag"], opaque(line))


@pytest.mark.parametrize("body", [[], ["t"], [5, 5, {}], [b"\xff", 5, {}]])
def test_an_array_that_is_no_message_keeps_its_bytes(body: list[Any]) -> None:
    """Nothing is known of it."""
    line = _one(pack(body))
    assert ("", pack(body)) == (line["tag"], opaque(line))


def test_an_event_that_is_too_deep_or_has_too_many_values_keeps_its_bytes() -> None:
    """It is whole on the wire, so the next one is found; and a chunk is acknowledged once."""
    deep: Any = {"message": "deep"}
    for _ in range(100):
        deep = {"d": deep}
    many = {"many": [None] * 70_000}
    step = _feed(
        pack(["t", 1, deep, {"chunk": "c"}])
        + pack(["t", [[1, many], *entries("a")]])
        + pack(["t", packed([[1, deep], *entries("b")])])
    )
    first, second, third, fourth, fifth = parse(_lines(step))
    assert b"\x94\xa1t\x01" + pack(deep) == opaque(first)
    assert pack([1, many]) == opaque(second)
    assert pack([1, deep]) == opaque(fourth)
    assert ["a", "b"] == [third["record"]["message"], fifth["record"]["message"]]
    assert {"ack": "c"} == msgpack.unpackb(step.deliveries[0].ack)


def test_a_payload_that_breaks_off_keeps_its_rest() -> None:
    """The whole entries before it are events."""
    payload = packed(entries("a", "b"))
    first, rest = parse(_lines(_feed(pack(["t", payload[:-3]]))))
    assert "a" == first["record"]["message"]
    assert packed(entries("a", "b"))[len(packed(entries("a"))) : -3] == opaque(rest)


def test_a_damaged_compressed_payload_is_kept_as_it_came() -> None:
    """Sent again it would be no better."""
    payload = gzip.compress(packed(entries("a")))[:-4]
    step = _feed(pack(["t", payload, {"compressed": "gzip", "chunk": "c"}]))
    (line,) = parse(_lines(step))
    assert payload == opaque(line)
    assert {"ack": "c"} == msgpack.unpackb(step.deliveries[0].ack)


def test_values_that_are_no_messages_are_counted_and_passed() -> None:
    """The protocol lets them be; they are told, and events after them are taken."""
    step = _feed(pack(5) + pack("text") + pack({"a": 1}) + pack(["t", 1, {"message": "x"}]))
    assert ["x"] == messages(_lines(step))
    assert 3 == len(step.refusals)
    assert not step.is_closed


# ---- what ends a connection


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        pack(["t", {"a": 1}, {}]),
        b"\x92\xa1t\xc6\x7f\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        pack(["t", gzip.compress(bytes(2 << 20))]),
    ],
)
def test_what_can_not_be_taken_ends_the_connection(data: bytes) -> None:
    """Damage, sizes above the limits, bombs: told once, nothing held, what came before is kept."""
    session = _session()
    step = session.feed(pack(["t", 1, {"message": "x"}]) + data, NOW_NANOS)
    assert step.is_closed
    assert 1 == len(step.refusals)
    assert ["x"] == messages(_lines(step))
    assert 0 == session.held_bytes


def test_zstd_that_can_not_be_read_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one who runs the machine is told what to install."""
    monkeypatch.setattr(compressed, "_find", lambda _name: None)
    step = _feed(pack(["t", _compress_zstd(packed(entries("a"))), {"chunk": "c"}]))
    assert step.is_closed
    assert [] == step.deliveries
    assert "[zstd]" in step.refusals[0]


@given(pieces=st.lists(st.binary(max_size=60), max_size=6), shared_key=st.sampled_from([b"", b"k"]))
def test_hostile_bytes_never_raise(pieces: list[bytes], shared_key: bytes) -> None:
    """Whatever comes: lines, refusals, or waiting for more, within the limit."""
    session = _session(shared_key=shared_key, limit_bytes=100)
    for piece in pieces:
        step = session.feed(piece, NOW_NANOS)
        parse(_lines(step))
        assert 200 >= session.held_bytes
        if step.is_closed:
            assert step.refusals
            break


@given(
    prefix=st.sampled_from([b"\x93\xa1t\x05", b"\x92\xa1t\xdc", b"\x92\xa1t", b"[", b'{"']),
    data=st.binary(max_size=80),
)
def test_hostile_bytes_after_a_good_beginning_never_raise(prefix: bytes, data: bytes) -> None:
    """Deeper in the message as well."""
    step = _feed(prefix + data)
    parse(_lines(step))


@given(
    prefix=st.sampled_from(
        [b"", b"\x93\xa1t\x05", b"\x92\xa1t\x92", b"\x92\xa1t", b"\x93\xa1t\x90"]
    ),
    rest=st.lists(
        st.sampled_from([b"\xc1", b"\x81", b"\x91", b"\x80", b"\xa1k", b"\xde\xff\xff", b"\x05"])
        | st.sampled_from(
            [b"\xdd\x00\x01\xff\xff", b"\xc4\x02ab", b"\xd7\x00", b"\x82\xa1a\x01\xa1a"]
        )
        | st.binary(max_size=5),
        max_size=12,
    ),
    step_bytes=st.integers(1, 7),
)
def test_hostile_bytes_are_judged_alike_wherever_they_are_cut(
    prefix: bytes, rest: list[bytes], step_bytes: int
) -> None:
    """A message is judged when it is whole: the same lines, the same end."""
    stream = b"".join((prefix, *rest))
    whole = _feed(stream)
    session = _session()
    lines: list[bytes] = []
    is_closed = False
    for at in range(0, len(stream), step_bytes):
        step = session.feed(stream[at : at + step_bytes], NOW_NANOS)
        lines += _lines(step)
        is_closed = step.is_closed
        if is_closed:
            break
    assert (_lines(whole), whole.is_closed) == (lines, is_closed)


def test_an_event_of_too_many_values_may_come_in_pieces() -> None:
    """It is whole in the end, and kept."""
    message = pack(["t", 5, {"many": [None] * 70_000}])
    session = _session()
    assert not session.feed(message[:100], NOW_NANOS).is_closed
    (line,) = parse(_lines(session.feed(message[100:], NOW_NANOS)))
    assert message == opaque(line)


# ---- the handshake


def _digest(salt: bytes, host: bytes, key: bytes) -> str:
    return hashlib.sha512(salt + host + _NONCE + key).hexdigest()


def _ping(key: bytes, host: str = "client", salt: Any = b"\xffsalt") -> bytes:
    raw = salt.encode() if isinstance(salt, str) else salt
    return pack(["PING", host, salt, _digest(raw, host.encode(), key), "", ""])


@pytest.mark.parametrize("salt", [b"\xffsalt", "salt"])
def test_a_client_that_knows_the_key_is_let_in(salt: Any) -> None:
    """And hears that the server knows it, too; events may follow in the same piece."""
    session = _session(shared_key=b"key")
    assert ["HELO", {"nonce": _NONCE, "auth": b"", "keepalive": True}] == msgpack.unpackb(
        session.greeting
    )
    step = session.feed(_ping(b"key", salt=salt) + pack(["t", 1, {"message": "x"}]), NOW_NANOS)
    raw = salt.encode() if isinstance(salt, str) else salt
    assert [["PONG", True, "", "server", _digest(raw, b"server", b"key")]] == [
        msgpack.unpackb(reply) for reply in step.replies
    ]
    assert ["x"] == messages(_lines(step))
    assert session.is_admitted


@pytest.mark.parametrize(
    "data",
    [
        _ping(b"another key"),
        _ping(b"key", host="server"),
        pack(["PONG", "client", b"", "", "", ""]),
        pack(["PING", "client"]),
        pack(["t", 1, {"message": "x"}]),
        pack(["PING", 5, 5, 5, 5, 5]),
    ],
)
def test_a_client_that_does_not_is_refused(data: bytes) -> None:
    """It is told so, and nothing that it sends is taken."""
    session = _session(shared_key=b"key")
    step = session.feed(data + pack(["t", 1, {"message": "x"}]), NOW_NANOS)
    assert step.is_closed
    assert [] == step.deliveries
    assert [["PONG", False]] == [msgpack.unpackb(reply)[:2] for reply in step.replies]
    assert not session.is_admitted


def test_before_the_handshake_little_is_held() -> None:
    """A stranger must not fill the memory."""
    step = _feed(b"\x96\xa4PING\xc6\x00\x01\x00\x00", shared_key=b"key")
    assert step.is_closed


def test_no_greeting_without_a_key() -> None:
    """Clients without a handshake would take it for nonsense."""
    assert b"" == _session().greeting


# ---- JSON


def test_json_is_taken_where_nobody_needs_a_key() -> None:
    """Messages one after the other, cut anywhere, each form of them."""
    text = '["t",5,{"message":"a ]} \\" é"}] ["t",[[6,{"message":"b"}]],{"chunk":"c"}]\n{"x":1}'
    for step_bytes in (1, 7, 1000):
        session = _session()
        data = text.encode()
        steps = [
            session.feed(data[at : at + step_bytes], NOW_NANOS)
            for at in range(0, len(data), step_bytes)
        ]
        deliveries = [delivery for step in steps for delivery in step.deliveries]
        first, second, third = parse(line for one in deliveries for line in one.lines)
        assert ['a ]} " é', "b"] == [first["record"]["message"], second["record"]["message"]]
        assert {"ack": "c"} == json.loads(deliveries[1].ack)
        assert b'{"x":1}' == opaque(third)


@pytest.mark.parametrize(
    "text", ['["t",5,"no map"]', "[]", '["\\ud800",5,{}]', '["t",[5]]', '["t",5,{"a":"\\ud800"}]']
)
def test_json_that_is_no_event_keeps_its_bytes(text: str) -> None:
    """As MessagePack does; half a surrogate pair is no text."""
    (line,) = parse(_lines(_feed(text.encode())))
    assert opaque(line) in {text.encode(), b"5"}


@pytest.mark.parametrize("text", ["[" * 100, "[1,}", "[]x", '{"a":1e}', "[" + "1," * 600_000])
def test_what_is_no_json_ends_the_connection(text: str) -> None:
    """Too deep, too long, or no JSON at all."""
    step = _feed(text.encode())
    assert step.is_closed
    assert 1 == len(step.refusals)


def test_json_before_what_is_none_is_taken() -> None:
    """The connection ends, and what came before stays."""
    step = _feed(b'["t",5,{"message":"a"}] oops')
    assert step.is_closed
    assert ["a"] == messages(_lines(step))


def test_json_is_refused_where_a_key_is_needed() -> None:
    """It knows no handshake."""
    step = _feed(b'["t",5,{"message":"a"}]', shared_key=b"key")
    assert step.is_closed
    assert [] == step.deliveries
