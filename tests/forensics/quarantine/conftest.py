"""An account without the hundreds of images and snapshots that moto otherwise begins with."""

from __future__ import annotations

import pytest

from tests.forensics.moto_account import MotoAccount, reset_moto


@pytest.fixture
def moto(moto_account: MotoAccount, aws_environment: pytest.MonkeyPatch) -> MotoAccount:
    """An empty account; each look for snapshots takes a third of the time."""
    aws_environment.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    reset_moto(moto_account.url)
    aws_environment.setenv("AWS_ENDPOINT_URL", moto_account.url)
    return moto_account
