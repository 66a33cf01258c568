"""Docker, CRI and Forward lines: framed by the application's words, and their bytes come back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.sources.forward.events import LineBuilder, Peer
from shipper.wire import cri, docker, forward_lines
from shipper.wire.formats import container_fields, find_shape, find_words, make_framer
from shipper.wire.framing import RECORD_LIMIT_BYTES
from shipper.wire.shapes import Shaped, escape_message

CONTAINER = "4f2d" * 16
TIME = b"2026-01-03T14:05:12.123456789Z"
NANOS = 1_767_449_112_123_456_789
_GO_SHORT = {0x22: b'\\"', 0x5C: b"\\\\", 0x0A: b"\\n", 0x0D: b"\\r"}


def docker_escape(words: bytes) -> bytes:
    """As Docker's json-file writer escapes, written anew from its description: byte by byte."""
    out = b""
    for character in words.decode("utf-8", "surrogateescape"):
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            out += b"\\ufffd"  # a byte that is no UTF-8
        elif code in _GO_SHORT:
            out += _GO_SHORT[code]
        elif code < 0x20 or character in "<>&\u2028\u2029":
            out += b"\\u%04x" % code
        else:
            out += character.encode()
    return out


def docker_line(words: bytes, stream: bytes = b"stdout", attrs: bytes = b"") -> bytes:
    """One entry."""
    return b'{"log":"%b","stream":"%b"%b,"time":"%b"}\n' % (
        docker_escape(words), stream, attrs, TIME,
    )  # fmt: skip


def cri_line(words: bytes, tag: bytes = b"F", stream: bytes = b"stdout") -> bytes:
    """One line of the kubelet's."""
    return b"%b %b %b %b\n" % (TIME, stream, tag, words)


def bytes_of(shaped: Shaped) -> bytes:
    """The record's bytes, as a reader makes them of the stored fields."""
    text = shaped.before + escape_message(shaped.message, shaped.escape) + shaped.after
    return text.encode()


WORDS = st.one_of(
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")), st.binary(max_size=60)
)


@given(words=WORDS, ends=st.booleans())
def test_dockers_bytes_come_back(words: bytes, *, ends: bool) -> None:
    """Whatever an application wrote: where a shape claims to be whole, it is."""
    line = docker_line(words.replace(b"\n", b"") + (b"\n" if ends else b""))
    shaped = docker.shape(line)
    assert shaped is not None
    if shaped.is_whole:
        assert line == bytes_of(shaped)
    else:
        assert b"\\ufffd" in line  # Docker had replaced what was no UTF-8
    shaped.message.encode()


@given(words=WORDS)
def test_text_that_is_utf8_is_always_whole_in_docker_and_cri(words: bytes) -> None:
    """The bytes are stored twice only where they have to be."""
    words = words.decode("utf-8", "ignore").replace("\n", "").encode()
    for line, shape in ((docker_line(words + b"\n"), docker.shape), (cri_line(words), cri.shape)):
        shaped = shape(line)
        assert shaped is not None
        assert (True, words.decode()) == (shaped.is_whole, shaped.message)
        assert line == bytes_of(shaped)


def test_a_docker_line_gives_message_time_and_stream() -> None:
    """What Docker knows stands in fields; labels stay in the bytes."""
    words = b'a\tb \x08\x0c\x1b[0m <x> & \xc3\xa4 "q" c:\\temp\\n \x7f\r\n'
    line = docker_line(words, b"stderr", b',"attrs":{"tag":"web","x":"\\n\\",\\"stream\\":\\"y"}')
    shaped = docker.shape(line)
    assert shaped is not None
    assert (words.decode()[:-1], "go", NANOS, {"log.iostream": "stderr"}) == (
        shaped.message, shaped.escape, shaped.time_nanos, shaped.fields,
    )  # fmt: skip
    assert line == bytes_of(shaped)


def test_a_json_message_inside_docker_has_fields() -> None:
    """A structured line is one whatever wraps it."""
    shaped = docker.shape(docker_line(b'{"level":"info","n":1}\n'))
    assert shaped is not None
    assert {"level": "info", "n": 1} == shaped.fields["fields"]


@pytest.mark.parametrize(
    "line",
    [
        b"plain\n",
        b"{}\n",
        b'{"log":"x\n',
        b'{"log":"x\\n","stream":"stdout"\n',
        b'{"log":"\\q","stream":"stdout","time":"x"}\n',
        b'{"log":"a"b\\n","stream":"stdout","time":"x"}\n',
        b'{"log":"\xff\\n","stream":"stdout","time":"x"}\n',
        b'{"log":"' + b"[" * 100_000 + b"\n",
    ],
)
def test_what_is_not_dockers_has_no_shape(line: bytes) -> None:
    """Such a line is shipped as it stands."""
    assert None is docker.shape(line)


@given(record=st.binary(max_size=120))
def test_shapes_take_any_bytes(record: bytes) -> None:
    """No record makes a shape raise, and a whole one has the record's bytes."""
    for head in (
        b"",
        b'{"log":"',
        TIME + b" stdout F ",
        b'{"time":"2026-01-03T14:05:12Z","record":',
    ):
        for kind in ("docker", "cri", "forward"):
            shape = find_shape(kind)
            assert shape is not None
            shaped = shape(head + record)
            if shaped is not None and shaped.is_whole:
                assert head + record == bytes_of(shaped)


def test_a_long_docker_line_in_pieces_is_one_record() -> None:
    """Docker cuts at 16 KiB; a backslash and an n in the text are no line feed."""
    pieces = [docker_line(b"one\\n"), docker_line(b"two"), docker_line(b"three\n")]
    framer = make_framer("docker")
    assert [b"".join(pieces)] == framer(b"".join(pieces))
    shaped = docker.shape(b"".join(pieces))
    assert shaped is not None
    assert ("one\\ntwothree", False) == (shaped.message, shaped.is_whole)
    assert [] == framer(b"".join(pieces[:2]))
    assert [b"".join(pieces[:2])] == framer(b"".join(pieces[:2]), final=True)


def test_cri_pieces_are_joined_until_the_full_one() -> None:
    """P, P, F are one record; the other stream's line ends it, since records are contiguous."""
    one, two, three = cri_line(b"a ", b"P"), cri_line(b"b ", b"P"), cri_line(b"c", b"F:x")
    other = cri_line(b"err", stream=b"stderr")
    framer = make_framer("cri")
    assert [one + two + three, other] == framer(one + two + three + other)
    assert [one, other, two + three] == framer(one + other + two + three)
    shaped = cri.shape(one + two + three)
    assert shaped is not None
    assert "a b c" == shaped.message


def test_cri_text_that_is_no_utf8_keeps_its_bytes_beside() -> None:
    """A shape never claims bytes that it can't give back."""
    shaped = cri.shape(cri_line(b"\xff"))
    assert shaped is not None
    assert ("\ufffd", False) == (shaped.message, shaped.is_whole)


@pytest.mark.parametrize("tail_format", ["docker", "cri"])
def test_a_stack_trace_in_a_container_is_one_record(tail_format: str) -> None:
    """Rules for lines that belong together look at the application's words."""
    wrap = docker_line if tail_format == "docker" else lambda words: cri_line(words.rstrip(b"\n"))
    words = [
        b"before\n", b"java.lang.X: y\n", b"\tat a.B(B.java:1)\n", b"Caused by: z\n", b"after\n",
    ]  # fmt: skip
    lines = [wrap(line) for line in words]
    records = make_framer(tail_format, preset="java")(b"".join(lines), final=True)
    assert [lines[0], b"".join(lines[1:4]), lines[4]] == records
    shape = find_shape(tail_format)
    assert shape is not None
    shaped = shape(records[1])
    assert shaped is not None
    assert b"".join(words[1:4]).decode().rstrip("\n") == shaped.message


PIECES = st.lists(
    st.tuples(
        st.sampled_from([b"java.lang.X: y", b"\tat a.B", b"2026 a", b"", b"Caused by: z"]),
        st.sampled_from([b"stdout", b"stderr"]),
        st.booleans(),
    ),
    max_size=16,
)


@given(
    pieces=PIECES,
    preset=st.sampled_from(["", "java", "python"]),
    tail_format=st.sampled_from(["docker", "cri"]),
    data=st.data(),
)
def test_wrapped_records_do_not_depend_on_how_reads_were_cut(
    pieces: list[tuple[bytes, bytes, bool]], preset: str, tail_format: str, data: st.DataObject
) -> None:
    """Reading on where records ended finds the same ones, wherever a read ended."""
    if tail_format == "docker":
        lines = [docker_line(words + b"\n" * full, stream) for words, stream, full in pieces]
    else:
        lines = [cri_line(words, b"F" if full else b"P", stream) for words, stream, full in pieces]
    chunk = b"".join(lines)
    framer = make_framer(tail_format, preset=preset)
    whole = framer(chunk, final=True)
    assert chunk == b"".join(whole)
    found: list[bytes] = []
    at = end = 0
    while at < len(chunk):
        end = min(len(chunk), end + data.draw(st.integers(1, 200)))
        records = framer(chunk[at:end], final=end == len(chunk))
        found += records
        at += sum(map(len, records))
    assert whole == found


def test_pieces_without_an_end_do_not_stop_a_source() -> None:
    """A record of a megabyte ends, however many pieces are still to come."""
    piece = docker_line(b"x" * 16_384)
    chunk = (piece * 70)[: RECORD_LIMIT_BYTES + 64]
    records = make_framer("docker")(chunk)
    assert [RECORD_LIMIT_BYTES // len(piece) * len(piece)] == [len(record) for record in records]


def test_words_are_where_the_application_wrote_them() -> None:
    """Masks and drop rules see no wrapping."""
    words = find_words("docker")
    assert words is not None
    record = docker_line(b"one\n") + docker_line(b"two") + b"odd\n"
    assert [b"one", b"two", b"odd"] == [record[start:end] for start, end in words(record)]
    assert None is find_words("file")


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        (
            "docker",
            f"/var/lib/docker/containers/{CONTAINER}/{CONTAINER}-json.log.1",
            {"container.id": CONTAINER},
        ),
        (
            "cri",
            f"/var/log/containers/shop-7d9f_prod_web-{CONTAINER}.log",
            {
                "container.id": CONTAINER,
                "container.name": "web",
                "kubernetes.container.name": "web",
                "kubernetes.namespace": "prod",
                "kubernetes.pod.name": "shop-7d9f",
            },
        ),
        (
            "cri",
            "/var/log/pods/prod_shop-7d9f_5d0c-11/web/0.log.20260103-140512",
            {
                "container.name": "web",
                "kubernetes.container.name": "web",
                "kubernetes.namespace": "prod",
                "kubernetes.pod.name": "shop-7d9f",
                "kubernetes.pod.uid": "5d0c-11",
            },
        ),
        ("cri", "/var/log/shop.log", {}),
        ("file", f"/var/lib/docker/containers/{CONTAINER}/{CONTAINER}-json.log", {}),
    ],
)
def test_a_containers_path_says_who_it_is(kind: str, path: str, expected: dict[str, str]) -> None:
    """Docker's folders, and the two that the kubelet makes."""
    assert expected == container_fields(kind, path)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
    max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    record=st.dictionaries(
        st.sampled_from(["message", "log", "a", "level"]) | st.text(max_size=6),
        JSON_VALUES,
        max_size=5,
    ),
    tag=st.text(max_size=8),
    has_peer=st.booleans(),
    metadata=st.sampled_from([None, {"record": {"x": 1}}]),
)
def test_forwards_bytes_come_back(
    record: dict[str, object],
    tag: str,
    *,
    has_peer: bool,
    metadata: object,
) -> None:
    """Whatever record an application sends: the spool's line is whole in its shape."""
    peer = Peer(pid=1, uid=2, gid=3) if has_peer else None
    line = LineBuilder(tag, peer).build(1_767_449_112, record, metadata, 0)
    shaped = forward_lines.shape(line)
    assert shaped is not None
    assert (True, line) == (shaped.is_whole, bytes_of(shaped))
    said = next(
        (record[k] for k in ("message", "log", "msg", "MESSAGE") if isinstance(record.get(k), str)),
        None,
    )
    assert said is None or said == shaped.message


def test_a_forward_record_gives_fields_level_and_peer() -> None:
    """What the sender and the kernel know stands in ECS fields, the record in `fields`."""
    line = LineBuilder("shop", Peer(pid=7, uid=1000, gid=100)).build(
        1_767_449_112, {"levelname": "WARNING", "message": "low\tstock"}, None, 0
    )
    shaped = forward_lines.shape(line)
    assert shaped is not None
    assert {
        "fields": {"levelname": "WARNING", "message": "low\tstock"},
        "log.level": "warn",
        "process.pid": 7,
        "service.name": "shop",
        "user.group.id": "100",
        "user.id": "1000",
    } == shaped.fields
    assert ("low\tstock", "json") == (shaped.message, shaped.escape)


def test_a_forward_record_without_a_message_is_its_own() -> None:
    """The record as JSON is what a person reads."""
    shaped = forward_lines.shape(LineBuilder("shop", None).build(0, {"n": [1, 2.5, None]}, None, 0))
    assert shaped is not None
    assert ('{"n":[1,2.5,null]}', "text") == (shaped.message, shaped.escape)


def test_a_deep_forward_line_is_not_parsed() -> None:
    """Depth is counted before it is parsed."""
    line = b'{"time":"2026-01-03T14:05:12Z","tag":"x","record":' + b"[" * 100_000 + b"\n"
    assert None is forward_lines.shape(line)


def test_journal_entries_have_a_shape() -> None:
    """Each kind that wraps is known here."""
    assert [True] * 4 == [
        find_shape(kind) is not None for kind in ("docker", "cri", "forward", "journald")
    ]
    assert None is find_shape("file")
    assert json.loads("{}") == container_fields("journald", "journald")
