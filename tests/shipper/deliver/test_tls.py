"""shipper.deliver.http over TLS: the centre must prove who it is, unless nobody is to know."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shipper.config import OutputConfig
from shipper.deliver.http import HttpTransport
from shipper.errors import ConfigError
from shipper.ports import NoAnswerError
from tests.faults.bulk_server import BulkServer

BODY = b'{"create":{"_index":"afterimage-logs-x","_id":"1"}}\n{"message":"m"}\n'


def make_certificate(path: Path) -> Path:
    """A self-signed certificate of 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "centre")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The centre's."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "centre.pem")


@pytest.fixture
def url(certificate: Path) -> Iterator[str]:
    """A `_bulk` server that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with BulkServer(tls=context) as server:
        yield server.url.replace("http://", "https://")


def test_a_centre_that_nobody_vouches_for_is_not_spoken_to(url: str) -> None:
    """Not one byte of a log goes to it; it is tried again."""
    transport = HttpTransport(OutputConfig(urls=(url,)))
    with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED"):
        transport.send([BODY])
    transport.close()


def test_ca_file_vouches_for_a_centre(url: str, certificate: Path) -> None:
    """The configured authority, and the name in the URL."""
    transport = HttpTransport(OutputConfig(urls=(url,), ca_file=certificate))
    assert 200 == transport.send([BODY]).status
    transport.close()
    other = HttpTransport(
        OutputConfig(urls=(url.replace("127.0.0.1", "localhost"),), ca_file=certificate)
    )
    with pytest.raises(NoAnswerError, match="Hostname mismatch"):
        other.send([BODY])
    other.close()


def test_a_certificate_that_can_not_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    """Before anything is read."""
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="can't be used"):
        HttpTransport(OutputConfig(urls=("https://x",), ca_file=tmp_path / "ca.pem"))


def test_a_client_certificate_is_read_again_when_it_changes(
    certificate: Path, tmp_path: Path
) -> None:
    """Short-lived ones are replaced while the shipper runs; the next connection has the new one.

    A file that is half written meanwhile changes nothing.
    """
    mine = make_certificate(tmp_path / "client.pem")
    newer = make_certificate(tmp_path / "newer.pem")

    def trusting(client: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client)
        return context

    with BulkServer(tls=trusting(mine)) as server:
        port = server.port
        transport = HttpTransport(
            OutputConfig(
                urls=(f"https://127.0.0.1:{port}",),
                ca_file=certificate,
                client_cert_file=mine,
                client_key_file=mine,
            )
        )
        assert 200 == transport.send([BODY]).status
        mine.write_bytes(newer.read_bytes()[:500])
        transport.close()
        assert 200 == transport.send([BODY]).status  # the old one still holds
        transport.close()
        mine.write_bytes(newer.read_bytes())
        with pytest.raises(NoAnswerError):  # this centre does not know the new one
            transport.send([BODY])
    with BulkServer(tls=trusting(newer), port=port):
        assert 200 == transport.send([BODY]).status
    transport.close()


def test_a_large_body_goes_through_tls(url: str, certificate: Path) -> None:
    """In pieces, small and large."""
    transport = HttpTransport(OutputConfig(urls=(url,), ca_file=certificate))
    item = b'{"create":{"_index":"afterimage-logs-x","_id":"%d"}}\n{"message":"%b"}\n'
    pieces = [item % (number, b"y" * (number * 1000)) for number in range(200)]
    assert 200 == transport.send(pieces).status
    transport.close()
