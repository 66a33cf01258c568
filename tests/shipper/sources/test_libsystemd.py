"""What is said where the journal can't be read: no library, no journal, no right."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shipper.errors import ConfigError
from shipper.sources.journal_access import check_access
from shipper.sources.journald import JournalReader, find_own_unit, parse_cursor
from shipper.sources.libsystemd import JournalHandle, Libsystemd

CURSOR = "s=39f8fb0aa7544df592ca48120eddbafa;i=1a;b=0123456789abcdef0123456789abcdef;m=3e8;t=6;x=d4"


@pytest.mark.parametrize("library", ["libthere-is-none.so.0", "libc.so.6"])
def test_without_the_library_it_says_what_to_install(library: str, tmp_path: Path) -> None:
    """A missing library, or one that has not the functions."""
    with pytest.raises(ConfigError) as raised:
        JournalReader(tmp_path, library=library).open()
    assert f"{library} can't be used" in raised.value.why
    assert "libsystemd0" in raised.value.next_step
    assert "systemd-libs" in raised.value.next_step


def test_without_a_journal_it_says_so(tmp_path: Path) -> None:
    """A container, say, or a machine with another init."""
    with pytest.raises(ConfigError, match="there is no journal to read") as raised:
        check_access(None, system=(tmp_path / "run", tmp_path / "var"))
    assert f"no folder {tmp_path}/run and {tmp_path}/var" == raised.value.why
    assert "remove [sources.journald]" in raised.value.next_step


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    """The configuration's own folder."""
    with pytest.raises(ConfigError, match="no folder") as raised:
        check_access(tmp_path / "journal")
    assert "sources.journald.directory" in raised.value.next_step


def test_without_the_right_it_names_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that may read the files."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "system.journal").touch()
    closed = {tmp_path / "m" / "system.journal"}
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) not in closed)
    with pytest.raises(ConfigError) as raised:
        check_access(tmp_path)
    assert "--append --groups" in raised.value.next_step
    assert "m/system.journal" in raised.value.why
    (tmp_path / "m" / "user-1000.journal").touch()
    check_access(tmp_path)  # what can be read is read
    closed.add(tmp_path)
    with pytest.raises(ConfigError, match="is closed to user"):
        check_access(tmp_path)


def test_a_group_without_a_name_is_told_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files from another machine."""

    def has_none(group: int) -> None:
        raise KeyError(group)

    monkeypatch.setattr("grp.getgrgid", has_none)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(ConfigError, match=f"to the group {tmp_path.stat().st_gid}, "):
        check_access(tmp_path)


def test_an_empty_folder_is_a_journal_to_be(tmp_path: Path) -> None:
    """Its first file may yet come."""
    check_access(tmp_path)


def test_what_is_not_open_can_not_be_read() -> None:
    """An error that the loop tries again after, as with any file."""
    reader = JournalReader()
    reader.close()
    with pytest.raises(OSError, match="is not open"):
        reader.read(1)


def test_an_error_of_the_library_is_an_error_of_the_system(tmp_path: Path) -> None:
    """With its number, its words, and what was tried."""
    file = tmp_path / "file"
    file.touch()
    try:
        library = Libsystemd()
    except ConfigError:
        pytest.skip("needs libsystemd.so.0")

    with pytest.raises(OSError, match="journal: open: Not a directory") as raised:
        JournalHandle(file, library=library)
    assert errno.ENOTDIR == raised.value.errno


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/afterimage-shipper.service\n", "afterimage-shipper.service"),
        ("12:cpu:/x.service\n1:name=systemd:/system.slice/a.service\n", "a.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", ""),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/a.service\n", ""),
        ("0::/system.slice/docker.service/4711\n", ""),
        ("0::/\n", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_a_service_knows_its_unit(cgroup: str, unit: str, tmp_path: Path) -> None:
    """Only a system service of its own: nobody else's entries are ever left out."""
    path = tmp_path / "cgroup"
    path.write_text(cgroup)
    assert unit == find_own_unit(path)


def test_without_proc_there_is_no_unit(tmp_path: Path) -> None:
    """Then all is shipped."""
    assert "" == find_own_unit(tmp_path / "cgroup")


def test_a_cursor_says_the_numbering_and_the_number() -> None:
    """The number is hexadecimal."""
    place = parse_cursor(CURSOR)
    assert place is not None
    assert ("39f8fb0aa7544df592ca48120eddbafa", 26) == (place.sequence_id, place.sequence)
    assert parse_cursor("") is None
    assert parse_cursor(CURSOR + "\n") is None
