"""shipper.statistics: read = acked + pending + dropped + dead-lettered, whatever happens."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shipper.sources.acks import AckedPrefix
from shipper.statistics import (
    Counters,
    SourceStatistics,
    Statistics,
    add_counters,
    count_closed,
    count_source,
    format_status,
)

sizes = st.integers(0, 50)


def equation_holds(counters: Counters) -> bool:
    """Whether every byte that was read is in exactly one place."""
    parts = (
        counters.acked_bytes,
        counters.pending_bytes,
        counters.dropped_bytes,
        counters.dead_lettered_bytes,
    )
    return min(parts) >= 0 and counters.read_bytes == sum(parts)


@dataclass
class Part:
    """What a part of the model's source holds."""

    start: int
    end: int
    dropped: int
    dead_lettered: int


@dataclass
class Model:
    """A source as an observer knows it who sees every byte: the truth."""

    read: int = 0
    settled: list[Part] = field(default_factory=list)
    under_way: list[Part] = field(default_factory=list)

    def counters(self) -> Counters:
        """What became of each byte, added up the slow way."""
        dropped = sum(part.dropped for part in self.settled)
        dead = sum(part.dead_lettered for part in self.settled)
        return Counters(
            read_bytes=self.read,
            acked_bytes=sum(part.end - part.start for part in self.settled) - dropped - dead,
            pending_bytes=sum(part.end - part.start for part in self.under_way),
            dropped_bytes=dropped,
            dead_lettered_bytes=dead,
        )


class SourceLife(RuleBasedStateMachine):
    """A source that is read, answered for in any order, checkpointed, and killed."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.acks = AckedPrefix(0)
        self.saved = (0, 0, 0)

    def counters(self) -> Counters:
        """As a source of the shipper counts."""
        acks = self.acks
        return count_source(
            read_bytes=self.model.read,
            settled_bytes=acks.position + acks.beyond_bytes,
            dropped_bytes=acks.dropped + acks.beyond_dropped,
            dead_lettered_bytes=acks.dead_lettered + acks.beyond_dead_lettered,
        )

    @rule(stored=st.integers(1, 50), dropped=sizes, refused=sizes)
    def read(self, stored: int, dropped: int, refused: int) -> None:
        """A part is read; some of it a rule drops, some of it the centre is going to refuse."""
        end = self.model.read + stored + dropped + refused
        part = Part(start=self.model.read, end=end, dropped=dropped, dead_lettered=refused)
        self.model.under_way.append(part)
        self.model.read = end

    @precondition(lambda self: self.model.under_way)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """Any part that is on its way comes back."""
        number = data.draw(st.integers(0, len(self.model.under_way) - 1))
        part = self.model.under_way.pop(number)
        self.model.settled.append(part)
        self.acks.add(
            part.start,
            part.end,
            b"",
            dropped=part.dropped,
            dead_lettered=part.dead_lettered,
        )

    @rule()
    def save(self) -> None:
        """A checkpoint is written."""
        self.saved = (self.acks.position, self.acks.dropped, self.acks.dead_lettered)

    @rule()
    def kill(self) -> None:
        """Only the checkpoint is left; what was behind it is read, and judged, again."""
        position, dropped, dead_lettered = self.saved
        self.acks = AckedPrefix(position, dropped=dropped, dead_lettered=dead_lettered)
        self.model.read = position
        self.model.under_way = []
        self.model.settled = [part for part in self.model.settled if part.end <= position]

    @invariant()
    def every_byte_is_in_one_place(self) -> None:
        """The equation holds, and each number is the true one."""
        assert equation_holds(self.counters())
        assert self.model.counters() == self.counters()

    @invariant()
    def a_sum_keeps_the_equation(self) -> None:
        """A closed source's numbers added to a living one's."""
        closed = count_closed(acked_bytes=5, dropped_bytes=3, dead_lettered_bytes=2)
        total = add_counters((closed, self.counters()))
        assert equation_holds(total)
        assert 10 + self.model.read == total.read_bytes


SourceLife.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSourceLife = pytest.mark.filterwarnings("default")(SourceLife.TestCase)


@given(st.lists(st.tuples(sizes, sizes, sizes, sizes), max_size=8))
def test_sums_are_the_sums_of_each_column(rows: list[tuple[int, int, int, int]]) -> None:
    """Adding up loses and invents nothing."""
    counters = [
        count_source(
            read_bytes=acked + pending + dropped + dead,
            settled_bytes=acked + dropped + dead,
            dropped_bytes=dropped,
            dead_lettered_bytes=dead,
        )
        for acked, pending, dropped, dead in rows
    ]
    total = add_counters(counters)
    assert all(map(equation_holds, [*counters, total]))
    assert [sum(column) for column in zip(*rows, strict=True)] == (
        [
            total.acked_bytes,
            total.pending_bytes,
            total.dropped_bytes,
            total.dead_lettered_bytes,
        ]
        if rows
        else []
    )


def test_the_status_holds_every_member() -> None:
    """What a snapshot knows, the document says, each source with its own counters."""
    counters = Counters(read_bytes=3, acked_bytes=2, pending_bytes=1)
    statistics = Statistics(
        stream="s",
        run=1,
        pid=2,
        at="a",
        started_at="b",
        state="running",
        output="ok",
        last_answer_at="",
        last_error="",
        counters=counters,
        sources=(
            SourceStatistics(source=0, path="/a", size=4, read=3, acked=2, counters=counters),
        ),
        unreadable={},
    )
    document = json.loads(format_status(statistics))
    assert json.loads(json.dumps(asdict(statistics))) == {
        name: value for name, value in document.items() if name not in {"schema", "version"}
    }
