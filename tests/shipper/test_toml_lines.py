"""The line finder agrees with tomllib about what is in a document."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.toml_lines import Path, find_lines

DOCUMENT = """\
# a = 1
top = 1 # [no.table]
"quoted.key" = 'x'

[a.b]
text = \"\"\"
[not.a.table]
key = 3 \\"\"\" still \"\"\"
raw = '''
[nor] ''this'''''
date = 1979-05-27 07:32:00
list = [ 1, # one
  [ 2, "]" ],
  { x = 1, "y z" = [3] },
]

[[rows]]
n = 1
[rows.inner]
m = 2
[[rows]]
n = 3
inner.m.o = "#"
[[rows.deep]]
[[rows.deep]]
last = true
"""


def paths_of(value: Any, at: Path = ()) -> set[Path]:
    """Every path in a parsed document."""
    found = {at} if at else set()
    if isinstance(value, dict):
        for key, element in value.items():
            found |= paths_of(element, (*at, key))
    elif isinstance(value, list):
        for number, element in enumerate(value):
            found |= paths_of(element, (*at, number))
    return found


def test_every_path_of_the_document_is_found() -> None:
    """Strings, comments, nested arrays, inline tables and arrays of tables don't mislead it."""
    assert paths_of(tomllib.loads(DOCUMENT)) == set(find_lines(DOCUMENT))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted.key",), 3),
        (("a", "b"), 5),
        (("a", "b", "text"), 6),
        (("a", "b", "raw"), 9),
        (("a", "b", "list", 1, 1), 13),
        (("a", "b", "list", 2, "y z", 0), 14),
        (("rows", 0, "n"), 18),
        (("rows", 0, "inner", "m"), 20),
        (("rows", 1, "n"), 22),
        (("rows", 1, "inner", "m", "o"), 23),
        (("rows", 1, "deep", 0), 24),
        (("rows", 1, "deep", 1, "last"), 26),
    ],
)
def test_a_path_has_the_line_that_an_editor_shows(path: Path, line: int) -> None:
    """Lines count from 1, and an element of an array has its own."""
    assert line == find_lines(DOCUMENT)[path]


def test_windows_line_ends_count_once() -> None:
    r"""\r\n is one line end, as tomllib takes it."""
    assert find_lines(DOCUMENT) == find_lines(DOCUMENT.replace("\n", "\r\n"))


def render(value: Any) -> str:
    """A value as TOML, in the plainest form."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {render(one)}' for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(render, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(char):04x}" for char in value) + '"'
    return "true" if value else "0"


KEYS = st.text(alphabet="abc.[]=#' ", max_size=4)
VALUES = st.recursive(
    st.booleans() | st.text(alphabet="a\"'#[]{}\n\\", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_document_gives_the_paths_that_tomllib_gives(document: dict[str, Any]) -> None:
    """Whatever stands in keys and strings, no path is missed, none invented, each on its line."""
    text = "\n".join(f'"{key}" = {render(value)}' for key, value in document.items())
    assert document == tomllib.loads(text)
    lines = find_lines(text)
    assert paths_of(document) == set(lines)
    numbers = {key: number for number, key in enumerate(document, start=1)}
    assert {path: numbers[str(path[0])] for path in lines} == lines
