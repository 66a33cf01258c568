"""How near to the end something was said: causes stand close to the last word.

Pure: times are the wire's 30-character texts.
"""

from __future__ import annotations

from typing import Final

from forensics.findings.finding import Observed
from shipper.wire.times import NANOS_PER_SECOND, parse_time

NEAR_SECONDS: Final = 300
"""Evidence within this time of the last word counts as said at the end."""


SILENT_SECONDS: Final = 300
"""A living instance that gave no sign for this long counts as silent."""


def is_alive(observed: Observed) -> bool:
    """Whether signs of life still arrive: what was found is found so far, and ended nothing."""
    instance = observed.instance
    if observed.ended or instance.closed or not instance.last_sign_at:
        return False
    return seconds_between(instance.last_sign_at, observed.now) <= SILENT_SECONDS


def last_time(observed: Observed) -> str:
    """The last record's time, or the last word's, or empty."""
    if observed.records:
        return observed.records[-1].timestamp
    return observed.instance.last_word_at


def is_near_the_end(at: str, observed: Observed) -> bool:
    """Whether `at` lies within `NEAR_SECONDS` of the last word, or after it."""
    last = last_time(observed)
    return seconds_between(at, last) <= NEAR_SECONDS if at and last else True


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one time to another; 0 where either is unknown."""
    if not earlier or not later:
        return 0.0
    return (parse_time(later) - parse_time(earlier)) / NANOS_PER_SECOND
