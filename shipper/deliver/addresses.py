"""The centre's addresses: which one this shipper uses, and which comes next when it fails.

In: URLs and the stream's name. Out: `Address`es. Each shipper has a home among them, chosen by its
stream, so that a fleet spreads evenly; it comes back to it some minutes after it had to leave. It
must never forget an address because it failed.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from shipper.listen_address import is_loopback

HOME_SECONDS: Final = 300.0
"""How long a shipper stays elsewhere before it looks whether its home is well again."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One URL, taken apart."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """As HTTP and SigV4 want it: without the scheme's own port, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, by its name or number; no other name is looked up."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """The parts of a URL that the configuration's rules let pass."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return Address(
        scheme=scheme,
        host=parts.hostname or "",
        port=parts.port or _DEFAULT_PORTS[scheme],
        path=parts.path.rstrip("/"),
    )


class Route:
    """The addresses in one shipper's order. One transport's."""

    def __init__(self, addresses: Sequence[Address], *, spread_by: str) -> None:
        home = zlib.crc32(spread_by.encode()) % len(addresses)
        self._addresses = [*addresses[home:], *addresses[:home]]
        self._turn = 0
        self._left_home_at = 0.0

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def current(self) -> Address:
        """The one to use."""
        return self._addresses[self._turn]

    @property
    def home(self) -> Address:
        """The one that is used while it is well."""
        return self._addresses[0]

    def move_on(self, now: float) -> None:
        """The current one failed: the next."""
        if self._turn == 0:
            self._left_home_at = now
        self._turn = (self._turn + 1) % len(self._addresses)

    def is_home_due(self, now: float) -> bool:
        """Whether it is time to look whether the home is well again; true once each time."""
        if self._turn == 0 or now - self._left_home_at < HOME_SECONDS:
            return False
        self._left_home_at = now
        return True

    def go_home(self) -> None:
        """It is."""
        self._turn = 0
