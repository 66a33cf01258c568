"""A pytest plugin: a run ends by listing what it left out; under `ALL=1` nothing may be."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence

import pytest

ALL = os.environ.get("AFTERIMAGE_TEST_ALL") == "1"

_left_out: list[pytest.Item] = []


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Remember what a marker expression took away."""
    _left_out.extend(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under `ALL=1` a test that can't run here has failed, and says why it could not."""
    report = yield
    if ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"ALL=1 runs everything, and this was skipped: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The list; of tests that are only slow, their number."""
    if ALL:
        terminalreporter.write_line("ALL=1: nothing was left out")
        return
    only_all = sorted(item.nodeid for item in _left_out if item.get_closest_marker("everything"))
    slow = len(_left_out) - len(only_all)
    if not only_all:
        return
    terminalreporter.section("left out: only make test ALL=1 runs these")
    for nodeid in only_all:
        terminalreporter.write_line(nodeid)
    if slow:
        terminalreporter.write_line(f"and {slow} slow ones that make test runs")
