"""Complaints: little is said, however much there is to complain of."""

from __future__ import annotations

from shipper.sources.forward.complaints import Complaints


def test_each_kind_is_told_at_once_and_then_by_the_minute() -> None:
    """With how many more there were, and an example; what is after the colon makes no kind."""
    complaints = Complaints()
    assert ["bad: 1", "other"] == complaints.note(["bad: 1", "bad: 2", "other"], 0.0)
    assert [] == complaints.note(["bad: 3"], 59.0)
    assert [] == complaints.tell_due(59.0)
    assert ["2 more in the last minute: bad: 3"] == complaints.tell_due(60.0)
    assert [] == complaints.note(["bad: 4"], 61.0)
    assert ["other"] == complaints.note(["other"], 61.0)
    assert ["1 more in the last minute: bad: 4"] == complaints.tell_due(120.0)
    assert [] == complaints.tell_due(180.0)
    assert ["bad: 5"] == complaints.note(["bad: 5"], 180.0)


def test_many_kinds_are_one() -> None:
    """A client that finds new ways to be wrong finds no new lines."""
    complaints = Complaints()
    told = complaints.note([f"wrong in way {number}" for number in range(1000)], 0.0)
    assert 33 == len(told)
    assert 33 >= len(complaints.tell_due(60.0))
