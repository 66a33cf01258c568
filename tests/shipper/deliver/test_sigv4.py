"""shipper.deliver.sigv4: signatures that hold against AWS's published algorithm, recomputed."""

from __future__ import annotations

import builtins
import datetime as dt
import hashlib
import hmac
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from shipper.config import OutputConfig
from shipper.deliver.http import HttpTransport
from shipper.deliver.sigv4 import SigV4Auth
from shipper.errors import ConfigError
from shipper.ports import NoAnswerError

CREDENTIALS = {"AKID1": "secret one", "AKID2": "secret two"}


def hmac_sha256(key: bytes, text: str) -> bytes:
    """One step of the key's derivation."""
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sign(method: str, target: str, headers: Mapping[str, str], body_hash: str, secret: str) -> str:
    """The Authorization header of a request, by the algorithm in AWS's reference.

    `headers` has lower-case names; its `authorization` says scope and signed headers.
    """
    fields = dict(
        part.strip().split("=", 1)
        for part in headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(",")
    )
    _, date, region, service, _ = fields["Credential"].split("/")
    path, _, query = target.partition("?")
    pairs = sorted(
        tuple(quote(unquote(word), safe="-_.~") for word in pair.partition("=")[::2])
        for pair in query.split("&")
        if pair
    )
    signed = fields["SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            method,
            quote(path or "/", safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(headers[name].split())}" for name in signed),
            "",
            ";".join(signed),
            body_hash,
        ]
    )
    scope = f"{date}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{digest}"
    key = hmac_sha256(b"AWS4" + secret.encode(), date)
    for step in (region, service, "aws4_request"):
        key = hmac_sha256(key, step)
    return (
        f"AWS4-HMAC-SHA256 Credential={fields['Credential']}, "
        f"SignedHeaders={fields['SignedHeaders']}, "
        f"Signature={hmac_sha256(key, text).hex()}"
    )


@pytest.mark.parametrize(
    ("method", "target", "headers", "signature"),
    [
        (
            "GET",
            "/",
            {},
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            {},
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "POST",
            "/",
            {},
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
    ],
    ids=["get-vanilla", "get-vanilla-query-order-key-case", "post-vanilla"],
)
def test_the_tests_own_verifier_gives_aws_own_signatures(
    method: str, target: str, headers: dict[str, str], signature: str
) -> None:
    """Vectors of AWS's signature test suite: who verifies below is right himself."""
    scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    given = {
        "host": "example.amazonaws.com",
        "x-amz-date": "20150830T123600Z",
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date,"
        " Signature=0",
        **headers,
    }
    empty = hashlib.sha256(b"").hexdigest()
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105 - AWS's published example
    assert sign(method, target, given, empty, secret).endswith(f"Signature={signature}")


class Domain(BaseHTTPRequestHandler):
    """A domain that lets in whoever signs with a key that is valid now."""

    protocol_version = "HTTP/1.1"
    valid: str
    seen: list[dict[str, str]]

    def do_POST(self) -> None:
        """200 where everything holds, else 403 as AWS says it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        type(self).seen.append(headers)
        why = self._refusal(headers, body)
        answer = json.dumps({"message": why} if why else {"errors": False, "items": []}).encode()
        self.send_response(403 if why else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _refusal(self, headers: dict[str, str], body: bytes) -> str:
        key = headers["authorization"].partition("Credential=")[2].partition("/")[0]
        if key != self.valid or headers.get("x-amz-security-token") != f"token of {key}":
            return "The security token included in the request is expired"
        body_hash = hashlib.sha256(body).hexdigest()
        if headers["x-amz-content-sha256"] != body_hash:
            return "the body is not the one that was signed"
        wanted = {"host", "content-type", "x-amz-content-sha256", "x-amz-date"}
        if not wanted <= set(
            headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        ):
            return "not all headers are signed"
        if headers["authorization"] != sign(
            "POST", self.path, headers, body_hash, CREDENTIALS[key]
        ):
            return "The request signature we calculated does not match"
        return ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        """Say nothing."""


@pytest.fixture
def domain() -> Iterator[tuple[type[Domain], str]]:
    """The domain's handler, and its URL."""
    handler = type("OneDomain", (Domain,), {"valid": "AKID1", "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/prefix"
    server.shutdown()
    server.server_close()
    thread.join(10)


def write_credentials(folder: Path, key: str, *, seconds: float) -> None:
    """What the process prints that stands for IMDS: keys that end."""
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    document = {
        "Version": 1,
        "AccessKeyId": key,
        "SecretAccessKey": CREDENTIALS[key],
        "SessionToken": f"token of {key}",
        "Expiration": ends.isoformat(),
    }
    (folder / "keys.json").write_text(json.dumps(document))


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose keys botocore's chain finds, and no other keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path


def use_process(keys: Path) -> None:
    """Let the chain run a process for its keys."""
    (keys / "config").write_text(f"[default]\ncredential_process = cat {keys / 'keys.json'}\n")


def open_transport(url: str, service: str = "es") -> HttpTransport:
    """A transport that signs."""
    output = OutputConfig(urls=(url,), auth="sigv4", region="eu-central-1", service=service)
    return HttpTransport(output, answer_timeout_seconds=5)


@pytest.mark.parametrize("service", ["es", "aoss"])
@pytest.mark.parametrize("body", [[], [b"one"], [b"first ", b"", b"second"]])
def test_a_signature_covers_the_exact_request(
    domain: tuple[type[Domain], str], keys: Path, service: str, body: list[bytes]
) -> None:
    """Path, query, host, content type and the bytes that go; recomputed by the other side."""
    use_process(keys)
    write_credentials(keys, "AKID1", seconds=3600)
    handler, url = domain
    transport = open_transport(url, service)
    reply = transport.send(body)
    transport.close()
    assert (200, b'{"errors": false, "items": []}') == (reply.status, reply.body)
    assert f"/eu-central-1/{service}/aws4_request" in handler.seen[0]["authorization"]
    assert hashlib.sha256(b"".join(body)).hexdigest() == handler.seen[0]["x-amz-content-sha256"]


def test_credentials_that_are_about_to_end_are_renewed_while_running(
    domain: tuple[type[Domain], str], keys: Path
) -> None:
    """As a role's keys do every few hours, on the same connection and without a restart."""
    use_process(keys)
    write_credentials(keys, "AKID1", seconds=30)  # so near the end that they must be renewed
    handler, url = domain
    transport = open_transport(url)
    assert 200 == transport.send([b"one"]).status
    handler.valid = "AKID2"
    write_credentials(keys, "AKID2", seconds=3600)
    assert 200 == transport.send([b"two"]).status
    transport.close()


def test_credentials_that_were_replaced_early_are_read_again_once_refused(
    domain: tuple[type[Domain], str], keys: Path
) -> None:
    """A file of keys that botocore read once: the 403 is retried, and by then they are new."""
    use_process(keys)
    write_credentials(keys, "AKID1", seconds=3600)
    handler, url = domain
    transport = open_transport(url)
    assert 200 == transport.send([b"one"]).status
    handler.valid = "AKID2"
    write_credentials(keys, "AKID2", seconds=3600)
    assert [403, 200] == [transport.send([b"two"]).status for _ in range(2)]
    transport.close()


def test_no_credentials_is_no_answer(domain: tuple[type[Domain], str], keys: Path) -> None:
    """The instance's role may yet be attached: it is tried again."""
    handler, url = domain
    transport = open_transport(url)
    with pytest.raises(NoAnswerError, match="give the instance a role"):
        transport.send([b"one"])
    use_process(keys)
    with pytest.raises(NoAnswerError, match="can't be had"):
        transport.send([b"one"])
    transport.close()
    assert [] == handler.seen


def test_keys_that_ended_and_are_not_renewed_are_no_answer(
    domain: tuple[type[Domain], str], keys: Path
) -> None:
    """An instance whose metadata service hangs behind: it is tried again until keys are new."""
    use_process(keys)
    write_credentials(keys, "AKID1", seconds=-60)
    _, url = domain
    transport = open_transport(url)
    with pytest.raises(NoAnswerError, match="can't be had"):
        transport.send([b"one"])
    write_credentials(keys, "AKID1", seconds=3600)
    assert 200 == transport.send([b"one"]).status
    transport.close()


def test_a_missing_extra_names_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told at the start, by `check` as well as by `run`."""
    real_import = builtins.__import__

    def refuse(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.partition(".")[0] == "botocore":
            raise ImportError(name)
        return real_import(name, *arguments, **keywords)

    for name in [name for name in sys.modules if name.partition(".")[0] == "botocore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"pip install 'afterimage-forensics\[sigv4\]'"):
        SigV4Auth(region="eu-central-1", service="es")


def test_a_signature_needs_a_region() -> None:
    """It is part of what is signed."""
    with pytest.raises(ConfigError, match="set region"):
        SigV4Auth(region="", service="es")
