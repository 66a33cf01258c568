"""shipper.sources.notify: the kernel tells what changed, and it is said where it does not."""

from __future__ import annotations

import ctypes
import errno
import os
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shipper.sources import notify
from shipper.sources.notify import NOTHING, Changes, Watcher

WAIT_SECONDS = 10.0


class Told(list[str]):
    """What was said of troubles."""


@pytest.fixture
def told() -> Told:
    """Nothing yet."""
    return Told()


@pytest.fixture
def watcher(told: Told) -> Iterator[Watcher]:
    """One on the real kernel."""
    made = Watcher(told.append)
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A file that is open for reading."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    descriptor = os.open(path, os.O_RDONLY)
    yield path, descriptor
    os.close(descriptor)


def _append(path: Path, data: bytes = b"line\n") -> None:
    with path.open("ab") as file:
        file.write(data)


def _wait(watcher: Watcher) -> Changes:
    descriptor = watcher.fileno()
    assert descriptor is not None
    assert select.select([descriptor], [], [], WAIT_SECONDS)[0]
    return watcher.drain()


def test_a_write_is_told_with_the_files_key(watcher: Watcher, log: tuple[Path, int]) -> None:
    """And only once."""
    path, descriptor = log
    assert watcher.watch_file(7, descriptor)
    assert NOTHING == watcher.drain()
    _append(path)
    assert Changes(files=frozenset((7,))) == _wait(watcher)
    assert NOTHING == watcher.drain()


def test_a_truncation_is_told(watcher: Watcher, log: tuple[Path, int]) -> None:
    """Copytruncate is seen at once."""
    path, descriptor = log
    watcher.watch_file(7, descriptor)
    os.truncate(path, 0)
    assert Changes(files=frozenset((7,))) == _wait(watcher)


def test_a_file_is_followed_wherever_it_goes(watcher: Watcher, log: tuple[Path, int]) -> None:
    """Renamed, moved to another folder, deleted: who holds it may still write to it."""
    path, descriptor = log
    with path.open("ab", buffering=0) as writer:
        watcher.watch_file(7, descriptor)
        elsewhere = path.parent / "old"
        elsewhere.mkdir()
        path = path.rename(elsewhere / "app.log.1")
        writer.write(b"two\n")
        assert frozenset((7,)) == _wait(watcher).files
        path.unlink()
        writer.write(b"three\n")
        assert frozenset((7,)) == _wait(watcher).files


def test_a_forgotten_file_is_not_told(watcher: Watcher, log: tuple[Path, int]) -> None:
    """Also what happened before it was forgotten."""
    path, descriptor = log
    watcher.watch_file(7, descriptor)
    _append(path)
    watcher.forget_file(7)
    watcher.forget_file(7)
    _append(path)
    assert NOTHING == watcher.drain()
    assert watcher.watch_file(8, descriptor)
    _append(path)
    assert frozenset((8,)) == _wait(watcher).files


def test_a_file_with_two_keys_is_its_last_ones(watcher: Watcher, log: tuple[Path, int]) -> None:
    """A truncated file and its successor are one inode: the first one's end leaves the second's."""
    path, descriptor = log
    watcher.watch_file(7, descriptor)
    watcher.watch_file(8, descriptor)
    watcher.forget_file(7)
    _append(path)
    assert {8} == _wait(watcher).files
    watcher.forget_file(8)
    watcher.forget_file(8)


def test_what_comes_and_goes_in_a_folder_is_told(watcher: Watcher, tmp_path: Path) -> None:
    """Created, renamed, deleted; a write to a file that is not followed wakes nobody."""
    assert watcher.watch_folders([str(tmp_path)])
    path = tmp_path / "new.log"
    path.touch()
    assert frozenset((str(path),)) == _wait(watcher).paths
    _append(path)
    assert NOTHING == watcher.drain()
    moved = path.rename(tmp_path / "new.log.1")
    assert frozenset((str(path), str(moved))) == _wait(watcher).paths
    moved.unlink()
    assert frozenset((str(moved),)) == _wait(watcher).paths


def test_names_that_are_no_text_are_told(watcher: Watcher, tmp_path: Path) -> None:
    """As the scan names them."""
    watcher.watch_folders([str(tmp_path)])
    path = os.fsencode(tmp_path) + b"/\xff\n.log"
    Path(os.fsdecode(path)).touch()
    assert frozenset((os.fsdecode(path),)) == _wait(watcher).paths


def test_it_says_whether_a_folder_is_new(watcher: Watcher, tmp_path: Path) -> None:
    """What came into a new one before the watch is to be looked for; one that went is let go."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    assert watcher.watch_folders([str(one)])
    assert not watcher.watch_folders([str(one)])
    assert watcher.watch_folders([str(one), str(other)])
    assert not watcher.watch_folders([str(other)])
    (one / "x").touch()
    assert NOTHING == watcher.drain()
    one.rename(tmp_path / "gone")
    assert watcher.watch_folders([str(other), str(tmp_path / "gone")])


def test_a_folder_that_was_replaced_is_a_new_one(watcher: Watcher, tmp_path: Path) -> None:
    """The same path, by a link that was switched."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    link.symlink_to("a")
    assert watcher.watch_folders([str(link)])
    link.unlink()
    link.symlink_to("b")
    assert watcher.watch_folders([str(link)])
    (tmp_path / "b" / "x").touch()
    assert frozenset((f"{link}/x",)) == _wait(watcher).paths


def test_a_folder_under_two_names_is_told_under_both(watcher: Watcher, tmp_path: Path) -> None:
    """A pattern may name it by either."""
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    watcher.watch_folders([str(tmp_path / "a"), str(tmp_path / "link")])
    (tmp_path / "a" / "x").touch()
    assert {f"{tmp_path}/a/x", f"{tmp_path}/link/x"} == _wait(watcher).paths


def test_a_deleted_folder_is_told(watcher: Watcher, tmp_path: Path) -> None:
    """Its files are to be looked for."""
    folder = tmp_path / "logs"
    folder.mkdir()
    watcher.watch_folders([str(folder)])
    folder.rmdir()
    assert frozenset((str(folder),)) == _wait(watcher).paths
    folder.mkdir()
    assert watcher.watch_folders([str(folder)])


@pytest.mark.slow
def test_more_events_than_the_kernel_keeps_are_told_as_such(
    watcher: Watcher, tmp_path: Path
) -> None:
    """Then everything has to be looked at."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))
    if limit > 100_000:
        pytest.skip(f"would need {limit} events")
    watcher.watch_folders([str(tmp_path)])
    path = tmp_path / "x"
    for _ in range(limit // 2 + 1):
        path.touch()
        path.unlink()
    overflowed = False
    while (changes := watcher.drain()) != NOTHING:
        overflowed |= changes.overflowed
    assert overflowed


def test_what_is_not_there_is_no_trouble(watcher: Watcher, tmp_path: Path, told: Told) -> None:
    """It may come, and the folder above tells so."""
    assert not watcher.watch_folders([str(tmp_path / "none")])
    assert watcher.is_complete
    assert [] == told


@pytest.mark.parametrize(
    ("number", "limit"),
    [(errno.ENOSPC, "max_user_watches"), (errno.ENOMEM, "inotify: Cannot allocate memory")],
)
def test_a_limit_is_said_once_and_folders_are_polled(
    watcher: Watcher, tmp_path: Path, told: Told, number: int, limit: str
) -> None:
    """Which one, what it is, and what to do; once it is raised, all is watched again."""
    real = watcher._functions
    watcher._functions = _Failing(real, inotify_add_watch=number)
    assert not watcher.watch_folders([str(tmp_path), str(tmp_path.parent)])
    assert not watcher.watch_file(1, 0)
    assert not watcher.is_complete
    assert 1 == len(told)
    assert limit in told[0]
    watcher._functions = real
    assert watcher.watch_folders([str(tmp_path)])
    assert watcher.is_complete


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        (object, "this system has no inotify"),
        (lambda: _Failing(None, inotify_init1=errno.EMFILE), "fs.inotify.max_user_instances is "),
        (lambda: _Failing(None, inotify_init1=errno.ENOSYS), "inotify: Function not implemented"),
    ],
)
def test_without_inotify_everything_is_polled(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    told: Told,
    functions: Callable[[], Any],
    said: str,
) -> None:
    """Another system, too many instances, a sandbox: said once, and nothing to wait for."""
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: functions())
    watcher = Watcher(told.append)
    assert 1 == len(told)
    assert said in told[0]
    assert watcher.fileno() is None
    assert not watcher.is_complete
    assert not watcher.watch_folders([str(tmp_path)])
    assert not watcher.watch_file(1, 0)
    watcher.forget_file(1)
    assert NOTHING == watcher.drain()
    watcher.close()


def test_a_network_file_system_is_polled(
    watcher: Watcher, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's writes are not told; that is no trouble, and not said."""
    found = ctypes.create_string_buffer(256)
    ctypes.CDLL(None).statfs(os.fsencode(tmp_path), found)
    own_type = ctypes.c_long.from_buffer(found).value & 0xFFFFFFFF
    monkeypatch.setattr(notify, "_REMOTE", frozenset((own_type,)))
    assert not watcher.watch_folders([str(tmp_path)])
    assert not watcher.is_complete
    assert [] == told


class _Failing:
    """The C library, some of whose functions fail."""

    def __init__(self, real: Any, **errors: int) -> None:
        self._real = real
        self._errors = errors

    def __getattr__(self, name: str) -> Any:
        if name not in self._errors:
            return getattr(self._real, name)

        def fail(*_: object) -> int:
            ctypes.set_errno(self._errors[name])
            return -1

        return fail
