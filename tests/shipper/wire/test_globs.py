"""Globs name the same paths by name alone as on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.sources.patterns import Scanner
from shipper.wire.globs import compile_glob, may_meet, names_path, names_source


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files at several depths, some of them hidden."""
    root = tmp_path_factory.mktemp("tree")
    found = []
    for folder in ("", "d", "d/a", "d/.c", ".c", "d/a/d"):
        for name in ("b.log", ".c.log", "e.log.1"):
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            found.append(path)
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(
        st.sampled_from(["**", "*", "d", "a", ".c", "?.log", "*.log", "[bde]*", ".*", "b.log"]),
        min_size=1,
        max_size=4,
    )
)
def test_a_pattern_names_what_the_scanner_finds(tree: list[Path], pieces: list[str]) -> None:
    """A rule's `paths` and a source's mean the same."""
    pattern = str(tree[0].parent / "/".join(pieces))

    def fail(path: str, error: OSError) -> None:
        raise AssertionError(path) from error

    scanned = {path for path, _ in Scanner([pattern], on_error=fail).scan()}
    segments = compile_glob(pattern)
    assert scanned == {str(path) for path in tree if names_path(segments, str(path))}


def test_many_levels_of_any_depth_are_no_trouble() -> None:
    """The time does not grow with the ways there are to match."""
    segments = compile_glob("/" + "**/a/" * 20 + "x")
    assert not names_path(segments, "/a" * 200 + "/y")


@pytest.mark.parametrize(
    ("pattern", "source", "names"),
    [
        ("forward:*", "forward:unix:///run/afterimage/f.sock", True),
        ("forward:unix:*", "forward:unix:///run/afterimage/f.sock", True),
        ("forward:unix:///run/afterimage/f.sock", "forward:unix:///run/afterimage/f.sock", True),
        ("forward:tcp://[::1]:24224", "forward:tcp://[::1]:24224", True),
        ("forward:tcp*", "forward:unix:///f.sock", False),
        ("journal?", "journald", True),
        ("journal", "journald", False),
        ("/**", "journald", False),
        ("/**", "/var/log/a.log", True),
        ("*", "/var/log/a.log", False),
    ],
)
def test_a_name_is_named_as_a_whole(pattern: str, source: str, names: bool) -> None:  # noqa: FBT001 - a table's column
    """It is no path, whatever slashes it has; absolute patterns are for paths, and only they."""
    assert names == names_source(pattern, source)


@given(
    pieces=st.lists(
        st.sampled_from(["**", "*", "d", "a", ".c", "?.log", "*.log", "[bde]*", ".*", "b.log"]),
        min_size=1,
        max_size=4,
    ),
    others=st.lists(
        st.sampled_from(["**", "*", "d", "a", ".c", "?.log", "b*"]), min_size=1, max_size=4
    ),
)
def test_patterns_that_name_one_file_may_meet(
    tree: list[Path], pieces: list[str], others: list[str]
) -> None:
    """Whatever both name is never said to be impossible."""
    root = tree[0].parent
    one, other = (compile_glob(str(root / "/".join(parts))) for parts in (pieces, others))
    if any(names_path(one, str(path)) and names_path(other, str(path)) for path in tree):
        assert may_meet(one, other)
        assert may_meet(other, one)


def test_patterns_that_nothing_can_have_in_common_do_not_meet() -> None:
    """Another folder, another ending, another depth."""
    one = compile_glob("/var/log/*.log")
    for pattern in ("/var/lib/*.log", "/var/log/a.txt", "/var/log/x/a.log", "/var/log"):
        assert not may_meet(one, compile_glob(pattern))
