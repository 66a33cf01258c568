"""Where a server of the shipper listens, as the configuration writes it.

In: `unix:///path` or `tcp://host:port`. Out: a `ListenAddress`, or what is wrong with the text.
Pure. It must never ask a name server: whether a name is this machine's is told by its letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

UNIX_PATH_LIMIT_BYTES: Final = 107
"""The kernel's `sun_path`, less its final zero."""

_UNIX: Final = "unix://"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """A unix socket's path, or a TCP host and port."""

    path: str = ""
    """Of a unix socket; empty: TCP."""
    host: str = ""
    port: int = 0

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return bool(self.path) or is_loopback(self.host)

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether it is this machine, by its name or number; no other name is looked up."""
    if host == "localhost":
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # another name: it may be anybody's


def parse_listen(text: str) -> ListenAddress:
    """The address that `text` names.

    Raises:
        ValueError: it names none; the text says why, to follow a key's name.
    """
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        if not path.startswith("/") or path.endswith("/"):
            raise ValueError(f"must name a file by its absolute path, as in unix:///x, is {text!r}")
        size = len(path.encode("utf-8", "surrogateescape"))
        if size > UNIX_PATH_LIMIT_BYTES:
            raise ValueError(
                f"has a path of {size} bytes, a unix socket's has at most {UNIX_PATH_LIMIT_BYTES}"
            )
        return ListenAddress(path=path)
    if not text.startswith("tcp://"):
        raise ValueError(f"must start with unix:/// or tcp://, is {text!r}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is no address ({error})") from error
    if not parts.hostname:
        raise ValueError(f"names no host in {text!r}: 127.0.0.1 is this machine alone")
    if not port:
        raise ValueError(f"names no port in {text!r}: write tcp://{parts.netloc}:24224")
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"must be tcp://host:port and nothing more, is {text!r}")
    return ListenAddress(host=parts.hostname, port=port)
