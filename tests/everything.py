"""A pytest plugin: the node's tests on one worker; what is left out is told; none is skipped.

It also sums the SIGKILLs of real shippers over all tests and workers, and says them at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

# A time limit per example would make a busy machine a failing one.
settings.register_profile("afterimage", deadline=None)
settings.register_profile("fast", deadline=None, max_examples=25)
settings.load_profile("afterimage")

ALL: Final = os.environ.get("AFTERIMAGE_TEST_ALL") == "1"
LEAST_KILLS: Final = int(os.environ.get("AFTERIMAGE_LEAST_KILLS") or 0)
"""How many shippers a whole run has to kill; `make test ALL=1` says how many."""
_NODE_FIXTURES: Final = frozenset(("opensearch_url", "opensearch_store_url"))

_NEED_PROGRAMS: Final = {"test_fluent_bit.py": "fluent-bit"}
"""Tests against programs that Debian does not have: left out, and said so, where one is missing."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what needs a program that is not there; nobody can install it for them."""
    program = _NEED_PROGRAMS.get(collection_path.name)
    return True if program and shutil.which(program) is None else None


def pytest_configure() -> None:
    """A shell starts what is in the background with SIGINT ignored, and children inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """Say what was left out."""
    return [
        f"left out: {file}, since there is no {program} on the PATH"
        for file, program in _NEED_PROGRAMS.items()
        if shutil.which(program) is None
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of the one OpenSearch node to one worker: they share its indices.

    Starting it takes a quarter of a minute: they are slow, whatever they are marked with.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if item.get_closest_marker("opensearch") or not _NODE_FIXTURES.isdisjoint(fixtures):
            item.add_marker(pytest.mark.xdist_group("opensearch"))
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under `ALL=1` a test that can't run here has failed, and says why it could not."""
    report = yield
    if ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"ALL=1 runs everything, and this was skipped: {report.longrepr}"
    return report


def count_kills(reports: Iterable[pytest.TestReport]) -> int:
    """How many shippers were killed: each test says its own by `record_property("kills", …)`."""
    return sum(
        int(str(value))
        for report in reports
        if report.when == "teardown"  # has what was said in a fixture's end, too
        for name, value in report.user_properties
        if name == "kills"
    )


def _count_kills(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return 0
    return count_kills(
        report
        for reports in reporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Too few kills are a failure: a test of them was lost, or kills nobody any more."""
    is_worker = hasattr(session.config, "workerinput")
    if not is_worker and not session.exitstatus and _count_kills(session.config) < LEAST_KILLS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many shippers were killed."""
    kills = _count_kills(config)
    if kills or LEAST_KILLS:
        wanted = f" (at least {LEAST_KILLS:,} are wanted)" if LEAST_KILLS else ""
        terminalreporter.write_line(f"{kills:,} shippers were killed by SIGKILL{wanted}")
