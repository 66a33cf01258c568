"""shipper.wakeup: one wait for descriptors, threads and signals."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.wakeup import Wakeup

LONG_SECONDS = 30.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A descriptor to wait for, and its other end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_ring_before_the_wait_is_heard() -> None:
    """And once: the next wait lasts."""
    wakeup = Wakeup()
    wakeup.ring()
    wakeup.ring()
    begun = time.monotonic()
    assert frozenset() == wakeup.wait(LONG_SECONDS)
    assert time.monotonic() - begun < LONG_SECONDS / 2
    assert frozenset() == wakeup.wait(0.0)


def test_another_thread_ends_the_wait() -> None:
    """It does not wait for the time."""
    wakeup = Wakeup()
    thread = threading.Timer(0.05, wakeup.ring)
    thread.start()
    begun = time.monotonic()
    wakeup.wait(LONG_SECONDS)
    assert time.monotonic() - begun < LONG_SECONDS / 2
    thread.join(LONG_SECONDS)


def test_a_signal_handler_ends_the_wait() -> None:
    """As SIGTERM has to."""
    wakeup = Wakeup()
    before = signal.signal(signal.SIGUSR1, lambda *_: wakeup.ring())
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        begun = time.monotonic()
        wakeup.wait(LONG_SECONDS)
        assert time.monotonic() - begun < LONG_SECONDS / 2
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_descriptors_are_told_apart_from_the_bell(pipe: tuple[int, int]) -> None:
    """What is ready is named; what was removed is not waited for."""
    reading, writing = pipe
    wakeup = Wakeup()
    wakeup.add(reading)
    assert frozenset() == wakeup.wait(0.0)
    os.write(writing, b"x")
    wakeup.ring()
    assert frozenset((reading,)) == wakeup.wait(LONG_SECONDS)
    wakeup.remove(reading)
    assert frozenset() == wakeup.wait(0.0)


def test_a_rest_is_ended_by_a_ring_alone(pipe: tuple[int, int]) -> None:
    """Who was woken just now by one line does not look at each of the next ones."""
    reading, writing = pipe
    wakeup = Wakeup()
    wakeup.add(reading)
    os.write(writing, b"x")
    assert not wakeup.rest(0.01)
    wakeup.ring()
    assert wakeup.rest(LONG_SECONDS)
    assert not wakeup.rest(0.0)


def test_ringing_never_blocks() -> None:
    """However long nobody listens."""
    wakeup = Wakeup()
    for _ in range(100_000):
        wakeup.ring()
    assert frozenset() == wakeup.wait(LONG_SECONDS)


@pytest.mark.slow
def test_descriptors_go_with_the_last_who_may_ring() -> None:
    """A thread that rings late must not write into another file."""
    open_before = _count_open()
    wakeup = Wakeup()
    ring = wakeup.ring
    del wakeup
    gc.collect()
    ring()
    assert open_before < _count_open()
    del ring
    gc.collect()
    assert open_before == _count_open()


def _count_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
