"""tests.everything: how many shippers all tests together killed."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.everything import count_kills


def report(when: Literal["setup", "call", "teardown"], kills: list[int]) -> pytest.TestReport:
    """What pytest keeps of one phase of a test."""
    return pytest.TestReport(
        nodeid="test.py::test",
        location=("test.py", 1, "test"),
        keywords={},
        outcome="passed",
        longrepr=None,
        when=when,
        user_properties=[("kills", count) for count in kills] + [("other", 7)],
    )


def test_every_kill_is_counted_once() -> None:
    """A test's phases each have what it said so far: the last one has all of it."""
    reports = [report("setup", []), report("call", [3]), report("teardown", [3, 4])]
    assert 7 == count_kills(reports)
    assert 14 == count_kills(reports * 2)
    assert 0 == count_kills([])
