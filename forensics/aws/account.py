"""`connect`: an AWS account in one region, as the ports see it, with boto3's own configuration.

In: a profile's and a region's name, both optional; the environment counts as in every boto3
program, AWS_ENDPOINT_URL included. Out: an `Account`. Importing this module costs no boto3, and
connecting asks AWS nothing.
"""

from __future__ import annotations

from forensics.aws.autoscaling import BotoAutoScaling
from forensics.aws.calls import Calls
from forensics.aws.ec2 import BotoEc2
from forensics.aws.failures import missing_profile, missing_region
from forensics.aws.load_balancing import BotoLoadBalancing
from forensics.errors import UsageError
from forensics.ports import Account, CallerIdentity


class BotoAccount:
    """An account behind boto3."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.region = calls.region
        self.ec2 = BotoEc2(calls)
        self.autoscaling = BotoAutoScaling(calls)
        self.load_balancing = BotoLoadBalancing(calls)

    def identity(self) -> CallerIdentity:
        """Who asks, and where."""
        answer = self._calls.call("sts", "get_caller_identity")
        return CallerIdentity(
            account_id=str(answer.get("Account", "")),
            arn=str(answer.get("Arn", "")),
            region=self.region,
            endpoint=self._calls.endpoint(),
        )


def connect(profile: str | None = None, region: str | None = None) -> Account:
    """The account that the profile, or the environment, leads to.

    Raises:
        UsageError: boto3 is not installed, no such profile, or no region is known.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ProfileNotFound
    except ImportError as error:
        raise UsageError(
            "can't ask AWS",
            why=f"{error.name} is not installed",
            next_step="pip install 'afterimage-forensics[forensics]'",
        ) from error
    try:
        session = boto3.Session(profile_name=profile or None, region_name=region or None)
        found = session.region_name
    except ProfileNotFound as error:
        raise missing_profile(str(error)) from error
    except BotoCoreError as error:  # a configuration file that can't be read
        raise UsageError(
            "can't ask AWS", why=str(error), next_step="check ~/.aws/config and AWS_CONFIG_FILE"
        ) from error
    if not found:
        raise missing_region("no region is configured")
    return BotoAccount(Calls(session, found))
