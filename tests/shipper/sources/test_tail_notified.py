"""The tail with the kernel's help: it looks at what changed, and rescans where it must."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.sources.notify import Watcher
from tests.shipper.sources.follower import Follower


@pytest.fixture
def told() -> list[str]:
    """What the watcher had to say."""
    return []


@pytest.fixture
def notified(tmp_path: Path, told: list[str]) -> Iterator[Follower]:
    """Follows `*.log` with a watcher, in a folder of its own."""
    watcher = Watcher(told.append)
    made = Follower(tmp_path, watcher=watcher)
    yield made
    made.crash()
    watcher.close()


def _contents(follower: Follower) -> list[bytes]:
    return list(follower.centre.contents().values())


def _asks_for_rescan(follower: Follower) -> bool:
    follower.tail.poll()
    return follower.tail.wants_rescan


def _settle(follower: Follower) -> None:
    """As the first seconds do: folders are watched, files are open."""
    for _ in range(3):
        follower.step()
    assert not follower.tail.wants_rescan
    assert follower.tail.is_watched


def test_a_write_to_a_cold_file_needs_no_rescan(notified: Follower) -> None:
    """Without help it would be looked at with the next rescan only."""
    notified.write("app.log", b"one\n")
    _settle(notified)
    notified.clock.advance(3600.0)
    notified.write("app.log", b"two\n")
    notified.tail.poll()
    notified.read()
    assert [b"one\ntwo\n"] == _contents(notified)
    assert not notified.tail.wants_rescan


def test_a_new_file_asks_for_a_rescan(notified: Follower) -> None:
    """One that no pattern names does not."""
    _settle(notified)
    notified.write("core.dump", b"x")
    assert not _asks_for_rescan(notified)
    notified.write("app.log", b"one\n")
    assert _asks_for_rescan(notified)
    notified.step()
    assert [b"one\n"] == _contents(notified)


def test_last_words_after_a_rotation_are_read_at_once(notified: Follower) -> None:
    """The writer still holds the renamed file; the watch is on the file and not on its name."""
    path = notified.write("app.log", b"one\n")
    _settle(notified)
    with path.open("ab", buffering=0) as writer:
        path.rename(notified.logs / "app.log.1")
        notified.tail.poll()
        assert notified.tail.wants_rescan
        notified.step()
        notified.clock.advance(3600.0)
        writer.write(b"two\n")
        notified.tail.poll()
        notified.read()
    assert [b"one\ntwo\n"] == _contents(notified)


def test_a_deleted_files_last_words_are_read_at_once(notified: Follower) -> None:
    """And its watch goes with it."""
    path = notified.write("app.log", b"one\n")
    _settle(notified)
    with path.open("ab", buffering=0) as writer:
        path.unlink()
        writer.write(b"two\n")
        notified.tail.poll()
        notified.read()
        assert [b"one\ntwo\n"] == _contents(notified)
    for _ in range(100):
        notified.step()
    assert [] == list(notified.tail.sources)


def test_a_truncation_is_met_at_once(notified: Follower) -> None:
    """What was cut off is declared, what follows is read."""
    path = notified.write("app.log", b"one\ntwo\n")
    _settle(notified)
    os.truncate(path, 0)
    notified.write("app.log", b"three\n")
    notified.tail.poll()
    notified.read()
    assert [b"one\ntwo\n", b"three\n"] == _contents(notified)
    assert 1 == len(notified.centre.gaps)


def test_a_switched_link_asks_for_a_rescan(tmp_path: Path, told: list[str]) -> None:
    """The folder that it names is another one; its files are found."""
    (tmp_path / "logs").mkdir()
    for name in ("blue", "green"):
        (tmp_path / "logs" / name).mkdir()
        (tmp_path / "logs" / name / "app.log").write_bytes(name.encode() + b"\n")
    watcher = Watcher(told.append)
    follower = Follower(tmp_path, "current/*.log", watcher=watcher)
    current = tmp_path / "logs" / "current"
    current.symlink_to("blue")
    _settle(follower)
    (tmp_path / "logs" / "next").symlink_to("green")
    (tmp_path / "logs" / "next").rename(current)
    follower.tail.poll()
    assert follower.tail.wants_rescan
    follower.step()
    assert [b"blue\n", b"green\n"] == _contents(follower)
    follower.crash()
    watcher.close()


def test_more_files_than_may_be_open_are_polled(tmp_path: Path, told: list[str]) -> None:
    """A closed file has no watch: rescans stay frequent."""
    watcher = Watcher(told.append)
    follower = Follower(tmp_path, open_files_limit=2, watcher=watcher)
    for number in range(4):
        follower.write(f"{number}.log", b"line\n")
    for _ in range(6):
        follower.step()
    assert 4 == len(_contents(follower))
    assert not follower.tail.is_watched
    follower.crash()
    watcher.close()
