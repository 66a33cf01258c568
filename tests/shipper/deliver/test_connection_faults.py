"""shipper.deliver.http against servers that hang, drip, repeat themselves or are elsewhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from shipper.config import OutputConfig
from shipper.deliver import addresses
from shipper.deliver.addresses import Route, parse_address
from shipper.deliver.http import HttpTransport
from shipper.ports import NoAnswerError
from tests.faults.bulk_server import BulkServer, wait_until

ANSWER = b'{"took":1,"errors":false,"items":[]}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
ITEM = b'{"create":{"_index":"afterimage-logs-x","_id":"1"}}\n{"message":"m"}\n'
TIMEOUT_SECONDS = 0.5


@contextmanager
def raw_server(serve: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Iterator[str]:
    """A listener whose connections are each served by a function; its URL."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        listener.settimeout(0.05)
        is_over = threading.Event()

        def serve_one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(5)
                serve(connection)

        def accept() -> None:
            threads = []
            while not is_over.is_set():
                with suppress(TimeoutError):
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=serve_one, args=(connection,)))
                    threads[-1].start()
            for one in threads:
                one.join(10)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            at = f"[{host}]" if ":" in host else host
            yield f"http://{at}:{listener.getsockname()[1]}"
        finally:
            is_over.set()
            thread.join(10)


def read_request(connection: socket.socket) -> bytes:
    """One whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(1 << 16)
        if not piece:
            raise ConnectionError
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < size:
        body += connection.recv(1 << 16)
    return head + b"\r\n\r\n" + body


def open_transport(*urls: str, timeout_seconds: float = TIMEOUT_SECONDS) -> HttpTransport:
    """A transport of little patience."""
    return HttpTransport(
        OutputConfig(urls=urls),
        connect_timeout_seconds=timeout_seconds,
        answer_timeout_seconds=timeout_seconds,
    )


def never_read(connection: socket.socket) -> None:
    """Accepts, and takes nothing."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    time.sleep(4 * TIMEOUT_SECONDS)


def drip_head(connection: socket.socket) -> None:
    """A byte of the answer's head at a time, each well within a timeout of its own."""
    read_request(connection)
    for byte in OK[:-1]:
        connection.sendall(bytes((byte,)))
        time.sleep(0.05)


def drip_read(connection: socket.socket) -> None:
    """Takes the body so slowly that each send makes progress and the whole never ends."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(200):
        if not connection.recv(1024):
            return
        time.sleep(0.02)


_SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "serve",
    [pytest.param(never_read, marks=_SLOW), drip_head, pytest.param(drip_read, marks=_SLOW)],
)
def test_a_request_ends_by_its_deadline(serve: Callable[[socket.socket], None]) -> None:
    """Whatever the other side does: the time is for all of it, not for each packet."""
    with raw_server(serve) as url:
        transport = open_transport(url)
        began = time.monotonic()
        with pytest.raises(NoAnswerError) as caught:
            transport.send([b"x" * (64 << 20)] if serve is not drip_head else [b"x"])
        transport.close()
        assert time.monotonic() - began < TIMEOUT_SECONDS + 2.5
        assert (True, False) == (caught.value.is_timeout, caught.value.is_lost)


def test_a_connection_that_is_cut_under_way_is_told_from_one_that_is_refused() -> None:
    """Only the former may be the body's fault."""
    with raw_server(lambda connection: connection.close()) as url:
        transport = open_transport(url)
        with pytest.raises(NoAnswerError) as lost:
            transport.send([b"x"])
    with pytest.raises(NoAnswerError) as refused:
        transport.send([b"x"])
    assert (True, False) == (lost.value.is_lost, lost.value.is_timeout)
    assert (False, False) == (refused.value.is_lost, refused.value.is_timeout)


def test_a_body_of_many_pieces_arrives_as_it_is() -> None:
    """More pieces than one system call takes, and empty ones among them."""
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    pieces = [b"%d " % number * (number % 7) for number in range(3000)] + [b"y" * (3 << 20)]
    with raw_server(serve) as url:
        transport = open_transport(url, timeout_seconds=10)
        assert 200 == transport.send(pieces).status
        transport.close()
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert b"".join(pieces) == body
    assert b"POST /_bulk?filter_path=" == head[:24]
    assert f"Host: {url.removeprefix('http://')}".encode() in head


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next() -> None:
    """A proxy that repeats itself, at once or later, would have a record called stored."""
    requests = []

    def serve(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        if len(requests) == 1:
            connection.sendall(OK + OK)
        elif len(requests) == 2:
            connection.sendall(OK)
            connection.sendall(OK)
            time.sleep(0.05)
        else:
            connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            return
        with suppress(OSError):
            read_request(connection)  # the client must not come back on this connection

    with raw_server(serve) as url:
        transport = open_transport(url, timeout_seconds=5)
        assert 200 == transport.send([b"a"]).status
        assert 200 == transport.send([b"b"]).status
        time.sleep(0.1)  # the second answer has come, and waits to be mistaken
        assert 503 == transport.send([b"c"]).status
        transport.close()


def test_an_answer_to_another_request_is_none() -> None:
    """OpenSearch says the request's own id back; a cache in between says an old one."""

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nX-Opaque-Id: other\r\n\r\n", 1))

    with raw_server(serve) as url:
        transport = open_transport(url)
        with pytest.raises(NoAnswerError, match="another request's"):
            transport.send([b"x"])
        transport.close()


def test_a_name_that_can_not_be_resolved_is_no_answer() -> None:
    """DNS may come back: it is tried again like everything."""
    transport = open_transport("http://centre.invalid:9200")
    with pytest.raises(NoAnswerError, match=r"centre\.invalid:9200"):
        transport.send([b"x"])


def test_ipv6() -> None:
    """In brackets in the URL and in the Host header."""
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    try:
        with raw_server(serve, "::1") as url:
            transport = open_transport(url)
            assert not transport.takes_gzip
            assert 200 == transport.send([b"x"]).status
            transport.close()
            assert f"Host: {url.removeprefix('http://')}\r\n".encode() in seen[0]
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:9200", False),
        ("http://localhost", False),
        ("http://[::1]:9200", False),
        ("http://127.8.9.10", False),
        ("http://10.0.0.1", True),
        ("http://centre.example", True),
        ("http://localhost.example", True),
    ],
)
def test_bodies_are_compressed_unless_they_stay_on_the_machine(url: str, *, expected: bool) -> None:
    """A loopback interface has no bandwidth to save."""
    assert expected == HttpTransport(OutputConfig(urls=(url,))).takes_gzip
    assert HttpTransport(OutputConfig(urls=(url, "http://10.0.0.1"))).takes_gzip


def test_a_failing_address_costs_no_request_while_another_answers() -> None:
    """A refused connection has sent nothing: the next address is tried at once."""
    with BulkServer() as gone:
        dead = gone.url
    with BulkServer() as server:
        transport = open_transport(dead, server.url)
        assert 200 == transport.send([ITEM]).status
        assert 200 == transport.send([ITEM]).status
        transport.close()
        assert 2 == len(server.paths)


def test_an_address_that_is_unwell_is_left_for_the_next() -> None:
    """503 from one node says nothing of the others."""
    with BulkServer() as first, BulkServer() as second:
        first.scripted.append((503, b"", {}))
        transport = open_transport(first.url, second.url)
        assert [503, 200] == [transport.send([ITEM]).status for _ in range(2)]
        transport.close()
        assert [1, 1] == [len(server.paths) for server in (first, second)]


def test_a_shipper_goes_back_to_its_first_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a fleet would stay where one restart has driven it."""
    with BulkServer() as first, BulkServer() as second:
        transport = open_transport(first.url, second.url, timeout_seconds=5)
        transport.send([ITEM])
        first.go_away()
        transport.send([ITEM])
        assert [1, 1] == [len(server.paths) for server in (first, second)]
        monkeypatch.setattr(addresses, "HOME_SECONDS", 0.0)
        transport.send([ITEM])  # it is still away: that costs no request
        assert [1, 2] == [len(server.paths) for server in (first, second)]
        first.come_back()
        wait_until(lambda: not first.is_away)
        transport.send([ITEM])
        transport.close()
        assert [2, 2] == [len(server.paths) for server in (first, second)]


def test_a_fleet_spreads_over_the_addresses() -> None:
    """Each stream has its own first one, and then goes through all in the same order."""
    places = [parse_address(f"http://node{number}:9200") for number in range(4)]
    homes = [Route(places, spread_by=f"stream {n}").current.host for n in range(4000)]
    counts = [homes.count(place.host) for place in places]
    assert sum(counts) == 4000
    assert min(counts) > 900
    route = Route(places, spread_by="stream 1")
    seen = []
    for _ in places:
        seen.append(route.current.host)
        route.move_on(0.0)
    assert {place.host for place in places} == set(seen)
    assert seen[0] == route.current.host


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://centre.example", "centre.example"),
        ("https://centre.example:443/x", "centre.example"),
        ("https://centre.example:9200", "centre.example:9200"),
        ("http://centre.example:443", "centre.example:443"),
        ("http://[fd00::1]:9200", "[fd00::1]:9200"),
    ],
)
def test_the_host_header(url: str, expected: str) -> None:
    """As a signature covers it."""
    assert expected == parse_address(url).host_header
