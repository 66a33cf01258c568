"""Objects that have the form of one seen before are taken without parsing, and no others."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.object_forms import ObjectForms
from shipper.wire.structured import fields_member

KEYS = ("time", "msg", "n", "user", "é", 'a"b', "x.y")
SPOILS = (
    b"0", b"00", b"-", b".", b"e9", b"1e999", b'"', b"\\", b"\\u00e9", b"\\ud800", b"\\n", b"{",
    b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"true", b"\x01", b"\t", b" ", b"\r", b'"n":1,',
    b'{"n":1,"n":2}', b"9" * 30, b"9" * 1100, b"0." + b"1" * 40,
)  # fmt: skip


def make_object(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    """An object as programs log them."""
    keys = rng.sample(KEYS, rng.randrange(1, 5))
    return {key: make_value(rng, depth) for key in keys}


def make_value(rng: random.Random, depth: int) -> Any:
    """A value of any type."""
    if depth < 2 and rng.random() < 0.2:
        return make_object(rng, depth + 1)
    if depth < 2 and rng.random() < 0.1:
        return [make_value(rng, depth + 1) for _ in range(rng.randrange(3))]
    texts = ("", "filled", "é", 'a "b"', "c\\d\n", "x" * 40)
    return rng.choice((rng.choice(texts), rng.randrange(-9, 10**6), rng.random() * 99, None, True))


def change_values(rng: random.Random, value: Any) -> Any:
    """The same keys with other values, most of them of the same type."""
    if isinstance(value, dict):
        return {key: change_values(rng, member) for key, member in value.items()}
    if isinstance(value, str):
        return value + rng.choice(("", "7", "\n", "ü"))
    if isinstance(value, bool) or value is None:
        return rng.choice((True, False, None, 1))
    return value * 3 if isinstance(value, int | float) else value


def dump(value: Any, rng: random.Random) -> bytes:
    """A line."""
    separators = rng.choice(((",", ":"), (", ", ": ")))
    return json.dumps(value, separators=separators, ensure_ascii=False).encode() + b"\n"


def is_utf8(line: bytes) -> bool:
    """Whether the builder would ask for its form."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.integers(0, 2**32))
def test_a_known_form_gives_what_parsing_gives(seed: int) -> None:
    """Over several chunks, with values changed and bytes spoilt."""
    rng = random.Random(seed)
    forms = ObjectForms()
    objects = [make_object(rng) for _ in range(rng.randrange(1, 4))]
    for _ in range(3):
        lines = []
        for _ in range(12):
            line = dump(change_values(rng, rng.choice(objects)), random.Random(seed))
            if rng.random() < 0.2:
                at = rng.randrange(len(line))
                line = line[:at] + rng.choice(SPOILS) + line[at + rng.randrange(3) :]
                line = line.replace(b"\n", b"") + b"\n"
            if is_utf8(line):
                lines.append(line)
        if not lines:
            continue
        expected = [fields_member(line) for line in lines]
        found = forms.members(lines, b"".join(lines))
        assert [
            f",{member[:-1].decode('latin-1')}" if member else "" for member in expected
        ] == found


def test_a_chunk_of_one_form_is_matched_as_a_whole() -> None:
    """What a program writes most is not parsed: the pattern tells of all its lines at once."""
    forms = ObjectForms()
    first = b'{"time":"t","n":1}\n'
    assert [',"fields":{"time":"t","n":1}'] == forms.members([first], first)
    lines = [b'{"time":"%d","n":-%d.5}\n' % (n, n) for n in range(1, 50)]
    assert [f',"fields":{line[:-1].decode()}' for line in lines] == forms.members(
        lines, b"".join(lines)
    )
    duplicate = b'{"time":"t","n":1,"n":2}\n'
    assert [',"afterimage.fields_left_out":"duplicate key"'] == forms.members(
        [duplicate], duplicate
    )


def test_a_program_of_many_forms_teaches_no_more_than_a_few() -> None:
    """A pattern costs as much as a hundred lines: ever new keys must not make one each."""
    forms = ObjectForms()
    for number in range(200):
        line = b'{"key%d":1}\n' % number
        assert [f',"fields":{line[:-1].decode()}'] == forms.members([line], line)
    assert forms.learned <= 16


def test_an_object_of_very_many_values_is_tried_a_few_times_only() -> None:
    """It has no pattern, and finding that out again for each line would cost more than parsing."""
    forms = ObjectForms()
    line = b'{"a":[%b]}\n' % b",".join([b"1"] * 100)
    assert [f',"fields":{line[:-1].decode()}'] * 50 == forms.members([line] * 50, line * 50)
    assert forms.learned == 16
