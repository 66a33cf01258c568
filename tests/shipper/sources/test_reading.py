"""shipper.sources.reading: a record's moment is when its bytes were first seen."""

from __future__ import annotations

from shipper.sources.part import LogPart
from shipper.sources.watch import PARTIAL_IDLE_SECONDS
from shipper.wire.times import NANOS_PER_SECOND
from tests.shipper.sources.follower import NOON, Follower


def moments(parts: list[LogPart]) -> list[tuple[bytes, float]]:
    """What each part holds, and when that was read: in seconds after the test's begin."""
    return [(part.records.data, (part.read_at_nanos - NOON) / NANOS_PER_SECOND) for part in parts]


def test_a_line_that_was_cut_has_the_moment_when_it_was_seen(follower: Follower) -> None:
    """Not the one when the shipper gave up waiting for its end."""
    follower.write("a.log", b"one\nlast words")
    assert [(b"one\n", 1.0)] == moments(follower.step())
    assert [] == follower.step()
    assert [(b"last words", 1.0)] == moments(follower.step(PARTIAL_IDLE_SECONDS))


def test_a_line_that_grew_has_the_moment_of_its_first_bytes(follower: Follower) -> None:
    """What came after it in one write has its own."""
    follower.write("a.log", b"he")
    assert [] == follower.step()
    follower.write("a.log", b"llo")
    assert [] == follower.step()
    follower.write("a.log", b" world\nnext\nthird\n")
    assert [(b"hello world\n", 1.0), (b"next\nthird\n", 3.0)] == moments(follower.step())
    follower.write("a.log", b"fourth\n")
    assert [(b"fourth\n", 4.0)] == moments(follower.step())


def test_an_end_without_a_rest_keeps_no_moment(follower: Follower) -> None:
    """A read that found nothing says nothing of what comes there hours later."""
    follower.write("a.log", b"one\n")
    follower.step()
    source = follower.tail.find(0)
    assert source is not None
    follower.write("a.log", b"")
    (follower.logs / "a.log").touch()  # its bytes are compared, and none is new
    assert [] == follower.step(3600)
    assert source.waiting is None
    follower.write("a.log", b"two\n")
    assert [(b"two\n", 7201.0)] == moments(follower.step(3600))


def test_a_short_wait_makes_no_part_of_its_own(follower: Follower) -> None:
    """A busy file's lines are always cut by a read: its parts stay large."""
    follower.write("a.log", b"he")
    assert [] == follower.step(0.25)
    follower.write("a.log", b"llo\nnext\n")
    assert [(b"hello\nnext\n", 0.25)] == moments(follower.step(0.25))


def test_what_its_line_has_before_a_cut_is_known_and_no_more(follower: Follower) -> None:
    """A mask needs it; what a line begins with needs nothing."""
    follower.write("a.log", b"first\n" + b"x" * 100 + b" token")
    follower.step()
    follower.step(PARTIAL_IDLE_SECONDS)
    source = follower.tail.find(0)
    assert source is not None
    assert source.offset == 112
    source.open()
    assert b"x" * 94 + b" token" == source.read_before(100)
    assert b"first\n" + b"x" * 100 + b" token" == source.read_before(1 << 20)
    follower.write("a.log", b" end\n")
    follower.step()
    assert b"" == source.read_before(100)
