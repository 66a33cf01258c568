"""One seam to boto3: call an operation or page through it; bounded retries, our errors, our times.

In: an operation of actions.py and its parameters. Out: AWS's answer as plain dicts, whole pages
joined. It must never call what the table does not name, nor wait without a limit.
"""

from __future__ import annotations

import base64
import datetime as dt
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from forensics.aws.actions import OPERATIONS, Operation
from forensics.aws.failures import is_botocore_error, translate
from shipper.wire.times import format_time

CONNECT_TIMEOUT_SECONDS: Final = 5
READ_TIMEOUT_SECONDS: Final = 20
ATTEMPTS: Final = 4
"""The first try and three more, with botocore's jittered back-off between them."""

FILTER_VALUES: Final = 90
"""EC2 takes 200 values in one request; two sets of ids and some tags stay below."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_AWS_HOSTS: Final = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".api.aws",
    ".api.amazonwebservices.com.cn",
)


class Calls:
    """Calls to one account in one region. Threads may share it; clients are made when needed."""

    def __init__(self, session: Any, region: str) -> None:
        self.region = region
        self._session = session
        self._clients: dict[tuple[str, bool], Any] = {}
        self._making_client = threading.Lock()

    def call(self, service: str, name: str, **parameters: Any) -> dict[str, Any]:
        """The whole answer of one request."""
        operation = OPERATIONS[service, name]
        client = self._client(operation)
        try:
            answer: dict[str, Any] = getattr(client, name)(**parameters)
        except Exception as error:
            if not is_botocore_error(error):
                raise
            raise translate(error, operation, custom_endpoint(client)) from error
        return answer

    def pages(
        self, service: str, name: str, key: str, **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """The items under `key` of all pages, one after the other."""
        operation = OPERATIONS[service, name]
        client = self._client(operation)
        try:
            for page in client.get_paginator(name).paginate(**parameters):
                yield from page.get(key, ())
        except Exception as error:
            if not is_botocore_error(error):
                raise
            raise translate(error, operation, custom_endpoint(client)) from error

    def _client(self, operation: Operation) -> Any:
        """A client with retries, or one without for what must not be sent twice."""
        from botocore.config import Config

        attempts = ATTEMPTS if operation.repeatable else 1
        with self._making_client:
            key = (operation.service, operation.repeatable)
            if key not in self._clients:
                try:
                    self._clients[key] = self._session.client(
                        operation.service,
                        region_name=self.region,
                        config=Config(
                            connect_timeout=CONNECT_TIMEOUT_SECONDS,
                            read_timeout=READ_TIMEOUT_SECONDS,
                            retries={"mode": "standard", "total_max_attempts": attempts},
                            user_agent_extra="afterimage",
                        ),
                    )
                except Exception as error:
                    if not is_botocore_error(error):
                        raise
                    raise translate(error, operation, "") from error
            return self._clients[key]

    def endpoint(self) -> str:
        """The custom endpoint that EC2's calls go to; empty: AWS itself."""
        return custom_endpoint(self._client(OPERATIONS["ec2", "describe_instances"]))


def custom_endpoint(client: Any) -> str:
    """The client's endpoint unless it is AWS's own."""
    url = str(client.meta.endpoint_url)
    host = urlsplit(url).hostname or ""
    return "" if host.endswith(_AWS_HOSTS) else url


def text_time(moment: dt.datetime | None) -> str:
    """A time of boto3's as 30-character text; empty for None."""
    if moment is None:
        return ""
    return format_time((moment - _EPOCH) // dt.timedelta(microseconds=1) * 1000)


def json_safe(value: Any) -> Any:
    """AWS's answer without boto3's types: times as text, bytes as base64, no transport data."""
    match value:
        case Mapping():
            return {str(k): json_safe(v) for k, v in value.items() if k != "ResponseMetadata"}
        case str() | int() | float() | None:
            return value
        case dt.datetime():
            return text_time(value)
        case bytes():
            return base64.b64encode(value).decode()
        case Iterable():
            return [json_safe(item) for item in value]
    return str(value)


def parse_tags(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """AWS's list of Key and Value as a mapping."""
    return {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in tags or ()}


def build_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A mapping as AWS's list of Key and Value, in order of keys."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def chunks(values: Iterable[str], size: int = FILTER_VALUES) -> Iterator[Sequence[str]]:
    """The values, sorted, in lists of at most `size`."""
    ordered = sorted(values)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
