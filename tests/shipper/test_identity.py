"""Who the machine is: asked of IMDSv2 as it is, and never guessed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.config import IdentityConfig
from shipper.errors import ConfigError, UnreachableError
from shipper.identity import Imds as ImdsClient
from shipper.identity import boot_id, find_endpoint, find_identity, load_cloud_init, machine_id
from shipper.wire.record import Identity
from tests.shipper.imds_server import DOCUMENT, HOST_NAME, Imds, serve_imds

FROM_IMDS = Identity(
    instance_id="i-0123456789abcdef0",
    image_id="ami-0123456789abcdef0",
    instance_type="m7g.large",
    region="eu-central-1",
    availability_zone="eu-central-1a",
    account_id="123456789012",
    host_name=HOST_NAME,
    group="web",
)
NO_FILE = Path("/nonexistent/instance-data.json")


@pytest.fixture
def imds() -> Iterator[Imds]:
    """A metadata service of its own for each test."""
    with serve_imds() as server:
        yield server


def find(imds: Imds, config: IdentityConfig | None = None, file: Path = NO_FILE) -> Identity:
    """The identity that a shipper would find, in little time."""
    return find_identity(
        config or IdentityConfig(),
        environment={"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url},
        cloud_init_file=file,
        patience_seconds=1.0,
    )


def cloud_init(folder: Path, v1: object) -> Path:
    """A file as cloud-init leaves it."""
    file = folder / "instance-data.json"
    file.write_text(json.dumps({"base64_encoded_keys": [], "v1": v1}))
    return file


def test_imds_names_the_machine(imds: Imds) -> None:
    """Every field of the identity comes from the metadata service, with a token."""
    assert FROM_IMDS == find(imds)
    assert "PUT /latest/api/token" == imds.requests[0]


def test_no_request_goes_without_a_token(imds: Imds) -> None:
    """IMDSv1 is never used: where there is no token nothing else is asked."""
    imds.is_off = True
    with pytest.raises(UnreachableError, match="403 means that the instance's metadata is off"):
        ImdsClient(imds.url).fetch(patience_seconds=1.0)
    assert ["PUT /latest/api/token"] == imds.requests


def test_an_instance_without_tags_in_its_metadata_has_no_group(imds: Imds) -> None:
    """404 for the tag is normal: the group stays unknown, everything else is there."""
    imds.group = None
    assert "" == find(imds).group
    assert FROM_IMDS.instance_id == find(imds).instance_id


def test_a_configured_value_wins_alone(imds: Imds) -> None:
    """What the configuration says replaces that one value and no other."""
    found = find(imds, IdentityConfig(group="batch", host_name="blue"))
    assert ("batch", "blue") == (found.group, found.host_name)
    assert (FROM_IMDS.instance_id, FROM_IMDS.region) == (found.instance_id, found.region)


def test_a_configured_id_asks_nobody(imds: Imds) -> None:
    """A host without IMDS starts at once: nothing is waited for."""
    found = find(imds, IdentityConfig(instance_id="rack-7", region="cellar"))
    assert Identity(instance_id="rack-7", region="cellar", host_name=socket.gethostname()) == found
    assert [] == imds.requests


def test_an_answer_lost_on_the_way_is_asked_for_again(imds: Imds) -> None:
    """The first answer never comes, as before the network is up; the second try has it."""
    imds.swallowed_tokens = 1
    client = ImdsClient(imds.url, timeout_seconds=0.2)
    assert FROM_IMDS.instance_id == client.fetch(patience_seconds=5.0)["instance_id"]


def test_a_busy_service_is_asked_again(imds: Imds) -> None:
    """503 is a reason to wait, not to give up."""
    imds.failing_tokens = 2
    assert FROM_IMDS == find(imds)


def test_silence_ends_after_the_patience(imds: Imds) -> None:
    """A hop limit that swallows every answer costs bounded time, and at least two tries."""
    imds.swallowed_tokens = 1_000
    client = ImdsClient(imds.url, timeout_seconds=0.1)
    begun = time.monotonic()
    with pytest.raises(UnreachableError, match="timed out"):
        client.fetch(patience_seconds=0.1)
    assert 2 == len(imds.requests)
    assert time.monotonic() - begun < 5.0


def test_no_proxy_is_asked(imds: Imds, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would answer for the machine it runs on."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert FROM_IMDS == find(imds)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<html>captive portal</html>",
        "[" * 20_000,
        json.dumps([DOCUMENT]),
        json.dumps(DOCUMENT | {"instanceId": ""}),
        json.dumps(DOCUMENT | {"instanceId": 7}),
        json.dumps(DOCUMENT | {"instanceId": "i-1\x1b[31m"}),
        json.dumps(DOCUMENT | {"instanceId": "i-1 i-2"}),
    ],
)
def test_something_else_that_answers_is_not_believed(imds: Imds, document: str) -> None:
    """A captive portal or a damaged document gives an error with what to do, not a wrong id."""
    imds.document = document
    with pytest.raises(ConfigError, match=r"set identity\.instance_id in the configuration"):
        find(imds)


def test_a_strange_value_is_left_out(imds: Imds) -> None:
    """A value with control characters, or of another type, is unknown; the id still counts."""
    imds.document = json.dumps(DOCUMENT | {"region": "eu\x1b[2J", "imageId": 5, "accountId": None})
    found = find(imds)
    assert (FROM_IMDS.instance_id, "", "", "") == (
        found.instance_id, found.region, found.image_id, found.account_id,
    )  # fmt: skip


def test_cloud_init_is_asked_where_imds_is_silent(imds: Imds, tmp_path: Path) -> None:
    """Without IMDS the id that cloud-init saw at boot counts."""
    imds.is_off = True
    file = cloud_init(
        tmp_path,
        {
            "instance_id": "i-0aa",
            "region": "eu-west-1",
            "availability_zone": "eu-west-1b",
            "local_hostname": "ip-10-0-0-9",
        },
    )
    assert Identity(
        instance_id="i-0aa",
        region="eu-west-1",
        availability_zone="eu-west-1b",
        host_name="ip-10-0-0-9",
    ) == find(imds, file=file)


@pytest.mark.parametrize("v1", [None, [], {}, {"instance_id": ""}, {"instance_id": "a b"}, "x"])
def test_cloud_init_without_an_id_names_nothing(tmp_path: Path, v1: object) -> None:
    """Whatever stands in the file, no id comes out that is none."""
    assert "instance_id" not in load_cloud_init(cloud_init(tmp_path, v1))


def test_nobody_knows_the_machine(imds: Imds) -> None:
    """The error says what was tried, and both ways out."""
    imds.is_off = True
    with pytest.raises(ConfigError) as caught:
        find(imds)
    text = str(caught.value)
    assert [] == [
        word
        for word in (imds.url, "403", str(NO_FILE), "identity.instance_id", "hop limit")
        if word not in text
    ]


def test_a_closed_port_is_told(unused_url: str) -> None:
    """Connection refused is said as it is."""
    with pytest.raises(UnreachableError, match="refused"):
        ImdsClient(unused_url).fetch(patience_seconds=0.1)


@pytest.fixture
def unused_url() -> str:
    """A URL on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def test_the_endpoint_is_the_one_of_the_sdks() -> None:
    """The AWS SDKs' variable counts; unset or empty, it is the link-local address."""
    name = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    assert "http://169.254.169.254" == find_endpoint({})
    assert "http://169.254.169.254" == find_endpoint({name: ""})
    assert "http://[fd00:ec2::254]" == find_endpoint({name: "http://[fd00:ec2::254]/"})


@pytest.mark.parametrize("endpoint", ["https://x", "169.254.169.254", "http://", "http://x:y"])
def test_a_wrong_endpoint_is_refused(endpoint: str) -> None:
    """A variable that can't be meant is a configuration error that names it."""
    with pytest.raises(ConfigError, match="AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        find_endpoint({"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint})


def test_the_machine_id_is_the_first_that_is_made(tmp_path: Path) -> None:
    """An image's "uninitialized" is no id; dbus's file counts where systemd's is missing."""
    first, second = tmp_path / "machine-id", tmp_path / "dbus-machine-id"
    assert "" == machine_id((first, second))
    first.write_text("uninitialized\n")
    second.write_text("0123456789abcdef0123456789abcdef\n")
    assert "0123456789abcdef0123456789abcdef" == machine_id((first, second))


def test_the_boot_id_may_be_missing(tmp_path: Path) -> None:
    """A kernel without one gives an empty text, not an error."""
    file = tmp_path / "boot_id"
    assert "" == boot_id(file)
    file.write_text("5f0c2f5e-8a3e-4a53-9d0c-b8d9c5c6f7a1\n")
    assert "5f0c2f5e-8a3e-4a53-9d0c-b8d9c5c6f7a1" == boot_id(file)
