"""One HTTP client for OpenSearch: every request bounded, every failure one of forensics/errors.py.

In: a URL without secrets, and where the secrets stand (files named in the environment). Out: the
parsed JSON of an answer. It must never let an error of the client library through, retry anything
but a lost connection, or put a password into an error's text.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import (
    ConnectionError as TransportLostError,
)
from opensearchpy.exceptions import (
    ConnectionTimeout,
    SerializationError,
    SSLError,
    TransportError,
)

from forensics.errors import (
    ForensicsError,
    PartialResultError,
    RefusedError,
    TimedOutError,
    UnreachableError,
    UsageError,
)

REQUEST_TIMEOUT_SECONDS: Final = 30.0

COLLECTOR_DISTRIBUTION: Final = "afterimage-collector"
"""What `GET /` of a collector says in OpenSearch's place."""

_USERNAME_FILE: Final = "AFTERIMAGE_STORE_USERNAME_FILE"
_PASSWORD_FILE: Final = "AFTERIMAGE_STORE_PASSWORD_FILE"  # noqa: S105 - a variable's name
_CA_FILE: Final = "AFTERIMAGE_STORE_CA_FILE"

_CANCELLED: Final = "task_cancelled_exception"
"""What a search says that `cancel_after_time_interval` stopped."""
_BUSY: Final = frozenset((429, 502, 503, 504))
_WHY_LIMIT_CHARACTERS: Final = 500

# The library logs each failure with a traceback; ours go up as errors instead.
logging.getLogger("opensearch").addHandler(logging.NullHandler())


class OpenSearchClient:
    """Requests to one URL. Make it with `from_environment`; close it when done."""

    def __init__(
        self, url: str, *, login: tuple[str, str] | None = None, ca_file: Path | None = None
    ) -> None:
        self.url = check_url(url)
        if login is not None and not self.url.startswith("https:"):
            raise UsageError(
                f"a password must not go to {self.url} in clear text",
                next_step=f"use an https:// URL, or unset {_USERNAME_FILE} and {_PASSWORD_FILE}",
            )
        self._client = AsyncOpenSearch(
            hosts=[self.url],
            http_auth=login,
            http_compress=True,
            max_retries=1,  # a kept-alive connection that the other side has closed meanwhile
            timeout=REQUEST_TIMEOUT_SECONDS,
            ssl_context=_trust(ca_file) if self.url.startswith("https:") else None,
        )

    @classmethod
    def from_environment(cls, url: str) -> Self:
        """A client whose login and certificate authority stand in files that variables name."""
        username, password = _read_secret(_USERNAME_FILE), _read_secret(_PASSWORD_FILE)
        if (username is None) != (password is None):
            raise UsageError(f"give both {_USERNAME_FILE} and {_PASSWORD_FILE}, or none of them")
        login = None if username is None or password is None else (username, password)
        ca_file = os.environ.get(_CA_FILE)
        return cls(url, login=login, ca_file=Path(ca_file) if ca_file else None)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
        absent: Any = None,
    ) -> Any:
        """The answer's JSON object or array; `absent` in place of a 404 where it is given.

        Cancelling the awaiting task closes the connection, upon which OpenSearch stops searching.

        Raises:
            UnreachableError, TimedOutError, RefusedError: as their names say.
            ForensicsError: the request was not understood, or what answers is no OpenSearch.
        """
        try:
            answer = await self._client.transport.perform_request(
                method, path, params=params, body=body, timeout=timeout_seconds
            )
        except TransportError as error:
            if absent is not None and error.status_code == 404:  # noqa: PLR2004 - HTTP's number
                return absent
            raise self._translate(error, timeout_seconds) from error
        except (SerializationError, UnicodeError) as error:
            raise self._no_opensearch(str(error)[:80]) from error
        except RecursionError as error:
            raise PartialResultError(
                f"an answer of {self.url} can't be read",
                why="it holds a document nested some thousand levels deep",
                next_step="narrow the question until that document is not in it",
            ) from error
        if not isinstance(answer, (dict, list)):
            raise self._no_opensearch(f"it answered {str(answer)[:80]!r}")
        return answer

    async def fetch_greeting(self) -> Mapping[str, Any]:
        """What `GET /` says of itself: an OpenSearch, by its version.

        Raises:
            UsageError: a collector answers, which takes records and gives none back.
        """
        greeting = await self.request("GET", "/")
        version = greeting.get("version") if isinstance(greeting, dict) else None
        if not isinstance(version, dict) or not isinstance(version.get("number"), str):
            raise self._no_opensearch("its greeting has no version")
        if version.get("distribution") == COLLECTOR_DISTRIBUTION:
            raise UsageError(
                f"{self.url} is a collector",
                why="it takes records and answers no questions",
                next_step="read its file where it runs: --store sqlite:PATH",
            )
        return version

    async def aclose(self) -> None:
        """Give back the sockets; safe to call twice."""
        await self._client.close()

    def _translate(self, error: TransportError, timeout_seconds: float) -> ForensicsError:
        why = _explain(error)
        if isinstance(error, ConnectionTimeout) or _CANCELLED in why:
            return TimedOutError(
                f"{self.url} did not answer within {timeout_seconds:g} s",
                next_step="try again, or narrow the question (an instance, --since, --until)",
            )
        if isinstance(error, SSLError) or "certificate" in why.lower():
            return UnreachableError(
                f"{self.url} is not trusted",
                why=why,
                next_step=f"let {_CA_FILE} name the PEM file of its certificate authority",
            )
        if isinstance(error, TransportLostError):
            return UnreachableError(
                f"can't reach the store {self.url}",
                why=why,
                next_step="check that it runs and that the address is right, then try again",
            )
        if error.status_code in (401, 403):
            return RefusedError(
                f"{self.url} refuses ({error.status_code})",
                why=why,
                next_step=f"let {_USERNAME_FILE} and {_PASSWORD_FILE} name files of a user "
                "that may do this",
            )
        if error.status_code in _BUSY:
            return UnreachableError(
                f"{self.url} refuses for now ({error.status_code})",
                why=why,
                next_step="it is overloaded or starting: try again",
            )
        return ForensicsError(
            f"{self.url} can't answer ({error.status_code})",
            why=why,
            next_step="check whether its indices have our templates: forensics centre check",
        )

    def _no_opensearch(self, why: str) -> UsageError:
        return UsageError(
            f"what answers at {self.url} is no OpenSearch",
            why=why,
            next_step="check --store: an OpenSearch URL, or sqlite:PATH",
        )


def check_url(url: str) -> str:
    """`url` without a trailing slash.

    Raises:
        UsageError: no http(s) URL of a host, or one that carries a login.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError("the store's URL can't be read", why=str(error)) from error
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"the store's URL {parts.scheme}://…@{parts.hostname} carries a login",
            why="it would stand in shell histories, process lists and reports",
            next_step=f"let {_USERNAME_FILE} and {_PASSWORD_FILE} name files that hold it",
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            f"{url!r} is no store URL",
            next_step="give http(s)://host:port, as http://127.0.0.1:9200",
        )
    if port is None:  # the client library would take 9200 even for https
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = 443 if parts.scheme == "https" else 80
        return f"{parts.scheme}://{host}:{port}{parts.path}".rstrip("/")
    return url.rstrip("/")


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """The machine's own authorities, or that one alone."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one too
        raise UsageError(
            f"can't use the certificate authority {ca_file}",
            why=str(error),
            next_step=f"let {_CA_FILE} name a PEM file",
        ) from error


def _read_secret(variable: str) -> str | None:
    path = os.environ.get(variable)
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"can't read {path}, named by {variable}", why=str(error)) from error


def _explain(error: TransportError) -> str:
    """The most telling words of an error, one line, bounded: a server may answer anything."""
    info = error.info
    reason: object = None
    if isinstance(info, Exception):
        reason = info
    elif isinstance(info, dict) and isinstance(info.get("error"), dict):
        cause = info["error"]
        while isinstance(deeper := cause.get("caused_by"), dict):
            cause = deeper
        reason = f"{cause.get('type')}: {cause.get('reason')}"
    text = str(reason or error.error)
    return " ".join(json.dumps(text, ensure_ascii=False)[1:-1].split())[:_WHY_LIMIT_CHARACTERS]
