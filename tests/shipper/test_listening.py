"""What is in the way of listening, told alike by `check` and by the servers."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.listen_address import ListenAddress
from shipper.listening import TAKEN, find_obstacle, open_stream

_NOBODY = 65534
_MODE = 0o600


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """Be a user who owns nothing, where this one may become it."""
    if os.geteuid():
        pytest.skip("needs root to become another user")
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user reaches; pytest's own are for one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def _refuses(address: ListenAddress) -> str:
    """What both say: the look beforehand, and the attempt."""
    obstacle = find_obstacle(address)
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the text is compared
        open_stream(address, backlog=1, mode=_MODE).close()
    assert obstacle == str(raised.value)
    return obstacle


def test_a_server_with_a_full_backlog_is_there(tmp_path: Path) -> None:
    """It answers nobody at the moment, and still has the address."""
    path = str(tmp_path / "x.sock")
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(path)
        busy.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)  # noqa: FBT003 - the socket module's way
            with contextlib.suppress(BlockingIOError):
                client.connect(path)
        assert TAKEN == _refuses(ListenAddress(path=path))
    assert Path(path).exists()


def test_a_socket_that_this_user_may_not_connect_to_stays(shared: Path) -> None:
    """Nobody can tell whether it is in use, so it is not taken."""
    shared.chmod(0o777)
    path = shared / "x.sock"
    with socket.socket(socket.AF_UNIX) as private:
        private.bind(str(path))
        private.listen()
        path.chmod(0o600)
        with _as_nobody():
            assert "may not connect" in _refuses(ListenAddress(path=str(path)))
    assert path.exists()


def test_a_stale_socket_in_a_folder_of_others_is_an_obstacle(shared: Path) -> None:
    """It can't be replaced by whoever may not write there."""
    path = shared / "x.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    path.chmod(0o666)
    with _as_nobody():
        assert f"{shared} can't be written by this user" == _refuses(ListenAddress(path=str(path)))


def test_a_datagram_socket_is_somebody_elses(tmp_path: Path) -> None:
    """Syslog's, say: it takes no connections, and is not stale."""
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        assert _refuses(ListenAddress(path=path))
    assert Path(path).exists()


def test_a_port_that_is_taken_is_told() -> None:
    """In the words that a unix socket's taken address is told in."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert TAKEN == _refuses(ListenAddress(host="127.0.0.1", port=port))


def test_localhost_is_ipv4() -> None:
    """Fluent-logger knows nothing else."""
    stream = open_stream(ListenAddress(host="localhost"), backlog=1, mode=_MODE)
    assert (socket.AF_INET, "127.0.0.1") == (
        stream.socket.family,
        stream.socket.getsockname()[0],
    )
    assert 0 < stream.address.port
    stream.close()


def test_another_ones_socket_is_left_when_the_own_is_closed(tmp_path: Path) -> None:
    """A name that was taken over is not this process's any more."""
    path = tmp_path / "x.sock"
    stream = open_stream(ListenAddress(path=str(path)), backlog=1, mode=_MODE)
    path.unlink()
    path.touch()
    stream.close()
    assert path.exists()
