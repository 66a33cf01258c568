"""Rules of one source: records and tiles for what is dropped tile what came in."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.config import DropConfig, MaskConfig, RateConfig
from shipper.wire.rules import make_transform
from shipper.wire.transforms import Drop, Transform

PATH = "/var/log/shop/app.log"


def transform_of(
    *,
    masks: tuple[MaskConfig, ...] = (),
    drops: tuple[DropConfig, ...] = (),
    rates: tuple[RateConfig, ...] = (),
    kind: str = "file",
) -> Transform:
    """What these rules make of a source."""
    made = make_transform(masks, drops, rates, PATH, kind=kind)
    assert made is not None
    return made


def test_records_that_follow_each_other_are_dropped_as_one_tile() -> None:
    """A tile says from where to where, how many, and why."""
    drops = (
        DropConfig(reason="debug", pattern=" DEBUG "),
        DropConfig(reason="probe", pattern="^GET /h"),
    )
    records = [
        b"a DEBUG 1\n",
        b"a DEBUG 2\n",
        b"GET /health DEBUG \n",
        b"GET /h\n",
        b"kept\n",
        b" DEBUG \n",
    ]
    made = transform_of(drops=drops).apply(records, 100, 0.0)
    assert ([b"kept\n"], [146]) == (list(made.records), list(made.offsets))
    assert [
        Drop(start=100, end=139, count=3, reason="debug"),
        Drop(start=139, end=146, count=1, reason="probe"),
        Drop(start=151, end=159, count=1, reason="debug"),
    ] == list(made.drops)


def test_a_rate_lets_a_burst_go_and_then_so_many_a_second() -> None:
    """Filled with time, never over its brim, never by a clock that goes back."""
    rules = transform_of(rates=(RateConfig(reason="rate", records_per_second=10, burst=3),))
    records = [b"x\n"] * 5
    kept = [len(rules.apply(records, 0, now).records) for now in (50.0, 50.0, 50.2, 49.0, 60.0)]
    assert [3, 0, 2, 0, 3] == kept
    made = rules.apply(records, 10, 60.0)
    assert [Drop(start=10, end=20, count=5, reason="rate")] == list(made.drops)


def test_a_rate_without_a_burst_lets_one_seconds_records_go_at_once() -> None:
    """The default: what a second may have."""
    rules = transform_of(rates=(RateConfig(reason="rate", records_per_second=4),))
    assert 4 == len(rules.apply([b"x\n"] * 9, 0, 0.0).records)


def test_what_is_dropped_takes_no_token_and_the_first_rule_says_why() -> None:
    """Drop patterns come before rates."""
    rules = transform_of(
        drops=(DropConfig(reason="debug", pattern="DEBUG"),),
        rates=(RateConfig(reason="rate", records_per_second=1),),
    )
    made = rules.apply([b"DEBUG\n", b"a\n", b"DEBUG\n", b"b\n"], 0, 0.0)
    assert [b"a\n"] == list(made.records)
    assert ["debug", "debug", "rate"] == [drop.reason for drop in made.drops]


def test_a_record_is_judged_before_it_is_masked() -> None:
    """A drop pattern sees what the application wrote; a kept record has its ranges by its place."""
    rules = transform_of(
        masks=(MaskConfig(builtin=("password",)), MaskConfig(patterns=("secret",))),
        drops=(DropConfig(reason="test", pattern="password=test"),),
    )
    made = rules.apply([b"password=test\n", b"plain\n", b"password=real secret\n"], 0, 0.0)
    assert [b"plain\n", b"password=**** ******\n"] == list(made.records)
    assert {1: [(9, 4), (14, 6)]} == made.masked


def test_rules_of_containers_see_the_words_alone() -> None:
    """`^` is where the application's line begins."""
    line = b'{"log":"DEBUG x\\n","stream":"stdout","time":"2026-01-03T14:05:12.1Z"}\n'
    rules = (DropConfig(reason="debug", pattern="^DEBUG x$"),)
    assert 1 == len(transform_of(drops=rules, kind="docker").apply([line], 0, 0.0).drops)
    assert 0 == len(transform_of(drops=rules).apply([line], 0, 0.0).drops)


@pytest.mark.parametrize(
    ("glob", "applies"),
    [
        ("/var/log/**/*.log", True),
        ("/var/log/shop/*", True),
        ("/var/log/**", True),
        ("/var/log/*.log", False),
        ("/var/log/other/*", False),
    ],
)
def test_rules_apply_to_the_sources_that_their_globs_name(glob: str, *, applies: bool) -> None:
    """None: no rule applies, and the source stays on its fast way."""
    rule = DropConfig(reason="x", pattern="y", paths=("/nowhere", glob))
    assert applies is (make_transform((), (rule,), (), PATH) is not None)


def test_no_rule_is_no_transform() -> None:
    """The hot path has nothing to ask."""
    assert None is make_transform((), (), (), PATH)


@given(
    records=st.lists(
        st.sampled_from(
            [b"DEBUG a\n", b"b\n", b"password=x y\n", b"c", b"\xff\n", b"key-1 DEBUG\n"]
        ),
        max_size=20,
    ),
    offset=st.integers(0, 1 << 40),
    per_second=st.integers(1, 5),
    seconds=st.lists(st.floats(0, 10), max_size=4),
)
def test_records_and_tiles_tile_what_came_in(
    records: list[bytes], offset: int, per_second: int, seconds: list[float]
) -> None:
    """No byte is left out, moved or told twice, whatever the rules and the clock say."""
    rules = transform_of(
        masks=(MaskConfig(builtin=("password",), patterns=(r"key-(\d)",)),),
        drops=(DropConfig(reason="debug", pattern="DEBUG$"),),
        rates=(RateConfig(reason="rate", records_per_second=per_second),),
    )
    for now in (0.0, *seconds):
        made = rules.apply(records, offset, now)
        tiles = [
            *(
                (at, at + len(record), 1)
                for at, record in zip(made.offsets, made.records, strict=True)
            ),
            *((drop.start, drop.end, drop.count) for drop in made.drops),
        ]
        tiles.sort()
        ends = [offset, *(end for _, end, _ in tiles)]
        assert [start for start, _, _ in tiles] == ends[:-1]
        assert offset + sum(map(len, records)) == ends[-1]
        assert len(records) == sum(count for _, _, count in tiles)
        places = dict(zip(accumulate(map(len, records), initial=offset), records, strict=False))
        for place, (at, record) in enumerate(zip(made.offsets, made.records, strict=True)):
            assert (record == places[at]) is (place not in made.masked)
            assert len(record) == len(places[at])
