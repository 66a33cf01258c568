"""A record of `logging` under ECS's names, whatever the application put into it."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import msgpack
import pytest

from shipper.logging_events import build_event, created_nanos, tell_message


def _record(message: object = "a %s", *args: object, **extra: Any) -> logging.LogRecord:
    record = logging.getLogger("shop.cart").makeRecord(
        "shop.cart", logging.WARNING, "/srv/cart.py", 7, message, args, None, "buy", extra or None
    )
    record.process = 12
    return record


def _event(record: logging.LogRecord) -> dict[str, Any]:
    event = build_event(record, tell_message(record))
    assert event == msgpack.unpackb(msgpack.packb(event))
    assert event == json.loads(json.dumps(event, allow_nan=False))
    return event


def test_a_record_has_the_fields_of_ecs() -> None:
    """In the order that a reader of the raw line wants: message and level first."""
    assert {
        "message": "a word",
        "log.level": "warning",
        "log.logger": "shop.cart",
        "log.origin.file.name": "cart.py",
        "log.origin.file.line": 7,
        "log.origin.function": "buy",
        "process.pid": 12,
        "process.thread.name": "MainThread",
    } == _event(_record("a %s", "word"))


def test_an_exception_is_told_whole() -> None:
    """Type, message and trace, each in its field."""
    empty: dict[str, int] = {}
    try:
        empty["missing"]
    except KeyError:
        record = _record("x")
        record.exc_info = sys.exc_info()
    event = _event(record)
    assert ("builtins.KeyError", "'missing'") == (event["error.type"], event["error.message"])
    assert event["error.stack_trace"].endswith("KeyError: 'missing'\n")


def test_extra_fields_keep_their_names_and_become_what_json_has() -> None:
    """Numbers that are too large, values that are no numbers, bytes, sets, objects, loops."""

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no")

    loop: list[Any] = []
    loop.append(loop)
    event = _event(
        _record(
            "x",
            order=5,
            big=1 << 70,
            nothing=float("nan"),
            raw=b"\xff",
            some={1},
            nested={"a": [None, True, {2: "b"}]},
            odd=Odd(),
            loop=loop,
        )
    )
    assert 5 == event["order"]
    assert str(1 << 70) == event["big"]
    assert "nan" == event["nothing"]
    assert "\\xff" == event["raw"]
    assert [1] == event["some"]
    assert {"a": [None, True, {"2": "b"}]} == event["nested"]
    assert "can't be told" in event["odd"]


def test_an_extra_field_does_not_take_a_fields_place() -> None:
    """Both stay."""
    event = _event(_record("x", **{"log.level": "mine"}))
    assert ("warning", "mine") == (event["log.level"], event["extra.log.level"])


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [("%d", ("word",), "%d % ('word',)"), ("100%", (1,), "100% % (1,)"), ("\ud800", (), "\\ud800")],
)
def test_words_that_can_not_be_formatted_are_kept(
    message: str, args: tuple[Any, ...], expected: str
) -> None:
    """A mistake in a log call must not lose what it said."""
    assert expected == _event(_record(message, *args))["message"]


def test_the_time_is_the_records_own() -> None:
    """In nanoseconds where the record has them."""
    record = _record()
    record.created = 1_700_000_000.25
    assert 1_700_000_000_250_000_000 == created_nanos(record)
    record.__dict__["created_ns"] = 5
    assert 5 == created_nanos(record)
    assert "created_ns" not in _event(record)
