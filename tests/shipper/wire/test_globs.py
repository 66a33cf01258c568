"""Globs name the same paths by name alone as on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.sources.patterns import Scanner
from shipper.wire.globs import compile_glob, names_path


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
