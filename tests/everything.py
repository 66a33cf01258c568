"""A pytest plugin: the node's tests stay on one worker, and under `ALL=1` nothing is skipped."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Final

import pytest
from hypothesis import settings

# A time limit per example would make a busy machine a failing one.
settings.register_profile("afterimage", deadline=None)
settings.load_profile("afterimage")

ALL: Final = os.environ.get("AFTERIMAGE_TEST_ALL") == "1"
_NODE_FIXTURES: Final = frozenset(("opensearch_url", "opensearch_store_url"))


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
