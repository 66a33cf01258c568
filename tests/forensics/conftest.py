"""A moto server for the session, and an empty account in it for each test that asks."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from tests.forensics.moto_account import ENVIRONMENT, MotoAccount, reset_moto


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """The URL of a moto server on a free loopback port."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # it prints a line per request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which boto3 finds test credentials, a region, and nothing else."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture(scope="session")
def moto_account(moto_url: str) -> MotoAccount:
    """The account without its environment: its clients take most of a test's time to make."""
    return MotoAccount(moto_url)


@pytest.fixture
def moto(moto_account: MotoAccount, aws_environment: pytest.MonkeyPatch) -> MotoAccount:
    """An empty account; the environment points at it."""
    reset_moto(moto_account.url)
    aws_environment.setenv("AWS_ENDPOINT_URL", moto_account.url)
    return moto_account
