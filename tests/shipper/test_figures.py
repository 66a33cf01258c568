"""shipper.figures: what a run counts, and when a shipper is not healthy any more."""

from __future__ import annotations

from dataclasses import fields

from shipper.figures import Figures, add_forward
from shipper.statistics import DeliveryStatistics, ForwardStatistics, GapStatistics


def test_a_centre_that_takes_nothing_is_told_once_and_since_when() -> None:
    """The first failure, and one of another kind, is news; `since` is the first one's time."""
    figures = Figures()
    assert figures.note_failure("HTTP 503: busy", at="10:00", now=100.0)
    assert not figures.note_failure("HTTP 503: still busy", at="10:05", now=400.0)
    assert figures.note_failure("refused", at="10:06", now=460.0)
    assert ("retrying", "10:00", "refused", "10:06") == (
        figures.output,
        figures.failing_since,
        figures.last_error,
        figures.last_error_at,
    )
    assert figures.note_answer(at="10:07")
    assert not figures.note_answer(at="10:08")
    assert ("ok", "", "10:08") == (figures.output, figures.failing_since, figures.last_answer_at)


def test_health_ends_five_minutes_after_the_first_failure() -> None:
    """And is back with the first answer."""
    figures = Figures()
    assert "" == figures.health_problem(10_000.0)
    figures.note_failure("refused", at="", now=100.0)
    figures.note_failure("HTTP 503", at="", now=399.0)
    assert "" == figures.health_problem(399.0)
    assert "the centre has taken nothing for 300 s: HTTP 503" == figures.health_problem(400.0)
    figures.note_answer(at="")
    assert "" == figures.health_problem(1000.0)


def test_requests_are_counted_with_their_bytes() -> None:
    """Good and bad ones."""
    figures = Figures()
    figures.note_answer(at="", body_bytes=10)
    figures.note_failure("x", at="", now=0.0, body_bytes=5)
    assert DeliveryStatistics(requests=2, failed_requests=1, body_bytes=15) == figures.delivery


def test_truncations_are_counted_apart() -> None:
    """The race of copytruncate is no loss of ours, and is not hidden among others either."""
    figures = Figures()
    figures.note_gap(start=10, end=30, cause="truncated")
    figures.note_gap(start=0, end=0, cause="truncated")
    figures.note_gap(start=0, end=5, cause="vanished")
    figures.note_gap(start=7, end=8, cause="replaced")
    assert (
        GapStatistics(gaps=4, known_bytes=26, truncated_gaps=2, truncated_bytes_known=20)
        == figures.gaps
    )


def test_forward_servers_are_added_up() -> None:
    """Each member is a sum."""
    names = [one.name for one in fields(ForwardStatistics)]
    servers = [
        ForwardStatistics(**{name: place << shift for place, name in enumerate(names, 1)})
        for shift in (0, 8)
    ]
    total = {name: place + (place << 8) for place, name in enumerate(names, 1)}
    assert ForwardStatistics(**total) == add_forward(servers)
    assert add_forward([]) is None
