"""shipper.sources.partials: of all files only those that wait for a line's end are looked at."""

from __future__ import annotations

import pytest

from shipper.sources.source import Source
from shipper.sources.watch import PARTIAL_IDLE_SECONDS
from tests.shipper.sources.follower import Follower


def test_files_that_end_with_their_line_are_not_asked(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn of the loop costs as much as there are partial lines, not as there are files."""
    for number in range(50):
        follower.write(f"{number}.log", b"whole\n")
    follower.write("partial.log", b"half")
    follower.step()
    asked: list[str] = []

    def has_partial(source: Source) -> bool:
        asked.append(source.path.rpartition("/")[2])
        return source.target > source.offset and source.target == source.barren_size

    monkeypatch.setattr(Source, "has_partial", property(has_partial))
    follower.tail.cut_partials()
    assert ["partial.log"] == asked
    follower.clock.advance(PARTIAL_IDLE_SECONDS)
    follower.read()
    asked.clear()
    follower.tail.cut_partials()
    assert [] == asked
    assert b"half" in follower.centre.contents().values()


def test_a_partial_that_grew_and_shrank_back_is_still_cut(follower: Follower) -> None:
    """It waits until it was read, however its file's size is seen meanwhile."""
    path = follower.write("a.log", b"half")
    follower.step()
    source = follower.tail.find(0)
    assert source is not None
    source.size = 10  # seen longer, and not read before it is seen as it was
    follower.tail.cut_partials()
    source.note_stat(path.stat())
    follower.clock.advance(PARTIAL_IDLE_SECONDS)
    follower.read()
    assert {0: b"half"} == follower.centre.contents()
