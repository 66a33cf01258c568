"""Who the shipper says it is: the headers that authorize a request.

In: the output's configuration. Out: headers, for one exact request. Secrets are read when they are
needed and again when they change: they rotate. It must never keep one where the configuration
names none, nor put one into an error's text.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shipper.config import OutputConfig
from shipper.deliver.tls import Stamps, stamps_of
from shipper.ports import NoAnswerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a signature covers."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Sequence[bytes] = ()


class Credentials(Protocol):
    """One output's."""

    def headers(self, request: Request) -> Mapping[str, str]:
        """What to add to the request's headers; NoAnswerError: a secret can't be had just now."""

    def forget(self) -> None:
        """The centre refused them: ask anew where they came from."""


class BasicAuth:
    """User and password from files, read again when they change."""

    def __init__(self, username_file: Path | None, password_file: Path | None) -> None:
        self._files = [file for file in (username_file, password_file) if file is not None]
        self._stamps: Stamps = []
        self._headers: Mapping[str, str] = {}

    def headers(self, request: Request) -> Mapping[str, str]:  # noqa: ARG002 - of Credentials
        """The Authorization header; none where none is configured."""
        if not self._files:
            return {}
        try:
            stamps = stamps_of(self._files)
            if stamps != self._stamps:
                words = [file.read_text(encoding="utf-8").strip("\r\n") for file in self._files]
                pair = base64.b64encode(":".join(words).encode()).decode()
                self._headers = {"Authorization": f"Basic {pair}"}
                self._stamps = stamps
        except (OSError, UnicodeDecodeError) as error:
            raise NoAnswerError(f"the secret can't be read: {error}") from error
        return self._headers

    def forget(self) -> None:
        """Read the files again, whatever their times say."""
        self._stamps = []


def open_credentials(output: OutputConfig) -> Credentials:
    """The credentials of an output.

    Raises:
        ConfigError: they need the extra `sigv4`, which is not installed.
    """
    if output.auth == "sigv4":
        from shipper.deliver.sigv4 import SigV4Auth

        return SigV4Auth(region=output.region, service=output.service)
    return BasicAuth(output.username_file, output.password_file)
