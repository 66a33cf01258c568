"""Who is at the other end of a unix socket, as the kernel says it."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys

import pytest

from shipper.sources.forward.events import Peer
from shipper.sources.forward.sockets import read_peer

_CONNECT = """
import os, socket, sys
os.setgroups([])
os.setgid(23456)
os.setuid(12345)
client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
client.connect("\\0" + sys.argv[1])
client.recv(1)
"""


class _Told(socket.socket):
    """A socket of which the kernel says what a test wants."""

    def getsockopt(self, *_: object) -> bytes:  # type: ignore[override]
        return struct.pack("iII", 11, 22, 4_294_967_000)


def test_process_user_and_group_stand_in_the_kernels_order() -> None:
    """And an id above 2^31, as a directory service may give it, is no negative one."""
    with _Told(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        assert Peer(pid=11, uid=22, gid=4_294_967_000) == read_peer(connection)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_process_of_another_user_and_group_is_known() -> None:
    """The real kernel's answer, of ids that are not alike."""
    name = f"afterimage-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        listener.settimeout(20)
        with subprocess.Popen([sys.executable, "-I", "-c", _CONNECT, name]) as process:
            connection, _ = listener.accept()
            with connection:
                assert Peer(pid=process.pid, uid=12_345, gid=23_456) == read_peer(connection)
