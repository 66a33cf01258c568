"""Structured lines: what becomes `fields`, and why not."""

from __future__ import annotations

import json
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.structured import fields_member, find_fields

LEFT_OUT = [
    (b'{"a":1,"a":2}', "duplicate key"),
    (b'{"a":1,"\\u0061":2}', "duplicate key"),
    (b'{"x":[{"a":1,"a":2}]}', "duplicate key"),
    (b'{"a" :1,"a" :2}', "duplicate key"),
    (b'{"x":"\\":","a":1,"a":2}', "duplicate key"),
    (b'{"a":NaN}', "number"),
    (b'{"a":-Infinity}', "number"),
    (b'{"a":1e400}', "number"),
    (b'{"a":' + b"9" * 1001 + b"}", "number"),
    (b'{"a":' + b"9" * 5000 + b"}", "number"),
    (b'{"a":"\\ud800"}', "surrogate"),
    (b'{"\\udc00":1}', "surrogate"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "depth"),
    (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "depth"),
    (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "depth"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "size"),
    (b'{"a":"' + b"x" * 65_536 + b'"}', "size"),
    (b'{"a":"' + b"x" * 32_751 + b'"}', "long string"),
    (b'{"ab":{"c":"' + "é".encode() * 16_374 + b'"}}', "long string"),
    (b'{"' + b"k" * 32_751 + b'":1}', "long string"),
]
TAKEN = [
    b"{}",
    b'{"a":1}',
    b'{ "a" :\t1 , "b" : [ 1 , 2 ] }',
    b'{"a":-0,"b":1e300,"c":1.10,"d":12345678901234567890123}',
    b'{"":1,".":2,"a..b":3," ":null}',
    b'{"a.b":1,"a":{"b":2}}',
    b'{"x":"\\":","a":1}',
    b'{"a":"\\ud83d\\ude00 \\u0000 \\/","b":"\xc3\xa4\x7f"}',
    b'{"a":' * 32 + b"1" + b"}" * 32,
    b'{"a":"[[[[{{{{' + b"[{" * 40 + b'"}',
    b'{"a":"' + b"x" * 32_750 + b'"}',
    b'{"' + b"k" * 32_750 + b'":1}',
    b'{"a":' + b"9" * 1000 + b"}",
]


@pytest.mark.parametrize(("line", "reason"), LEFT_OUT)
def test_what_the_centre_refuses_is_left_out_with_its_reason(line: bytes, reason: str) -> None:
    """One bad value must not cost the record its place; the message has it all."""
    assert b'"afterimage.fields_left_out":"%b",' % reason.encode() == fields_member(line + b"\n")
    assert {"afterimage.fields_left_out": reason} == find_fields(line.decode())


@pytest.mark.parametrize("line", TAKEN)
def test_an_object_is_spliced_as_it_stands(line: bytes) -> None:
    """White space and the way numbers are written stay."""
    assert b'"fields":%b,' % line == fields_member(line + b"\r\n")
    assert json.loads(line) == find_fields(line.decode())["fields"]


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"plain\n", b"[1]\n", b'{"a":1} x\n', b'{"a":1}}\n', b'{"a":1}\n{"b":2}\n',
        b"{\n",
        b'{"a":"\xff"}\n', b'{"a":\x00}\n', b'{"a":"\t"}\n', b"{" + b"[" * 40_000 + b"\n",
        b"{'a':1}\n",
    ],
)  # fmt: skip
def test_a_line_that_is_no_object_has_no_fields(line: bytes) -> None:
    """It is text, and there is nothing to say of it."""
    assert b"" == fields_member(line)


def test_an_object_over_several_lines_stays_in_one_line_of_the_body() -> None:
    """A line feed between values would end the body's line."""
    assert b'"fields":{  "a": 1 },' == fields_member(b'{\n "a": 1\n}\n')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner,
    max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(
    value=st.dictionaries(st.text(max_size=4), JSON, max_size=4),
    ensure_ascii=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_every_object_that_json_makes_is_taken(
    value: dict[str, object], *, ensure_ascii: bool, indent: int | None
) -> None:
    """The member is JSON, of the same value, without a line feed."""
    text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)
    member = fields_member(text.encode() + b"\n")
    assert b"\n" not in member
    assert value == json.loads(b"{%b}" % member.removesuffix(b","))["fields"]


@given(line=st.binary(max_size=80).map(lambda data: b"{" + data + b"}"))
def test_any_bytes_give_a_member_or_nothing(line: bytes) -> None:
    """A hostile line makes no body that the centre can't read."""
    member = fields_member(line)
    assert not member or isinstance(json.loads(b"{%b}" % member.removesuffix(b",")), dict)


@pytest.mark.opensearch
def test_a_real_node_takes_what_is_taken(opensearch_store_url: str) -> None:
    """The limits are the node's: each object that is let through is stored."""
    index = f"{opensearch_store_url}/afterimage-logs-2026.01.03/_bulk"
    body = b"".join(
        b'{"create":{"_id":"%d"}}\n{%b"@timestamp":"2026-01-03T14:05:12.000000000Z"}\n'
        % (number, fields_member(line))
        for number, line in enumerate(TAKEN)
    )
    request = urllib.request.Request(  # noqa: S310 - our node
        index, data=body, headers={"Content-Type": "application/x-ndjson"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our node
        items = json.load(answer)["items"]
    assert [201] * len(TAKEN) == [item["create"]["status"] for item in items], items
