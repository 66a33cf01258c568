"""shipper.sources.held: deleted files that are not shipped yet keep only so much of the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.sources import open_files
from shipper.sources.held import Held, find_excess, find_held
from tests.shipper.sources.follower import Follower


def held(source: int, *, size_bytes: int, since: float, device: int = 1) -> Held:
    """A deleted file on a file system that may keep 100 bytes of such."""
    return Held(source=source, device=device, size_bytes=size_bytes, limit_bytes=100, since=since)


def test_the_oldest_go_until_the_rest_fits() -> None:
    """Each file system by itself."""
    files = [
        held(1, size_bytes=60, since=3.0),
        held(2, size_bytes=30, since=1.0),
        held(3, size_bytes=20, since=2.0),
        held(4, size_bytes=90, since=0.0, device=2),
    ]
    assert [2] == [one.source for one in find_excess(files)]
    assert [4] == [one.source for one in find_excess([held(4, size_bytes=101, since=0.0)])]
    assert [] == find_excess([])


def test_only_a_file_without_a_name_is_held(tmp_path: Path) -> None:
    """One that was renamed is somebody's file; its blocks are counted, not its length."""
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * 100_000)
    with path.open("rb") as file:
        assert find_held(1, file.fileno(), 0.0, 10) is None
        path.unlink()
        found = find_held(1, file.fileno(), 0.0, 10)
    assert found is not None
    assert 100_000 <= found.size_bytes < 300_000
    assert found.limit_bytes > found.size_bytes


def test_what_is_let_go_is_declared(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes that were not shipped are named, with the reason, and the disk gets its room."""
    path = follower.write("a.log", b"one\n" * 10_000)
    follower.step(acknowledge=False)
    follower.write("a.log", b"two\n" * 10_000)
    follower.tail.poll()
    path.unlink()

    def shrink(source: int, file: int, since: float, percent: int) -> Held | None:
        found = find_held(source, file, since, percent)
        return found and Held(
            source=found.source, device=found.device, size_bytes=found.size_bytes,
            limit_bytes=10_000, since=found.since,
        )  # fmt: skip

    monkeypatch.setattr(open_files, "find_held", shrink)
    follower.clock.advance(1)
    follower.tail.rescan()
    (gap,) = follower.centre.gaps
    assert (40_000, 80_000) == (gap.start, gap.end)
    assert "held" == gap.cause
    assert "took over 10 % of their file system" in gap.reason
    assert [] == follower.tail.held
