"""The system's journal, by ctypes on `libsystemd.so.0`: the few calls that reading it takes.

In: a folder of journal files, or none for the machine's own journal. Out: entries one by one, as
the library has them. No process is started and no package needed. It must never change a journal,
nor hold a pointer of the library over its next call.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from shipper.errors import ConfigError
from shipper.wire.journal_entries import VALUE_LIMIT_BYTES

LIBRARY: Final = "libsystemd.so.0"
_LOCAL_ONLY: Final = 1
"""Not what other machines have sent here; all users' entries of this one."""
_INVALIDATE: Final = 2
"""What `sd_journal_process` answers where files came or went."""

GONE: Final = frozenset((errno.EADDRNOTAVAIL, errno.EBADMSG))
"""What reading an entry fails with when its file was removed meanwhile, or is damaged."""

_POINTER: Final = ctypes.c_void_p
_OUT: Final = ctypes.POINTER(ctypes.c_void_p)
_SIGNATURES: Final[Mapping[str, tuple[Any, ...]]] = {
    "sd_journal_open": (_OUT, ctypes.c_int),
    "sd_journal_open_directory": (_OUT, ctypes.c_char_p, ctypes.c_int),
    "sd_journal_close": (_POINTER,),
    "sd_journal_get_fd": (_POINTER,),
    "sd_journal_process": (_POINTER,),
    "sd_journal_set_data_threshold": (_POINTER, ctypes.c_size_t),
    "sd_journal_add_match": (_POINTER, ctypes.c_char_p, ctypes.c_size_t),
    "sd_journal_seek_head": (_POINTER,),
    "sd_journal_seek_tail": (_POINTER,),
    "sd_journal_seek_cursor": (_POINTER, ctypes.c_char_p),
    "sd_journal_next": (_POINTER,),
    "sd_journal_previous": (_POINTER,),
    "sd_journal_get_cursor": (_POINTER, _OUT),
    "sd_journal_get_realtime_usec": (_POINTER, ctypes.POINTER(ctypes.c_uint64)),
    "sd_journal_restart_data": (_POINTER,),
    "sd_journal_enumerate_data": (_POINTER, _OUT, ctypes.POINTER(ctypes.c_size_t)),
}
_ANSWER_NOTHING: Final = frozenset(("sd_journal_close", "sd_journal_restart_data"))
_NEXT_VALUE: Final = "sd_journal_enumerate_available_data"
"""Passes over a value that can't be unpacked; from systemd 246 on."""


class Libsystemd:
    """The library's functions, their types declared."""

    def __init__(self, library: str = LIBRARY) -> None:
        try:
            self.functions = ctypes.CDLL(library)
            for name, arguments in _SIGNATURES.items():
                function = getattr(self.functions, name)
                function.argtypes = arguments
                function.restype = None if name in _ANSWER_NOTHING else ctypes.c_int
        except (OSError, AttributeError) as error:
            raise ConfigError(
                "the journal can't be read",
                why=f"{library} can't be used: {error}",
                next_step="install it (Debian and Ubuntu: libsystemd0; Amazon Linux, Fedora and Red"
                " Hat: systemd-libs), or remove [sources.journald]",
            ) from error
        plain_next = self.functions.sd_journal_enumerate_data
        self.next_value = getattr(self.functions, _NEXT_VALUE, plain_next)
        self.next_value.argtypes, self.next_value.restype = plain_next.argtypes, plain_next.restype
        self.free = ctypes.CDLL(None).free
        self.free.argtypes, self.free.restype = (_POINTER,), None


class JournalHandle:
    """One open journal with its place in it. One thread's."""

    def __init__(self, folder: Path | None, *, library: Libsystemd) -> None:
        """OSError: it can't be opened."""
        self._library = library
        self._functions = library.functions
        self._data = ctypes.c_void_p()
        self._size = ctypes.c_size_t()
        self._data_at = ctypes.byref(self._data)
        self._size_at = ctypes.byref(self._size)
        handle = ctypes.c_void_p()
        if folder is None:
            result = self._functions.sd_journal_open(ctypes.byref(handle), _LOCAL_ONLY)
        else:
            path = os.fsencode(folder)
            result = self._functions.sd_journal_open_directory(ctypes.byref(handle), path, 0)
        _check(result, "open")
        self._handle: ctypes.c_void_p | None = handle
        # one byte more than is kept, so that a value that was cut is known to be
        self._call("set_data_threshold", VALUE_LIMIT_BYTES + 1)
        self.file = self._call("get_fd")
        """Readable when entries or files may have come; then call `process`."""

    def close(self) -> None:
        """Let go of all files."""
        if self._handle is not None:
            self._functions.sd_journal_close(self._handle)
            self._handle = None

    def process(self) -> bool:
        """Take note of what changed; whether files came or went."""
        return self._call("process") == _INVALIDATE

    def match_boot(self, boot: str) -> None:
        """Give only entries of one boot."""
        match = b"_BOOT_ID=%b" % boot.encode()
        self._call("add_match", match, len(match))

    def seek_head(self) -> None:
        """The next entry is the first one."""
        self._call("seek_head")

    def seek_tail(self) -> None:
        """The previous entry is the last one."""
        self._call("seek_tail")

    def seek_cursor(self, cursor: str) -> None:
        """The next entry is the cursor's or, where it is gone, the one after it."""
        self._call("seek_cursor", cursor.encode())

    def next(self) -> bool:
        """Go to the next entry; False: there is none."""
        return self._call("next") > 0

    def previous(self) -> bool:
        """Go to the entry before; False: there is none."""
        return self._call("previous") > 0

    def cursor(self) -> str:
        """The name of the entry's place."""
        text = ctypes.c_void_p()
        self._call("get_cursor", ctypes.byref(text))
        try:
            return ctypes.string_at(text.value or 0).decode()
        finally:
            self._library.free(text)

    def realtime_micros(self) -> int:
        """When journald took the entry."""
        micros = ctypes.c_uint64()
        self._call("get_realtime_usec", ctypes.byref(micros))
        return micros.value

    def values(self) -> Iterator[bytes]:
        """The entry's fields, `NAME=bytes`; a long value is cut (VALUE_LIMIT_BYTES)."""
        self._functions.sd_journal_restart_data(self._handle)
        next_value = self._library.next_value
        while _check(next_value(self._handle, self._data_at, self._size_at), "read a field"):
            yield ctypes.string_at(self._data.value or 0, self._size.value)

    def _call(self, name: str, *arguments: object) -> int:
        function = getattr(self._functions, f"sd_journal_{name}")
        return _check(function(self._handle, *arguments), name)


def _check(result: int, what: str) -> int:
    if result < 0:
        raise OSError(-result, f"journal: {what}: {os.strerror(-result)}", None)
    return result
