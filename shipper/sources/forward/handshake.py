"""The handshake of the Forward protocol: both sides prove that they know the shared key.

In: the key's file; the client's PING. Out: the server's HELO and PONG; nonce and salt come from
outside. It must never send the key, and never compare digests in a time that tells where they
differ.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from shipper.errors import ConfigError
from shipper.sources.forward.msgpack import encode

_PING_VALUES = 6


class Answer(NamedTuple):
    """What the server says to a PING."""

    pong: bytes
    refusal: str
    """Why the client is not let in; empty: it is."""


def read_key(path: Path) -> bytes:
    """The key in a file, without white space around it; ConfigError: there is none."""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(
            f"the shared key {path} can't be read", why=error.strerror or str(error)
        ) from error
    if not key:
        raise ConfigError(
            f"the shared key {path} is empty", next_step="write the clients' key into it"
        )
    return key


def build_helo(nonce: bytes) -> bytes:
    """The server's first words: no user names, and connections may stay open."""
    return encode(["HELO", {"nonce": nonce, "auth": b"", "keepalive": True}])


def answer_ping(message: Any, *, shared_key: bytes, nonce: bytes, server_name: str) -> Answer:
    """Judge a client's PING; `server_name` must not be a name that clients have."""
    if not _is_ping(message):
        return _refuse("the first message is no PING", server_name)
    host, salt, digest = (_to_bytes(value) for value in message[1:4])
    if host == server_name.encode():
        return _refuse("client and server have the same name", server_name)
    expected = _digest(salt, host, nonce, shared_key)
    if not hmac.compare_digest(expected, digest):
        return _refuse("the shared keys differ", server_name)
    own = _digest(salt, server_name.encode(), nonce, shared_key).decode()
    return Answer(encode(["PONG", True, "", server_name, own]), "")


def _is_ping(message: Any) -> bool:
    return (
        isinstance(message, Sequence)
        and len(message) == _PING_VALUES
        and all(isinstance(value, str | bytes) for value in message[:4])
        and _to_bytes(message[0]) == b"PING"
    )


def _refuse(why: str, server_name: str) -> Answer:
    return Answer(encode(["PONG", False, why, server_name, ""]), why)


def _digest(salt: bytes, host: bytes, nonce: bytes, key: bytes) -> bytes:
    return hashlib.sha512(salt + host + nonce + key).hexdigest().encode()


def _to_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
