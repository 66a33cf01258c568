"""The real fluent-logger package as a client, over both kinds of socket."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from fluent.asyncsender import FluentSender as AsyncSender
from fluent.handler import FluentHandler, FluentRecordFormatter
from fluent.sender import FluentSender

from shipper.listen_address import ListenAddress
from tests.shipper.sources.forward.forward_messages import parse
from tests.shipper.sources.forward.served import Served

Serve = Callable[..., Served]


def _where(served: Served) -> dict[str, Any]:
    """Host and port as fluent-logger wants them."""
    if served.server.address.startswith("unix://"):
        return {"host": served.server.address}
    host, port = served.tcp_address
    return {"host": host, "port": port}


@pytest.mark.parametrize("listen", [None, ListenAddress(host="127.0.0.1")], ids=str)
@pytest.mark.parametrize("nanos", [False, True])
def test_events_of_the_sender_arrive(
    serve: Serve,
    listen: ListenAddress | None,
    nanos: bool,  # noqa: FBT001 - pytest's way
) -> None:
    """Each once and in order, with its tag; times of seconds, and of nanoseconds."""
    served = serve(listen)
    sender = FluentSender("app", nanosecond_precision=nanos, **_where(served))
    for number in range(200):
        assert sender.emit("label" if number % 2 else None, {"message": f"{number}"})
    sender.close()
    served.wait_for(200)
    lines = parse(served.lines())
    assert [f"{number}" for number in range(200)] == [line["record"]["message"] for line in lines]
    assert ["app", "app.label"] * 100 == [line["tag"] for line in lines]
    assert nanos == any(not line["time"].endswith(".000000000Z") for line in lines)


@pytest.mark.parametrize("listen", [None, ListenAddress(host="127.0.0.1")], ids=str)
def test_events_of_the_asynchronous_sender_arrive(
    serve: Serve, listen: ListenAddress | None
) -> None:
    """It sends from a thread of its own."""
    served = serve(listen)
    sender = AsyncSender("app", **_where(served))
    for number in range(50):
        sender.emit(None, {"message": f"{number}"})
    sender.close()
    served.wait_for(50)
    assert [f"{number}" for number in range(50)] == served.messages()


def test_records_of_its_logging_handler_arrive(serve: Serve) -> None:
    """Applications that use it need change nothing."""
    served = serve()
    handler = FluentHandler("app", **_where(served))
    handler.setFormatter(FluentRecordFormatter({"level": "%(levelname)s"}))
    logger = logging.Logger("x")  # noqa: LOG001 - apart from every other test's
    logger.addHandler(handler)
    logger.warning("plain words")
    logger.info({"message": "a dictionary"})
    handler.close()
    served.wait_for(2)
    records = [line["record"] for line in parse(served.lines())]
    assert {"level": "WARNING", "message": "plain words"} == records[0]
    assert "a dictionary" == records[1]["message"]


def test_what_it_kept_while_the_server_was_away_arrives(serve: Serve) -> None:
    """It sends its backlog with the next event."""
    served = serve()
    sender = FluentSender("app", **_where(served))
    assert sender.emit(None, {"message": "before"})
    served.wait_for(1)
    served.close()
    assert not sender.emit(None, {"message": "while it was away"})
    again = serve()
    assert sender.emit(None, {"message": "after"})
    sender.close()
    again.wait_for(2)
    assert ["before", "while it was away", "after"] == again.messages()
