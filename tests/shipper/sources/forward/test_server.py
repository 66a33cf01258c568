"""The Forward server over real sockets: durable before acknowledged, and bounded."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgpack
import pytest

from shipper.errors import ConfigError, StateError
from shipper.listen_address import ListenAddress
from shipper.sources.forward.server import ForwardServer
from shipper.sources.spool import Chunk, Spool, SpoolBudget
from tests.faults.bulk_server import wait_until
from tests.shipper.sources.forward.forward_messages import entries, messages, pack, packed, parse
from tests.shipper.sources.forward.served import Served, receive

Serve = Callable[..., Served]
_TCP = ListenAddress(host="127.0.0.1", port=0)


def _chunk(identity: str, *texts: str) -> bytes:
    return pack(["t", packed(entries(*texts)), {"chunk": identity}])


# ---- sockets


def test_a_unix_socket_is_for_its_group_and_says_who_wrote(serve: Serve, tmp_path: Path) -> None:
    """Its folder is made, others can't write, each line has the writer's credentials."""
    served = serve(ListenAddress(path=f"{tmp_path}/a/b/f.sock"))
    path = tmp_path / "a" / "b" / "f.sock"
    assert 0o660 == stat.S_IMODE(path.stat().st_mode)
    served.connect().sendall(pack(["t", 1, {"message": "x"}]))
    served.wait_for(1)
    (line,) = parse(served.lines())
    assert {"pid": os.getpid(), "uid": os.getuid(), "gid": os.getgid()} == line["peer"]
    served.close()
    assert not path.exists()


def test_over_tcp_nothing_is_said_of_the_writer(serve: Serve) -> None:
    """The kernel does not know."""
    served = serve(_TCP)
    served.connect().sendall(pack(["t", 1, {"message": "x"}]))
    served.wait_for(1)
    assert ["time", "tag", "record"] == list(parse(served.lines())[0])


def test_a_socket_that_a_crash_left_is_taken_over(serve: Serve, tmp_path: Path) -> None:
    """And nothing else is: neither a server that answers, nor a file that is no socket."""
    path = tmp_path / "f.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))
    served = serve(ListenAddress(path=str(path)))
    served.connect().sendall(pack(["t", 1, {"message": "x"}]))
    served.wait_for(1)
    other = ForwardServer(ListenAddress(path=str(path)), served.spool)
    with pytest.raises(ConfigError, match="another process listens there"):
        other.start()
    other.stop(1)
    assert path.exists()
    file = tmp_path / "file"
    file.write_text("a file")
    third = ForwardServer(ListenAddress(path=str(file)), served.spool)
    with pytest.raises(ConfigError, match="another file has that name"):
        third.start()
    third.stop(1)
    assert "a file" == file.read_text()


def test_a_server_that_was_replaced_leaves_the_new_ones_socket(
    serve: Serve, tmp_path: Path
) -> None:
    """It removes only its own file."""
    served = serve(ListenAddress(path=f"{tmp_path}/f.sock"))
    path = tmp_path / "f.sock"
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        served.close()
        assert path.exists()


def test_a_port_that_is_taken_is_refused(serve: Serve, tmp_path: Path) -> None:
    """The one who configures it hears which."""
    served = serve(_TCP)
    host, port = served.tcp_address
    server = ForwardServer(ListenAddress(host=host, port=port), served.spool)
    with pytest.raises(ConfigError, match=str(port)):
        server.start()
    server.stop(1)


# ---- heartbeats


def test_heartbeats_are_answered_or_borne(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """UDP gets its zero byte back; nil and a connection that only opens and closes are no error."""
    served = serve(_TCP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heart:
        heart.settimeout(10)
        heart.sendto(b"no heartbeat", served.tcp_address)
        heart.sendto(b"\0", served.tcp_address)
        assert b"\0" == heart.recv(16)
    for _ in range(3):
        served.connect().close()
    client = served.connect()
    client.sendall(b"\xc0\xc0" + pack(["t", 1, {"message": "x"}]) + b"\xc0")
    served.wait_for(1)
    wait_until(lambda: served.server.statistics().connections == 4)
    served.close()
    counters = served.server.statistics()
    assert (0, 0, 1) == (counters.refused, counters.cut, counters.events)
    assert "" == capsys.readouterr().err


# ---- acknowledgements


def test_an_acknowledgement_comes_after_the_disk_has_the_lines(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a byte is sent while the spool is still at it."""
    served = serve()
    release = threading.Event()
    append = Spool.append

    def slow(spool: Spool, lines: Sequence[bytes], *, chunks: Sequence[Chunk] = ()) -> None:
        assert release.wait(10)
        append(spool, lines, chunks=chunks)

    monkeypatch.setattr(Spool, "append", slow)
    client = served.connect()
    client.sendall(_chunk("c", "a"))
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    release.set()
    client.settimeout(10)
    assert {"ack": "c"} == receive(client)
    assert ["a"] == served.messages()


def test_a_chunk_that_comes_again_is_stored_once(serve: Serve) -> None:
    """Over the same connection, another one, and after a restart; each time it is acknowledged."""
    served = serve()
    client = served.connect()
    client.sendall(_chunk("c", "a", "b") * 2)
    assert [{"ack": "c"}] * 2 == [receive(client), receive(client)]
    assert {"ack": "c"} == served.ask(_chunk("c", "a", "b"))
    assert 2 == served.server.statistics().duplicates
    served.close()
    again = serve()
    assert {"ack": "c"} == again.ask(_chunk("c", "a", "b"))
    assert 1 == again.server.statistics().duplicates
    assert ["a", "b"] == again.messages()


def test_a_chunk_that_equals_one_whose_answer_went_over_its_connection_is_another(
    serve: Serve,
) -> None:
    """Fluent Bit names chunks by their content: two equal lines of one second, in two flushes.

    Over another connection it is the same one, sent again: the answer may have been lost.
    """
    served = serve()
    client = served.connect()
    for _ in range(3):
        client.sendall(_chunk("digest", "a"))
        assert {"ack": "digest"} == receive(client)
    assert ["a"] * 3 == served.messages()
    other = served.connect()
    other.sendall(_chunk("digest", "a"))
    assert {"ack": "digest"} == receive(other)
    assert (["a"] * 3, 1) == (served.messages(), served.server.statistics().duplicates)
    other.sendall(_chunk("digest", "a"))
    assert {"ack": "digest"} == receive(other)
    assert ["a"] * 4 == served.messages()
    served.close()
    again = serve()
    assert {"ack": "digest"} == again.ask(_chunk("digest", "a"))
    assert ["a"] * 4 == again.messages()


def test_who_was_kept_waiting_may_have_sent_it_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the same connection, too; for five minutes after a delay nothing is taken twice."""
    served = serve()
    client = served.connect()
    with monkeypatch.context() as patched:

        def refuse(*_: object, **__: object) -> None:
            raise StateError("the spool can't be used", why="No space left on device")

        patched.setattr(Spool, "append", refuse)
        client.sendall(_chunk("c", "a"))
        wait_until(lambda: "No space left" in served.server.error)
    for _ in range(2):
        assert {"ack": "c"} == receive(client)
        client.sendall(_chunk("c", "a"))
    assert {"ack": "c"} == receive(client)
    assert (["a"], 2) == (served.messages(), served.server.statistics().duplicates)


def test_who_waited_for_a_slow_disk_may_have_sent_it_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server itself stood still: it sees that by the clock."""
    served = serve()
    client = served.connect()
    append = Spool.append

    def slow(spool: Spool, lines: Sequence[bytes], *, chunks: Sequence[Chunk] = ()) -> None:
        served.clock.shift_seconds += 2
        append(spool, lines, chunks=chunks)

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "append", slow)
        client.sendall(_chunk("c", "a"))
        assert {"ack": "c"} == receive(client)
    client.sendall(_chunk("c", "a"))
    assert {"ack": "c"} == receive(client)
    assert ["a"] == served.messages()
    served.clock.shift_seconds += 301
    for _ in range(2):
        client.sendall(_chunk("c", "a"))
        assert {"ack": "c"} == receive(client)
    assert ["a", "a"] == served.messages()


def test_equal_ids_of_different_content_lose_nothing(serve: Serve) -> None:
    """Two clients may number their chunks alike."""
    served = serve()
    assert {"ack": "1"} == served.ask(_chunk("1", "from one"))
    assert {"ack": "1"} == served.ask(_chunk("1", "from another"))
    assert ["from one", "from another"] == served.messages()
    assert 0 == served.server.statistics().duplicates


def test_a_client_that_closed_its_side_still_gets_its_answer(serve: Serve) -> None:
    """It said all it has, and waits."""
    served = serve()
    client = served.connect()
    client.sendall(_chunk("c", "a"))
    client.shutdown(socket.SHUT_WR)
    assert {"ack": "c"} == receive(client)
    assert b"" == client.recv(1)


def test_a_client_that_never_reads_is_let_go(serve: Serve) -> None:
    """Its acknowledgements are not kept for ever; what it sent is."""
    served = serve()
    client = served.connect()
    identity = "x" * 1000
    client.settimeout(0.5)
    sent = 0
    try:
        while sent < 5000:
            client.sendall(pack(["t", sent, {"message": "m"}, {"chunk": f"{sent}{identity}"}]))
            sent += 1
    except OSError:
        pass
    assert 5000 > sent
    wait_until(lambda: served.server.statistics().connections_open == 0)
    assert sent - 2000 < served.server.statistics().events
    assert {"ack": "c"} == served.ask(_chunk("c", "others go on"))


# ---- the shared key


def test_a_client_with_the_key_is_served_and_one_without_is_not(serve: Serve) -> None:
    """The real exchange over TCP, with the server's proof checked."""
    served = serve(_TCP, shared_key="secret")
    client = served.connect()
    helo = receive(client)
    nonce, salt = helo[1]["nonce"], os.urandom(16)
    digest = hashlib.sha512(salt + b"me" + nonce + b"secret").hexdigest()
    client.sendall(pack(["PING", "me", salt, digest, "", ""]))
    _, admitted, reason, name, proof = receive(client)
    assert (True, "") == (admitted, reason)
    assert hashlib.sha512(salt + name.encode() + nonce + b"secret").hexdigest() == proof
    client.sendall(_chunk("c", "a"))
    assert {"ack": "c"} == receive(client)
    stranger = served.connect()
    assert receive(stranger)[1]["nonce"] != nonce
    stranger.sendall(pack(["PING", "me", salt, digest, "", ""]))
    assert receive(stranger)[:3] == ["PONG", False, "the shared keys differ"]
    assert b"" == stranger.recv(1)
    assert ["a"] == served.messages()


@pytest.mark.parametrize("content", [None, " \n"])
def test_without_a_key_in_the_key_file_nothing_is_served(
    content: str | None, tmp_path: Path
) -> None:
    """An empty key would let everybody in."""
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    spool = Spool(tmp_path / "s", budget=SpoolBudget(1))
    server = ForwardServer(_TCP, spool, shared_key_file=path)
    with pytest.raises(ConfigError, match="shared key"):
        server.start()
    server.stop(1)


# ---- bounds


@pytest.mark.slow
def test_at_the_spools_cap_clients_wait_and_nothing_is_lost(serve: Serve) -> None:
    """Reading stops, so the kernel holds the writer up; it goes on when segments were removed."""
    served = serve(spool_bytes=100_000)
    texts = [f"{number} " + "x" * 1000 for number in range(3000)]

    def write() -> None:
        client = served.connect()
        for number, text in enumerate(texts):
            client.sendall(pack(["t", number, {"message": text}]))
        client.close()

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: "full" in served.server.error)
    # an empty spool takes one batch, whatever its size
    assert 1_500_000 > sum(path.stat().st_size for path in served.spool.segments())
    found: list[str] = []
    deadline = time.monotonic() + 30
    while len(found) < len(texts) and time.monotonic() < deadline:
        for path in served.spool.segments():
            if served.spool.is_sealed(path):
                found += messages(path.read_bytes().splitlines(keepends=True))
                served.spool.remove(path)
        if len(found) + len(served.messages()) == len(texts):
            found += served.messages()
        threading.Event().wait(0.01)
    writer.join(10)
    assert texts == found
    wait_until(lambda: served.server.error == "")


def test_a_full_disk_is_waited_out(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is acknowledged meanwhile, and the reason can be read."""
    served = serve()
    with monkeypatch.context() as patched:

        def refuse(*_: object, **__: object) -> None:
            raise StateError("the spool can't be used", why="No space left on device")

        patched.setattr(Spool, "append", refuse)
        client = served.connect()
        client.sendall(_chunk("c", "a"))
        wait_until(lambda: "No space left" in served.server.error)
    assert {"ack": "c"} == receive(client)
    assert "" == served.server.error
    assert ["a"] == served.messages()


def test_large_messages_of_many_clients_come_one_after_the_other(serve: Serve) -> None:
    """All of them arrive whole, while a small one is not held up."""
    served = serve()
    large = {number: _chunk(str(number), f"{number}" + "x" * 2_000_000) for number in range(3)}
    clients = {number: served.connect() for number in large}
    for number, client in clients.items():
        client.sendall(large[number][:100_000])
    assert {"ack": "s"} == served.ask(_chunk("s", "small"))
    writers = [
        threading.Thread(target=client.sendall, args=(large[number][100_000:],))
        for number, client in clients.items()
    ]
    for writer in writers:
        writer.start()
    assert [{"ack": str(number)} for number in large] == [
        receive(client) for client in clients.values()
    ]
    for writer in writers:
        writer.join(10)
    clients[2].sendall(large[2])  # it had to wait, and may have given up
    assert {"ack": "2"} == receive(clients[2])
    assert (4, 1) == (len(served.messages()), served.server.statistics().duplicates)


def test_who_stands_still_in_a_large_message_is_let_go(serve: Serve) -> None:
    """It keeps others of their turn; one that said nothing, or little, may stay."""
    served = serve()
    message = _chunk("c", "x" * 300_000)
    stuck, waiting, silent = served.connect(), served.connect(), served.connect()
    silent.sendall(message[:10])
    stuck.sendall(message[:150_000])
    wait_until(lambda: served.server.statistics().bytes_received >= 150_010)
    waiting.sendall(message[:150_000])
    served.clock.shift_seconds = 31
    assert b"" == stuck.recv(1)
    waiting.sendall(message[150_000:])
    assert {"ack": "c"} == receive(waiting)
    silent.sendall(message[10:])
    assert {"ack": "c"} == receive(silent)
    counters = served.server.statistics()
    assert (1, 1, 1) == (counters.refused, counters.cut, counters.duplicates)


@pytest.mark.slow
def test_who_does_not_finish_the_handshake_is_let_go(serve: Serve) -> None:
    """A place is not for strangers."""
    served = serve(_TCP, shared_key="secret")
    client = served.connect()
    receive(client)
    served.clock.shift_seconds = 31
    assert b"" == client.recv(1)


def test_more_clients_than_places_wait_for_an_idle_one_to_go(serve: Serve) -> None:
    """The one that said nothing for longest is closed; before that the newcomer waits."""
    served = serve(connections_limit=2)
    first, second = served.connect(), served.connect()
    for number, client in enumerate((first, second)):
        client.sendall(_chunk(f"{number}", f"{number}"))
        receive(client)
    third = served.connect()
    third.sendall(_chunk("2", "2"))
    third.settimeout(0.3)
    with pytest.raises(TimeoutError):
        third.recv(1)
    served.clock.shift_seconds = 11
    second.sendall(_chunk("3", "3"))
    assert {"ack": "3"} == receive(second)
    third.settimeout(10)
    assert {"ack": "2"} == receive(third)
    assert b"" == first.recv(1)
    assert ["0", "1", "3", "2"] == served.messages()


def test_four_hundred_that_only_connect_keep_nobody_out(serve: Serve) -> None:
    """Idle or stuck in their first message, they are more than there are places and waiting ones.

    Nobody who has sent an event is closed for them.
    """
    served = serve()
    known = served.connect()
    known.sendall(_chunk("k", "known"))
    assert {"ack": "k"} == receive(known)
    began = time.monotonic()
    for number in range(400):
        client = served.connect()
        if number % 2:
            client.sendall(_chunk("h", "half")[:-1])
    assert {"ack": "g"} == served.ask(_chunk("g", "good"))
    took = time.monotonic() - began
    known.sendall(_chunk("l", "last"))
    assert {"ack": "l"} == receive(known)
    assert ["known", "good", "last"] == served.messages()
    assert 3 > took


def test_what_a_silent_client_said_at_last_is_not_lost_with_its_place(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wants no acknowledgement, so it would never send it again: the kernel is asked first."""
    served = serve(connections_limit=1)
    first = served.connect()
    wait_until(lambda: served.server.statistics().connections_open == 1)
    accept = ForwardServer._accept

    def late(server: ForwardServer) -> None:
        first.sendall(pack(["t", 1, {"message": "at last"}]))
        monkeypatch.setattr(ForwardServer, "_accept", accept)
        accept(server)

    monkeypatch.setattr(ForwardServer, "_accept", late)
    served.clock.shift_seconds = 11
    served.connect()
    served.wait_for(1)
    assert ["at last"] == served.messages()


def test_a_flood_of_bad_connections_is_one_line_and_a_count(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each kind once a minute."""
    served = serve()
    for _ in range(20):
        served.connect().sendall(b"\xc1")
        served.connect().sendall(pack(5))
    wait_until(lambda: served.server.statistics().refused >= 40)
    told = capsys.readouterr().err.splitlines()
    assert ["a value that is no message", "these are no Forward messages"] == sorted(
        line.split(": ")[3] for line in told
    )
    served.clock.shift_seconds = 61
    more = ""

    def are_told() -> bool:
        nonlocal more
        more += capsys.readouterr().err
        return more.count("\n") >= 2

    wait_until(are_told)
    assert 2 == more.count("19 more in the last minute: ")


def test_refusals_are_told_once_and_counted(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flood of nonsense is no flood of words."""
    served = serve()
    served.connect().sendall(pack(5) * 50 + pack(["t", 1, {"message": "x"}]))
    served.wait_for(1)
    assert 50 == served.server.statistics().refused
    assert 1 == capsys.readouterr().err.count("no message")


def test_a_hundred_clients_that_come_and_go_leave_nothing(serve: Serve) -> None:
    """Every event once, every connection closed."""
    served = serve()
    for number in range(100):
        client = served.connect()
        client.sendall(pack(["t", 1, {"message": f"{number}"}]))
        client.close()
    served.wait_for(100)
    assert [f"{number}" for number in range(100)] == served.messages()
    wait_until(lambda: served.server.statistics().connections_open == 0)
    assert 100 == served.server.statistics().connections


# ---- the end


@pytest.mark.parametrize("listen", [None, _TCP], ids=str)
def test_the_last_words_are_taken_at_the_end(serve: Serve, listen: ListenAddress | None) -> None:
    """What the kernel holds when the server stops, also of clients not yet accepted, and gone."""
    served = serve(listen)
    clients = [served.connect() for _ in range(20)]
    blocker = served.connect()
    blocker.sendall(pack(["t", 1, {"message": "first"}]))
    served.wait_for(1)
    for number, client in enumerate(clients):
        client.sendall(_chunk(f"{number}", f"{number}") + pack(["t", 1, {"message": "more"}]))
        if number % 2:
            client.close()
    late = [served.connect() for _ in range(5)]
    for client in late:
        client.sendall(pack(["t", 1, {"message": "late"}]))
    served.server.stop(10)
    expected = ["first", *(f"{number}" for number in range(20)), *["more"] * 20, *["late"] * 5]
    assert sorted(expected) == sorted(served.messages())
    for number in range(0, 20, 2):
        assert {"ack": f"{number}"} == receive(clients[number])
        assert b"" == clients[number].recv(1)


def test_a_message_cut_at_the_end_is_counted(serve: Serve) -> None:
    """Half an event is none: its client has the whole of it."""
    served = serve()
    client = served.connect()
    client.sendall(pack(["t", 1, {"message": "x"}]) + _chunk("c", "a")[:-4])
    served.wait_for(1)
    served.server.stop(10)
    assert (1, 1) == (served.server.statistics().cut, served.server.statistics().events)
    assert ["x"] == served.messages()


def test_a_stop_at_the_cap_ends_in_time_and_acknowledges_nothing(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """The client sends it again to the next one."""
    served = serve(spool_bytes=100)
    served.ask(_chunk("1", "x" * 200))
    client = served.connect()
    client.sendall(_chunk("2", "y" * 200))
    wait_until(lambda: "full" in served.server.error)
    began = time.monotonic()
    served.server.stop(0.5)
    assert 3 > time.monotonic() - began
    assert b"" == client.recv(1)
    assert "could not be kept" in capsys.readouterr().err
    assert served.server.unkept_events > 0
    assert ["x" * 200] == served.messages()


def test_a_server_that_never_started_stops(tmp_path: Path) -> None:
    """The agent stops whatever it made."""
    server = ForwardServer(_TCP, Spool(tmp_path, budget=SpoolBudget(1)))
    server.stop(1)
    assert 0 == server.statistics().connections


def test_what_breaks_the_thread_is_told(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The agent reads `error`; clients find nobody."""
    served = serve()

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("shipper.sources.forward.connection.Session.feed", fail)
    client = served.connect()
    client.sendall(b"\xc0")
    assert b"" == client.recv(1)
    wait_until(lambda: "a mistake" in served.server.error)
    assert "a mistake" in capsys.readouterr().err


def test_both_protocol_versions_of_an_acknowledgement_are_small(serve: Serve) -> None:
    """Small clients read it into a small buffer."""
    served = serve()
    client = served.connect()
    client.sendall(_chunk("0123456789abcdef01234567", "a"))
    assert msgpack.packb({"ack": "0123456789abcdef01234567"}) == client.recv(100)
