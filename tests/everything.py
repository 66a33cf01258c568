"""A pytest plugin: the node's tests on one worker; what is left out is told; none is skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

# A time limit per example would make a busy machine a failing one.
settings.register_profile("afterimage", deadline=None)
settings.load_profile("afterimage")

ALL: Final = os.environ.get("AFTERIMAGE_TEST_ALL") == "1"
_NODE_FIXTURES: Final = frozenset(("opensearch_url", "opensearch_store_url"))

_NEED_PROGRAMS: Final = {"test_fluent_bit.py": "fluent-bit"}
"""Tests against programs that Debian does not have: left out, and said so, where one is missing."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what needs a program that is not there; nobody can install it for them."""
    program = _NEED_PROGRAMS.get(collection_path.name)
    return True if program and shutil.which(program) is None else None


def pytest_report_header() -> list[str]:
    """Say what was left out."""
    return [
        f"left out: {file}, since there is no {program} on the PATH"
        for file, program in _NEED_PROGRAMS.items()
        if shutil.which(program) is None
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of the one OpenSearch node to one worker: they share its indices."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if item.get_closest_marker("opensearch") or not _NODE_FIXTURES.isdisjoint(fixtures):
            item.add_marker(pytest.mark.xdist_group("opensearch"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under `ALL=1` a test that can't run here has failed, and says why it could not."""
    report = yield
    if ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"ALL=1 runs everything, and this was skipped: {report.longrepr}"
    return report
