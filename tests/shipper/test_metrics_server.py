"""shipper.metrics_server: one text for whoever asks, and no client that can hold the shipper up."""

from __future__ import annotations

import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shipper import metrics_server
from shipper.errors import ConfigError
from shipper.listen_address import ListenAddress, parse_listen
from shipper.metrics_server import MetricsServer

CLIENT_SECONDS = 0.3
TEXT = "# TYPE a_bytes counter\n# HELP a_bytes A.\na_bytes_total 1\n# EOF\n"


class Loop:
    """A shipper's loop, turning in a thread until it is told to hang."""

    def __init__(self, server: MetricsServer) -> None:
        self.problem = ""
        self.renders = 0
        self.hangs = threading.Event()
        self._server = server
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ends.wait(0.005):
            if not self.hangs.is_set():
                self._server.turn(self.problem, self._render)

    def _render(self) -> str:
        self.renders += 1
        return TEXT

    @contextmanager
    def turning(self) -> Iterator[Loop]:
        """It turns inside the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ends.set()
            self._thread.join(10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the unix socket is."""
    return tmp_path / "metrics.sock"


@contextmanager
def serve(address: ListenAddress) -> Iterator[tuple[MetricsServer, Loop]]:
    """A server, and the loop behind it."""
    server = MetricsServer(address, client_seconds=CLIENT_SECONDS)
    server.start()
    try:
        with Loop(server).turning() as loop:
            yield server, loop
    finally:
        server.stop()


def ask(path: Path, request: bytes = b"GET /metrics HTTP/1.0\r\n\r\n") -> tuple[str, bytes, bytes]:
    """Status line, headers and body of one request; all empty where nothing came."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(request)
        answer = b""
        while piece := client.recv(1 << 16):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    line, _, headers = head.partition(b"\r\n")
    return line.decode(), headers, body


def wait_until(holds: Callable[[], bool]) -> None:
    """Poll, with a deadline."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_metrics_are_served_in_the_format_that_is_asked_for(path: Path) -> None:
    """OpenMetrics for who accepts it, Prometheus' older text for everybody else."""
    with serve(ListenAddress(path=str(path))):
        line, headers, body = ask(path)
        assert "HTTP/1.0 200 OK" == line
        assert b"text/plain; version=0.0.4" in headers
        assert b"# TYPE a_bytes_total counter\n# HELP a_bytes_total A.\na_bytes_total 1\n" == body
        line, headers, body = ask(
            path,
            b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text;q=1\r\n\r\n",
        )
        assert b"openmetrics-text; version=1.0.0" in headers
        assert TEXT.encode() == body
        assert b"Content-Length: %d\r\n" % len(body) in headers


def test_a_loopback_port_serves_too() -> None:
    """Where the scraper speaks TCP only."""
    with (
        serve(ListenAddress(host="127.0.0.1", port=0)) as (server, _),
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as client,
    ):
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.0 200 OK")


def test_nothing_is_rendered_unless_somebody_asks(path: Path) -> None:
    """A shipper that nobody scrapes pays nothing; one that many do renders once a second."""
    with serve(ListenAddress(path=str(path))) as (_, loop):
        assert 0 == loop.renders
        for _ in range(5):
            ask(path)
        assert 1 == loop.renders


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "404 Not Found"),
        (b"GET /metrics/../x HTTP/1.0\r\n\r\n", "404 Not Found"),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200 OK"),
        (b"HEAD /metrics HTTP/1.0\r\n\r\n", "200 OK"),
        (b"POST /metrics HTTP/1.0\r\n\r\n", "405 Method Not Allowed"),
        (b"GET /metrics\r\n\r\n", "400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", "400 Bad Request"),
        (b"GET /metrics SMTP/1\r\n\r\n", "400 Bad Request"),
    ],
)
def test_only_two_paths_and_get_are_known(path: Path, request_: bytes, status: str) -> None:
    """Everything else gets an answer that says so, and no traceback."""
    with serve(ListenAddress(path=str(path))):
        line, _, body = ask(path, request_)
        assert f"HTTP/1.0 {status}" == line
        assert (b"" == body) == request_.startswith(b"HEAD")


def test_health_is_the_loops_word(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 while it goes well; 503 with the reason, in one printable line; 503 when it is stuck."""
    monkeypatch.setattr(metrics_server, "STUCK_SECONDS", 0.2)
    request = b"GET /healthz HTTP/1.0\r\n\r\n"
    with serve(ListenAddress(path=str(path))) as (_, loop):
        wait_until(lambda: ask(path, request)[0] == "HTTP/1.0 200 OK")
        loop.problem = "the centre\x1b[31m is away"
        wait_until(lambda: "503" in ask(path, request)[0])
        assert rb"the centre\x1b[31m is away" + b"\n" == ask(path, request)[2]
        loop.problem = ""
        wait_until(lambda: "200" in ask(path, request)[0])
        loop.hangs.set()
        wait_until(lambda: b"has not moved" in ask(path, request)[2])


def test_a_loop_that_hangs_gives_its_last_text(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old numbers are better than none; before the first there is a 503."""
    monkeypatch.setattr(metrics_server, "FRESH_SECONDS", 0.0)
    with serve(ListenAddress(path=str(path))) as (_, loop):
        assert b"a_bytes_total 1" in ask(path)[2]
        loop.hangs.set()
        time_before = time.monotonic()
        assert b"a_bytes_total 1" in ask(path)[2]
        assert time.monotonic() - time_before < 10 * CLIENT_SECONDS
    server = MetricsServer(ListenAddress(path=str(path)), client_seconds=CLIENT_SECONDS)
    server.start()
    try:
        assert "503" in ask(path)[0]
        assert b"starting" in ask(path, b"GET /healthz HTTP/1.0\r\n\r\n")[2]
    finally:
        server.stop()


def _says_nothing(client: socket.socket) -> None:
    del client


def _says_half(client: socket.socket) -> None:
    client.sendall(b"GET /metr")


def _never_ends(client: socket.socket) -> None:
    client.sendall(b"GET /metrics HTTP/1.0\r\n" + b"X: y\r\n" * 3000)


def _goes_away(client: socket.socket) -> None:
    client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    client.close()


@pytest.mark.parametrize("behave", [_says_nothing, _says_half, _never_ends, _goes_away])
def test_a_hostile_client_keeps_nobody_out(
    path: Path, behave: Callable[[socket.socket], None]
) -> None:
    """However many there are: each has its time and is cut off, and then it is one's turn."""
    with serve(ListenAddress(path=str(path))):
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        try:
            for client in clients:
                client.settimeout(5)
                client.connect(str(path))
                behave(client)
            assert "HTTP/1.0 200 OK" == ask(path)[0]
        finally:
            for client in clients:
                client.close()


def test_a_client_that_does_not_read_is_left(path: Path) -> None:
    """An answer that nobody takes is given up."""
    big = "x" * (8 << 20)
    server = MetricsServer(ListenAddress(path=str(path)), client_seconds=CLIENT_SECONDS)
    server.start()
    ends = threading.Event()

    def turn() -> None:
        while not ends.wait(0.005):
            server.turn("", lambda: big)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        with socket.socket(socket.AF_UNIX) as lazy:
            lazy.connect(str(path))
            lazy.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert "200" in ask(path, b"GET /healthz HTTP/1.0\r\n\r\n")[0]
    finally:
        ends.set()
        thread.join(10)
        server.stop()


def test_the_file_of_a_killed_shipper_is_replaced(path: Path) -> None:
    """And goes in the end; everybody on the machine may ask."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    with serve(ListenAddress(path=str(path))):
        assert "200" in ask(path)[0]
        assert 0o666 == stat.S_IMODE(path.stat().st_mode)
    assert not path.exists()


def test_an_address_of_somebody_else_is_left_alone(path: Path) -> None:
    """A living server, or a file that is no socket: an error that says so, and no harm done."""
    with (
        serve(ListenAddress(path=str(path))),
        pytest.raises(ConfigError, match="another process listens there"),
    ):
        MetricsServer(ListenAddress(path=str(path)))
    path.write_text("precious")
    with pytest.raises(ConfigError, match="another file has that name"):
        MetricsServer(ListenAddress(path=str(path)))
    assert "precious" == path.read_text()
    with pytest.raises(ConfigError, match="nobody can listen on unix:///proc/nowhere/x"):
        MetricsServer(ListenAddress(path="/proc/nowhere/x"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="another process listens there"):
            MetricsServer(ListenAddress(host="127.0.0.1", port=port))


def test_descriptors_are_given_back(path: Path) -> None:
    """A hundred questions leave none open."""
    with serve(ListenAddress(path=str(path))):
        ask(path)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(100):
            ask(path, b"GET /healthz HTTP/1.0\r\n\r\n")
        assert before >= len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("text", "is_local"),
    [
        ("unix:///run/x.sock", True),
        ("tcp://127.0.0.1:1", True),
        ("tcp://127.9.9.9:1", True),
        ("tcp://[::1]:1", True),
        ("tcp://localhost:1", True),
        ("tcp://0.0.0.0:1", False),
        ("tcp://[::]:1", False),
        ("tcp://10.0.0.1:1", False),
        ("tcp://localhost.example:1", False),
    ],
)
def test_local_is_what_other_machines_can_not_reach(text: str, is_local: bool) -> None:  # noqa: FBT001 - a table's column
    """Told by the letters alone; an address is written as it was read."""
    address = parse_listen(text)
    assert is_local == address.is_local
    assert text == str(address)
