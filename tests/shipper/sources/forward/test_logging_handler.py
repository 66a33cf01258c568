"""The logging handler against the real server: once, bounded, and through forks and ends."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shipper import logging_handler
from shipper.listen_address import ListenAddress
from shipper.logging_handler import ForwardHandler
from tests.faults.bulk_server import wait_until
from tests.shipper.sources.forward.forward_messages import parse
from tests.shipper.sources.forward.served import Served

Serve = Callable[..., Served]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of its own; its handlers are closed."""
    made = logging.Logger("app")  # noqa: LOG001 - apart from every other test's
    yield made
    for handler in made.handlers:
        handler.close()


def _add(logger: logging.Logger, address: str, **options: Any) -> ForwardHandler:
    handler = ForwardHandler("app", address, **options)
    logger.addHandler(handler)
    return handler


@pytest.mark.parametrize("listen", [None, ListenAddress(host="127.0.0.1")], ids=str)
def test_records_arrive_in_order_with_their_times(
    serve: Serve, logger: logging.Logger, listen: ListenAddress | None
) -> None:
    """Over both kinds of socket, many in a chunk."""
    served = serve(listen)
    handler = _add(logger, served.server.address)
    before = time.time_ns()
    for number in range(1000):
        logger.info("line %d", number, extra={"order": number})
    handler.flush()
    assert [f"line {number}" for number in range(1000)] == served.messages()
    (first, *_) = parse(served.lines())
    assert "app" == first["tag"]
    assert {"log.level": "info", "order": 0}.items() <= first["record"].items()
    assert first["time"] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before // 10**9))
    assert 0 == handler.dropped


def test_a_formatter_decides_the_message(serve: Serve, logger: logging.Logger) -> None:
    """An application that formats its words keeps its format."""
    served = serve()
    handler = _add(logger, served.server.address)
    handler.setFormatter(logging.Formatter("[%(name)s] %(message)s"))
    logger.warning("hello")
    handler.flush()
    assert ["[app] hello"] == served.messages()


def test_the_format_that_basic_config_gives_is_left_out(
    serve: Serve, logger: logging.Logger
) -> None:
    """Level and logger are fields: a search for a message must not have to know about them."""
    served = serve()
    handler = _add(logger, served.server.address)
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logger.warning("hello")
    handler.setFormatter(logging.Formatter())
    logger.error("again", exc_info=ValueError("broken"))
    handler.flush()
    assert ["hello", "again"] == served.messages()
    (_, second) = parse(served.lines())
    assert "ValueError: broken" in second["record"]["error.stack_trace"]


def _told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The handler's lines on stderr; the server speaks there, too."""
    lines = capsys.readouterr().err.splitlines(keepends=True)
    return [line for line in lines if line.startswith("ForwardHandler")]


def test_a_listener_that_wants_a_key_is_named_with_the_way_out(
    serve: Serve, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, once, and at the end with how many records it has not got."""
    served = serve(ListenAddress(host="127.0.0.1"), shared_key="secret")
    address = served.server.address
    handler = _add(logger, address, exit_seconds=0.5)
    logger.info("one")
    logger.info("two")
    handler.flush()
    remedy = (
        "it wants a shared key, which this handler can't prove: use a unix socket, "
        "or a listener without a key"
    )
    at_once = f"ForwardHandler: nothing can be handed over to {address}: {remedy}\n"
    assert [at_once] == _told(capsys)
    handler.close()
    (told,) = _told(capsys)
    assert told.startswith("ForwardHandler: 2 log records (")
    assert told.endswith(f" bytes) were not handed over to {address}: {remedy}\n")


def test_who_is_not_there_is_named_with_the_reason(
    tmp_path: Path, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records are counted, the address is the configured one."""
    address = f"unix://{tmp_path}/nobody.sock"
    handler = _add(logger, address, exit_seconds=0.3)
    for number in range(3):
        logger.info("%d", number)
    handler.flush()
    handler.close()
    told = capsys.readouterr().err
    assert told.startswith("ForwardHandler: 3 log records (")
    assert f"were not handed over to {address}: No such file or directory; does the" in told


def test_records_wait_for_a_shipper_that_is_not_there_yet(
    serve: Serve, logger: logging.Logger
) -> None:
    """The application never waits for it."""
    served = serve()
    address = served.server.address
    served.close()
    _add(logger, address)
    began = time.monotonic()
    for number in range(100):
        logger.info("early %d", number)
    assert 1 > time.monotonic() - began
    again = serve()
    again.wait_for(100)
    assert [f"early {number}" for number in range(100)] == again.messages()


def test_a_restart_of_the_shipper_neither_loses_nor_repeats(
    serve: Serve, logger: logging.Logger
) -> None:
    """While records keep coming."""
    served = serve()
    handler = _add(logger, served.server.address)
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not stop.is_set():
            written.append(f"{len(written)}")
            logger.info(written[-1])
            stop.wait(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(4):
        served.wait_for(20)
        served.close()
        served = serve()
    stop.set()
    writer.join(10)
    handler.flush()
    assert written == served.messages()


def test_a_lost_acknowledgement_repeats_nothing(
    serve: Serve, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunk comes again under its name, and the server knows it."""
    served = serve()
    lost = []
    owe = "shipper.sources.forward.connection.Connection.owe"

    def lose(connection: Any, _reply: bytes) -> None:
        lost.append(connection)
        connection.is_ended = connection.is_lost = True

    with monkeypatch.context() as patched:
        patched.setattr(owe, lose)
        handler = _add(logger, served.server.address)
        logger.info("once")
        wait_until(lambda: len(lost) >= 2)
    handler.flush()
    assert ["once"] == served.messages()
    assert 1 <= served.server.statistics().duplicates


def test_what_does_not_fit_is_dropped_oldest_first_and_told(
    serve: Serve, logger: logging.Logger
) -> None:
    """The last words stay; a record says how many are missing, where they are missing."""
    served = serve()
    address = served.server.address
    served.close()
    handler = _add(logger, address, queue_bytes=20_000)
    for number in range(1000):
        logger.info("%d", number)
    assert 800 < handler.dropped < 1000
    again = serve()
    handler.flush()
    records = [line["record"] for line in parse(again.lines())]
    told = [record for record in records if "event.dropped" in record]
    kept = [int(record["message"]) for record in records if "event.dropped" not in record]
    assert handler.dropped == sum(record["event.dropped"] for record in told)
    assert 1000 == len(kept) + handler.dropped
    assert 999 == kept[-1]
    assert sorted(kept) == kept


@pytest.mark.slow
def test_a_shipper_that_takes_and_never_answers_blocks_nobody(
    tmp_path: Path, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a log call, nor the program's end for longer than was said."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.bind(path)
        deaf.listen()
        handler = _add(logger, f"unix://{path}", exit_seconds=0.3)
        began = time.monotonic()
        for number in range(100):
            logger.info("%d", number)
        handler.flush()
        handler.close()
        assert 3 > time.monotonic() - began
    assert "were not handed over" in capsys.readouterr().err


def test_a_record_that_can_not_be_told_is_no_exception(
    serve: Serve, logger: logging.Logger
) -> None:
    """The application goes on; what can be told of it is."""

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no")

    served = serve()
    handler = _add(logger, served.server.address)
    logger.info("%s", Odd())
    logger.info(Odd())
    handler.flush()
    assert 2 == len(served.messages())


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[4],
    )


@pytest.mark.slow
@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "raise RuntimeError('x')"])
def test_a_program_that_ends_hands_its_last_words_over(serve: Serve, end: str) -> None:
    """However it ends, short of being killed; also what is logged in its last moment."""
    served = serve()
    done = _run(
        f"""
import atexit, logging, sys
from shipper.logging_handler import ForwardHandler
atexit.register(lambda: logging.error("at the very end"))
logging.getLogger().addHandler(ForwardHandler("app", sys.argv[1]))
for number in range(500):
    logging.warning("%d", number)
atexit.register(lambda: logging.error("nearly at the end"))
{end}
""",
        served.server.address,
    )
    assert "ForwardHandler" not in done.stderr
    expected = [*(f"{number}" for number in range(500)), "nearly at the end", "at the very end"]
    assert expected == served.messages()


@pytest.mark.slow
def test_a_forked_child_logs_for_itself_and_repeats_nothing_of_its_parent(serve: Serve) -> None:
    """While the parent's thread is at it; the parent's connection goes on."""
    served = serve()
    done = _run(
        """
import logging, os, sys
from shipper.logging_handler import ForwardHandler
logging.getLogger().addHandler(ForwardHandler("app", sys.argv[1]))
for round in range(10):
    for number in range(50):
        logging.warning("parent %d %d", round, number)
    child = os.fork()
    if not child:
        for number in range(50):
            logging.warning("child %d %d", round, number)
        logging.shutdown()
        os._exit(0)
    os.waitpid(child, 0)
""",
        served.server.address,
    )
    assert (0, "") == (done.returncode, done.stderr)
    expected = [
        f"{who} {turn} {number}"
        for who in ("parent", "child")
        for turn in range(10)
        for number in range(50)
    ]
    assert sorted(expected) == sorted(served.messages())


def test_without_the_extra_it_names_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base install has no dependency."""
    monkeypatch.setitem(sys.modules, "fluent.sender", None)
    with pytest.raises(ImportError, match=r"afterimage-forensics\[logging\]"):
        ForwardHandler("app")


@pytest.mark.parametrize(
    "address",
    ["x", "unix://relative", "unix:///x/", "tcp://host", "tcp://:1", "tcp://a:0", "udp://a:1"],
)
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    """Not when the first record is lost."""
    with pytest.raises(ValueError, match=r"ForwardHandler's address (must|names)"):
        ForwardHandler("app", address)


def test_an_address_that_it_can_not_reach_is_refused_at_once() -> None:
    """fluent-logger has no IPv6: every record would wait for ever."""
    with pytest.raises(
        ValueError, match=r"IPv4 alone; let the shipper listen on tcp://127\.0\.0\.1"
    ):
        ForwardHandler("app", "tcp://[::1]:24224")


def test_a_handler_that_nobody_logged_to_closes_at_once() -> None:
    """No thread, no connection."""
    handler = ForwardHandler("app", f"unix:///nowhere/{os.getpid()}")
    before = threading.active_count()
    handler.flush()
    handler.close()
    assert before == threading.active_count()
    assert handler not in logging_handler._HANDLERS
