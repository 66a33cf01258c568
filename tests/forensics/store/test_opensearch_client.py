"""Whatever answers at a store's URL, the error is one of ours and says what to do next."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import ipaddress
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from forensics.errors import (
    ForensicsError,
    PartialResultError,
    RefusedError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from forensics.store.opensearch import OpenSearchStore
from forensics.store.opensearch_client import OpenSearchClient, check_url
from forensics.store.protocol import Query

GREETING = {"version": {"distribution": "opensearch", "number": "3.8.0"}}
SECRETS = (
    "AFTERIMAGE_STORE_USERNAME_FILE",
    "AFTERIMAGE_STORE_PASSWORD_FILE",
    "AFTERIMAGE_STORE_CA_FILE",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No login of the one who runs the tests."""
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)


@contextlib.asynccontextmanager
async def answering(*answers: bytes | None) -> AsyncIterator[str]:
    """A server that gives these answers in turn, the last one for ever; None: none at all."""
    left = list(answers)
    finished = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                await reader.readexactly(int(length or 0))
                answer = left.pop(0) if len(left) > 1 else left[0]
                if answer is None:
                    await finished.wait()
                    break
                writer.write(answer)
                await writer.drain()
                if not answer.startswith(b"HTTP"):
                    break
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finished.set()


def http(status: int, body: object, kind: str = "application/json") -> bytes:
    """An HTTP answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def failure(kind: str) -> dict[str, object]:
    """An error as OpenSearch words it."""
    return {"error": {"type": kind, "reason": f"because of {kind}"}}


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (http(401, b"Unauthorized", "text/plain"), RefusedError, "Unauthorized"),
        (http(403, failure("security_exception")), RefusedError, "because of security_exception"),
        (http(429, failure("rejected")), UnreachableError, "overloaded or starting"),
        (http(503, failure("cluster_block")), UnreachableError, "overloaded or starting"),
        (http(502, b"<html>bad gateway", "text/html"), UnreachableError, "bad gateway"),
        (http(500, failure("odd")), ForensicsError, "because of odd"),
        (http(400, failure("parse")), ForensicsError, "because of parse"),
        (http(404, failure("none")), ForensicsError, "because of none"),
        (http(200, b"<html>hello", "text/html"), UsageError, "is no OpenSearch"),
        (http(200, b"hello", "text/plain"), UsageError, "is no OpenSearch"),
        (http(200, b'{"cut', "application/json"), UsageError, "is no OpenSearch"),
        (http(200, {}), UsageError, "its greeting has no version"),
        (http(200, {"version": "8"}), UsageError, "its greeting has no version"),
        (http(200, []), UsageError, "its greeting has no version"),
        (b"\x00garbage\r\n\r\n", UnreachableError, "can't reach the store"),
        (b"", UnreachableError, "can't reach the store"),
        (
            http(200, {"version": {"distribution": "afterimage-collector", "number": "1"}}),
            UsageError,
            "--store sqlite:PATH",
        ),
    ],
)
async def test_every_answer_that_is_none_is_an_error_of_ours(
    answer: bytes, error: type[ForensicsError], words: str
) -> None:
    """Opening a store raises the class that the caller acts on; the text says why and what next."""
    async with answering(answer) as url:
        with pytest.raises(ForensicsError) as caught:
            await OpenSearchStore.open(url)
    assert error is type(caught.value)
    assert words in str(caught.value)
    assert url in str(caught.value)


async def test_nobody_there_is_unreachable_and_quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The error names the URL; the client library's own traceback does not reach the screen."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=url):
            await OpenSearchStore.open(url)
    handlers = logging.getLogger("opensearch").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


async def test_silence_times_out() -> None:
    """A server that takes the request and never answers costs a bounded time."""
    async with answering(None) as url:
        client = OpenSearchClient(url)
        try:
            with pytest.raises(TimedOutError, match=r"within 0\.2 s"):
                await client.request("GET", "/", timeout_seconds=0.2)
        finally:
            await client.aclose()


async def open_then(answer: object) -> tuple[contextlib.AsyncExitStack, OpenSearchStore]:
    """A store that greeted well and gives that answer to everything since."""
    stack = contextlib.AsyncExitStack()
    url = await stack.enter_async_context(answering(http(200, GREETING), http(200, answer)))
    store = await OpenSearchStore.open(url)
    stack.push_async_callback(store.close)
    return stack, store


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            {
                "_shards": {
                    "total": 5,
                    "failed": 2,
                    "failures": [{"index": "afterimage-logs-x", "reason": {"reason": "gone"}}],
                },
                "hits": {"hits": []},
                "count": 3,
            },
            PartialResultError,
            "2 of 5 shards",
        ),
        ({"_shards": {"total": 1, "failed": 1}, "count": 3}, PartialResultError, "no reason given"),
        (
            {"timed_out": True, "_shards": {"total": 1, "failed": 0}, "hits": {"hits": []}},
            TimedOutError,
            "stopped searching",
        ),
        ({"something": "else"}, UsageError, "is no OpenSearch"),
    ],
)
async def test_a_part_is_never_taken_for_the_whole(
    answer: object, error: type[ForensicsError], words: str
) -> None:
    """Failed shards and a stopped search raise from every question that reads."""
    stack, store = await open_then(answer)
    async with stack:
        for question in (
            lambda: store.page(Query()),
            lambda: store.count(Query()),
            lambda: store.histogram(Query(), 10),
            store.streams,
            lambda: anext(store.source_records("s", 1)),
        ):
            with pytest.raises(ForensicsError, match=words) as caught:
                await question()
            assert error is type(caught.value)


async def test_a_document_nested_too_deep_is_an_error_of_ours() -> None:
    """JSON that Python itself can't parse does not end in a RecursionError."""
    deep = b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    async with answering(http(200, GREETING), http(200, deep)) as url:
        store = await OpenSearchStore.open(url)
        try:
            with pytest.raises(PartialResultError, match="nested"):
                await store.count(Query())
        finally:
            await store.close()


async def test_a_stopped_search_is_a_time_out() -> None:
    """OpenSearch answers 500 to a search that ran into our limit; the user reads what it means."""
    cancelled = {
        "error": {
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
            "caused_by": {"type": "task_cancelled_exception", "reason": "expired"},
        }
    }
    async with answering(http(200, GREETING), http(500, cancelled)) as url:
        store = await OpenSearchStore.open(url)
        try:
            with pytest.raises(TimedOutError, match="narrow the question"):
                await store.streams()
        finally:
            await store.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://reader:hunter2@127.0.0.1:9200", "carries a login"),
        ("https://token@centre.example", "carries a login"),
        ("ftp://centre.example", "no store URL"),
        ("http://", "no store URL"),
        ("https://centre.example:9200?x=1", "no store URL"),
        ("https://centre.example:notaport", "can't be read"),
    ],
)
def test_urls_that_are_none_are_refused_without_their_secret(url: str, words: str) -> None:
    """A login belongs into a file; the error does not repeat it."""
    with pytest.raises(UsageError, match=words) as caught:
        check_url(url)
    assert "hunter2" not in str(caught.value)
    assert "token@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:9200/", "http://127.0.0.1:9200"),
        ("https://centre.example", "https://centre.example:443"),
        ("http://[::1]", "http://[::1]:80"),
        ("https://centre.example/opensearch/", "https://centre.example:443/opensearch"),
    ],
)
def test_a_url_has_the_port_that_its_scheme_says(url: str, expected: str) -> None:
    """Https means 443 here as everywhere, not 9200."""
    assert expected == check_url(url)


def test_a_login_needs_both_files_and_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a login is a mistake, and a password is never sent in clear text."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    monkeypatch.setenv(SECRETS[0], str(secret))
    with pytest.raises(UsageError, match="give both"):
        OpenSearchClient.from_environment("https://centre.example")
    monkeypatch.setenv(SECRETS[1], str(secret))
    with pytest.raises(UsageError, match="clear text"):
        OpenSearchClient.from_environment("http://127.0.0.1:9200")
    monkeypatch.setenv(SECRETS[1], str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="can't read"):
        OpenSearchClient.from_environment("https://centre.example")


async def test_a_certificate_authority_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong path and a file that is no PEM are errors that name the variable."""
    monkeypatch.setenv(SECRETS[2], str(tmp_path / "missing.pem"))
    with pytest.raises(UsageError, match=SECRETS[2]):
        OpenSearchClient.from_environment("https://centre.example")
    (tmp_path / "no.pem").write_text("not a certificate")
    monkeypatch.setenv(SECRETS[2], str(tmp_path / "no.pem"))
    with pytest.raises(UsageError, match=SECRETS[2]):
        OpenSearchClient.from_environment("https://centre.example")


def make_certificate(folder: Path) -> ssl.SSLContext:
    """A server's context for 127.0.0.1, whose certificate signs itself: `folder`/server.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "centre")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "server.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "key.pem")
    return context


async def test_tls_trusts_the_named_authority_and_carries_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown certificate is refused with the variable to set; with it, the login is sent."""
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(http(200, GREETING))
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=make_certificate(tmp_path))
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(UnreachableError, match=SECRETS[2]):
            await OpenSearchStore.open(url)
        assert [] == heads
        monkeypatch.setenv(SECRETS[2], str(tmp_path / "server.pem"))
        for variable, text in zip(SECRETS, ("reader", "hunter2"), strict=False):
            (tmp_path / text).write_text(f"{text}\n")
            monkeypatch.setenv(variable, str(tmp_path / text))
        store = await OpenSearchStore.open(url)
        await store.close()
    login = base64.b64encode(b"reader:hunter2")
    assert b"basic " + login in heads[0].replace(b"Basic", b"basic")
