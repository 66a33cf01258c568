"""The centre: what it is reached with, and whether it answers.

In: the output's configuration. Out: findings. It must never send a record, print a secret or
believe what a server answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shipper.checks.finding import Finding, Severity, build_finding, check_secret_file
from shipper.config import OutputConfig
from shipper.config_rules import output_warnings
from shipper.deliver.credentials import Request, open_credentials
from shipper.errors import ConfigError
from shipper.ports import NoAnswerError
from shipper.probe import Probe, probe_output

CONFIG_EXIT: Final = 2
UNREACHABLE_EXIT: Final = 3
_AT: Final = ("output", "opensearch")
_FILES: Final = {
    "username_file": False,
    "password_file": True,
    "ca_file": False,
    "client_cert_file": False,
    "client_key_file": True,
}
"""Each file of the output, and whether it must not be everybody's."""


def check_output(output: OutputConfig) -> Iterator[Finding]:
    """Secrets and certificates first, then every address."""
    for name, is_secret in _FILES.items():
        path = getattr(output, name)
        if path is not None:
            yield from check_secret_file((*_AT, name), path, is_secret=is_secret)
    try:
        yield from _check_credentials(output)
        probes = [probe_output(url, output) for url in output.urls]
    except ConfigError as error:
        what = f"{error.what}: {error.why}: {error.next_step}"
        yield build_finding("error", (*_AT, "urls"), what, exit_code=CONFIG_EXIT)
        return
    # One node that answers is enough to ship: the others are a warning.
    anyone = any(probe.outcome != "unreachable" for probe in probes)
    for probe in probes:
        yield _probe_finding(probe, anyone=anyone)
    for warning in output_warnings(output):
        yield build_finding("warning", (*_AT, "urls"), warning)


def _check_credentials(output: OutputConfig) -> Iterator[Finding]:
    """Whether there is something to sign with: a request is signed, and thrown away.

    Raises:
        ConfigError: the extra is not installed.
    """
    if output.auth != "sigv4":
        return
    at = (*_AT, "auth")
    try:
        open_credentials(output).headers(Request(method="GET", url=output.urls[0], headers={}))
    except NoAnswerError as error:
        yield build_finding("warning", at, str(error))
    else:
        yield build_finding("ok", at, f"AWS credentials were found, to sign for {output.region}")


def _probe_finding(probe: Probe, *, anyone: bool) -> Finding:
    at = (*_AT, "urls")
    what = f"{probe.url} {probe.what}"
    if probe.outcome == "unreachable" and not anyone:
        return build_finding("error", at, what, exit_code=UNREACHABLE_EXIT)
    severity: Severity = "ok" if probe.outcome == "ok" else "warning"
    return build_finding(severity, at, what)
