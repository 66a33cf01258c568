"""Who this machine is: from the configuration, else IMDSv2, else what cloud-init left behind.

In: the configuration's `[identity]`. Out: the `Identity` that is stamped on every document, with
an instance id that is never empty. It must never ask IMDSv1 (a request without a token), never go
through a proxy, and never guess an id: two machines with one id would be one in the ledger.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from shipper.config import IdentityConfig
from shipper.config_rules import instance_id_problem
from shipper.errors import ConfigError, UnreachableError
from shipper.wire.record import Identity

DEFAULT_ENDPOINT: Final = "http://169.254.169.254"
ENDPOINT_VARIABLE: Final = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
CLOUD_INIT_FILE: Final = Path("/run/cloud-init/instance-data.json")
PATIENCE_SECONDS: Final = 10.0
"""How long IMDS may take to come up: the shipper starts before the network is configured."""

_REQUEST_TIMEOUT_SECONDS: Final = 1.0
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 2.0
_TRIES_AT_LEAST: Final = 2
_TOKEN_SECONDS: Final = 60
_ANSWER_LIMIT_BYTES: Final = 64 * 1024
_VALUE_LIMIT: Final = 256

_OF_DOCUMENT: Final = {
    "instance_id": "instanceId",
    "image_id": "imageId",
    "instance_type": "instanceType",
    "region": "region",
    "availability_zone": "availabilityZone",
    "account_id": "accountId",
}
"""Our names → the instance identity document's."""

_OF_CLOUD_INIT: Final = {
    "instance_id": "instance_id",
    "region": "region",
    "availability_zone": "availability_zone",
    "host_name": "local_hostname",
}
"""Our names → cloud-init's, under its standardised key `v1`."""


def find_identity(
    config: IdentityConfig,
    *,
    environment: Mapping[str, str] | None = None,
    cloud_init_file: Path = CLOUD_INIT_FILE,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Identity:
    """The machine's identity; each value that the configuration gives wins over what was found.

    A configured instance id means a machine that IMDS doesn't know: then IMDS is not asked.

    Raises:
        ConfigError: nothing names the instance; the text says what was tried and what to set.
    """
    configured = {name: value for name, value in asdict(config).items() if value}
    if "instance_id" in configured:
        found: dict[str, str] = {}
    else:
        found = _find_values(environment, cloud_init_file, patience_seconds)
    values = {"host_name": socket.gethostname()} | found | configured
    problem = instance_id_problem(values["instance_id"])
    if problem:
        raise ConfigError(f"identity.instance_id {problem}", next_step="set it to a short name")
    return Identity(**values)


def _find_values(
    environment: Mapping[str, str] | None, cloud_init_file: Path, patience_seconds: float
) -> dict[str, str]:
    try:
        return Imds(find_endpoint(environment)).fetch(patience_seconds)
    except UnreachableError as error:
        imds_failure = f"{error.what}: {error.why}"
    values = load_cloud_init(cloud_init_file)
    if "instance_id" not in values:
        raise ConfigError(
            "this machine's instance id is unknown",
            why=f"{imds_failure}; and {cloud_init_file} names none",
            next_step="set identity.instance_id in the configuration; on EC2 allow IMDSv2 on the "
            "instance, with a hop limit of 2 where the shipper runs in a container",
        )
    return values


def find_endpoint(environment: Mapping[str, str] | None = None) -> str:
    """Where IMDS listens, chosen as the AWS SDKs do.

    Raises:
        ConfigError: the variable holds something else than `http://host[:port]`.
    """
    environment = os.environ if environment is None else environment
    endpoint = environment.get(ENDPOINT_VARIABLE, "") or DEFAULT_ENDPOINT
    try:
        parts = urlsplit(endpoint)
        is_right = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise ConfigError(
            f"{ENDPOINT_VARIABLE} is {endpoint!r}",
            why="IMDS speaks plain HTTP",
            next_step=f"unset it, or write e.g. {DEFAULT_ENDPOINT}",
        )
    return endpoint.rstrip("/")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    text: str


class Imds:
    """A client of the EC2 instance metadata service, version 2 alone."""

    def __init__(
        self, endpoint: str = DEFAULT_ENDPOINT, *, timeout_seconds: float = _REQUEST_TIMEOUT_SECONDS
    ) -> None:
        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds

    def fetch(self, patience_seconds: float = PATIENCE_SECONDS) -> dict[str, str]:
        """What IMDS says of this instance, under the names of `Identity`; what it lacks is absent.

        Silence is met with retries for `patience_seconds`, at least one; a refusal is final.

        Raises:
            UnreachableError: it does not answer, or refuses.
        """
        until = time.monotonic() + patience_seconds
        pause_seconds = _FIRST_PAUSE_SECONDS
        tries = 0
        while True:
            tries += 1
            try:
                return self._fetch_once()
            except (OSError, http.client.HTTPException) as error:
                if tries >= _TRIES_AT_LEAST and time.monotonic() + pause_seconds >= until:
                    raise UnreachableError(
                        f"IMDSv2 at {self._endpoint} does not answer ({tries} tries)",
                        why=str(error) or type(error).__name__,
                    ) from error
            time.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _fetch_once(self) -> dict[str, str]:
        lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        token = self._request("PUT", "/latest/api/token", lifetime)
        if token.status >= http.client.INTERNAL_SERVER_ERROR:
            raise http.client.HTTPException(f"it answers {token.status}")
        if token.status != http.client.OK or not token.text.strip():
            raise UnreachableError(
                f"IMDSv2 at {self._endpoint} gives no token",
                why=f"it answers {token.status}; 403 means that the instance's metadata is off",
            )
        headers = {"X-aws-ec2-metadata-token": token.text.strip()}

        def get(path: str) -> str:
            answer = self._request("GET", f"/latest/{path}", headers)
            if answer.status >= http.client.INTERNAL_SERVER_ERROR:
                raise http.client.HTTPException(f"it answers {answer.status} to {path}")
            return answer.text.strip() if answer.status == http.client.OK else ""

        values = self._parse_document(get("dynamic/instance-identity/document"))
        values["host_name"] = get("meta-data/local-hostname") or get("meta-data/hostname")
        # 404 where the instance doesn't allow its tags in the metadata.
        values["group"] = get("meta-data/tags/instance/aws:autoscaling:groupName")
        return {name: value for name, value in values.items() if _is_value(value)}

    def _parse_document(self, text: str) -> dict[str, str]:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        values = _pick(document, _OF_DOCUMENT)
        if instance_id_problem(values.get("instance_id", "")):
            raise UnreachableError(
                f"IMDSv2 at {self._endpoint} does not name the instance",
                why="its identity document is missing, or holds no instanceId",
            )
        return values

    def _request(self, method: str, path: str, headers: Mapping[str, str]) -> _Answer:
        # http.client, unlike urllib, knows nothing of proxies: a proxy would answer for itself.
        parts = urlsplit(self._endpoint)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=self._timeout_seconds
        )
        try:
            connection.request(method, parts.path + path, headers=dict(headers))
            response = connection.getresponse()
            body = response.read(_ANSWER_LIMIT_BYTES)
        finally:
            connection.close()
        return _Answer(response.status, body.decode("utf-8", "replace"))


def load_cloud_init(path: Path = CLOUD_INIT_FILE) -> dict[str, str]:
    """What cloud-init wrote down of this boot; empty where it didn't run."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    values = _pick(document.get("v1") if isinstance(document, dict) else None, _OF_CLOUD_INIT)
    if instance_id_problem(values.get("instance_id", "")):
        values.pop("instance_id", None)
    return values


def _pick(document: Any, names: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(document, dict):
        return {}
    return {
        ours: document[theirs] for ours, theirs in names.items() if _is_value(document.get(theirs))
    }


def _is_value(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _VALUE_LIMIT and value.isprintable()


def machine_id(
    paths: tuple[Path, ...] = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")),
) -> str:
    """The installed system's id; empty where there is none, or where it isn't made yet."""
    for path in paths:
        text = _first_word(path)
        if text and text != "uninitialized":  # systemd's word for "at first boot"
            return text
    return ""


def boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """This boot's id; empty where the kernel gives none."""
    return _first_word(path)


def _first_word(path: Path) -> str:
    try:
        words = path.read_text(encoding="ascii").split(maxsplit=1)
    except (OSError, UnicodeDecodeError):
        return ""
    return words[0] if words else ""
