"""What AWS and the network answer when they don't: each told as the error that says who acts."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from forensics.aws import calls
from forensics.aws.account import connect
from forensics.errors import (
    ForensicsError,
    NotFoundError,
    RefusedError,
    StateConflictError,
    UnreachableError,
    UnsupportedError,
    UsageError,
)

pytestmark = pytest.mark.slow

Answer = tuple[int, str]
Script = Callable[[int, str], Answer]
"""(how many requests came before, body) → (status, body)."""

ENCODED = "Encoded authorization failure message: " + "x" * 500


def ec2_error(code: str, message: str = "no") -> str:
    """An error as EC2's query protocol writes it."""
    return (
        f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        "<RequestID>r</RequestID></Response>"
    )


def described(instance_ids: list[str], token: str = "") -> str:
    """A page of DescribeInstances."""
    items = "".join(
        f"<item><instancesSet><item><instanceId>{i}</instanceId></item></instancesSet></item>"
        for i in instance_ids
    )
    next_token = f"<nextToken>{token}</nextToken>" if token else ""
    return (
        '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<reservationSet>{items}</reservationSet>{next_token}</DescribeInstancesResponse>"
    )


class FakeAws:
    """An endpoint whose answers a test scripts, and that counts the requests."""

    def __init__(self) -> None:
        self.script: Script = lambda _count, _body: (200, described([]))
        self.bodies: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = fake.script(len(fake.bodies), body)
                fake.bodies.append(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer.encode())))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.thread.join(timeout=5)
        self.server.server_close()


@pytest.fixture
def fake(aws_environment: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """A scripted endpoint that the environment points at; retries wait for nothing."""
    endpoint = FakeAws()
    aws_environment.setenv("AWS_ENDPOINT_URL", endpoint.url)
    aws_environment.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", _no_wait)
    yield endpoint
    endpoint.close()


def _no_wait(_self: object, _context: object) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("status", "code", "message", "expected", "words"),
    [
        (403, "UnauthorizedOperation", f"You are not authorized. {ENCODED}", RefusedError,
         "may not ec2:StopInstances"),
        (403, "AccessDenied", "User x is not authorized to perform: ec2:CreateTags on resource: y",
         RefusedError, "may not ec2:CreateTags"),
        (401, "AuthFailure", "not able to validate", UsageError, "aws sso login"),
        (400, "ExpiredToken", "expired", UsageError, "aws sso login"),
        (400, "InvalidInstanceID.NotFound", "does not exist", NotFoundError, "check the id"),
        (400, "IncorrectInstanceState", "is not in a state", StateConflictError, "look again"),
        (400, "UnsupportedOperation", "not this type", UnsupportedError, "go on without it"),
        (400, "InvalidAction", "no such action", UnsupportedError, "go on without it"),
        (400, "SnapshotCreationPerVolumeRateExceeded", "slow", UnreachableError, "try again"),
        (400, "InvalidParameterValue", "bad", RefusedError, "did not accept"),
    ],
)  # fmt: skip
def test_each_answer_says_who_acts(
    fake: FakeAws, status: int, code: str, message: str, expected: type[ForensicsError], words: str
) -> None:
    """AWS's code decides the class, and the text says what to do next."""
    fake.script = lambda _count, _body: (status, ec2_error(code, message))
    with pytest.raises(expected) as caught:
        connect().ec2.stop_instance("i-0123456789abcdef0")
    assert expected is type(caught.value)
    assert words in str(caught.value)
    assert "StopInstances" in caught.value.what
    assert "Encoded" not in str(caught.value)


def test_throttling_is_retried_and_then_told(fake: FakeAws) -> None:
    """A bounded number of tries; then: come back later."""
    fake.script = lambda _count, _body: (503, ec2_error("RequestLimitExceeded", "slow down"))
    with pytest.raises(UnreachableError, match="RequestLimitExceeded"):
        connect().ec2.describe_instances()
    assert calls.ATTEMPTS == len(fake.bodies)


def test_throttling_that_ends_in_time_is_not_seen(fake: FakeAws) -> None:
    """The answer of the last try counts."""
    fake.script = lambda count, _body: (
        (503, ec2_error("RequestLimitExceeded"))
        if count < calls.ATTEMPTS - 1
        else (200, described(["i-0123456789abcdef0"]))
    )
    found = connect().ec2.describe_instances()
    assert ["i-0123456789abcdef0"] == [instance.instance_id for instance in found]


def test_a_snapshot_is_never_asked_for_twice(fake: FakeAws) -> None:
    """CreateSnapshots takes no token: after a lost answer the caller must look first."""
    fake.script = lambda _count, _body: (503, ec2_error("RequestLimitExceeded"))
    with pytest.raises(UnreachableError):
        connect().ec2.create_snapshots("i-0123456789abcdef0", description="d", tags={"a": "b"})
    assert 1 == len(fake.bodies)


def test_all_pages_are_joined(fake: FakeAws) -> None:
    """An empty page in the middle is not the end."""
    pages = [described(["i-1"], "a"), described([], "b"), described(["i-2", "i-3"])]
    fake.script = lambda count, _body: (200, pages[count])
    found = connect().ec2.describe_instances()
    assert ["i-1", "i-2", "i-3"] == [instance.instance_id for instance in found]
    assert "NextToken=b" in fake.bodies[2]


def test_a_page_that_fails_fails_the_whole_answer(fake: FakeAws) -> None:
    """Half a list of instances is not handed out as a list."""
    fake.script = lambda count, _body: (
        (200, described(["i-1"], "a")) if count == 0 else (403, ec2_error("UnauthorizedOperation"))
    )
    with pytest.raises(RefusedError, match="ec2:DescribeInstances"):
        connect().ec2.describe_instances()


def test_an_answer_that_is_not_aws_is_told_with_its_endpoint(fake: FakeAws) -> None:
    """A stand-in that lacks the call answers with a page of its own."""
    fake.script = lambda _count, _body: (500, "<!doctype html><title>oops</title>")
    with pytest.raises(UnsupportedError, match=fake.url):
        connect().ec2.set_auto_recovery("i-0123456789abcdef0", enabled=False)


def test_wildcards_in_names_are_taken_literally(fake: FakeAws) -> None:
    """EC2 reads `*` in a filter as anything: a case id must not match another."""
    connect().ec2.describe_snapshots(tags={"afterimage:case": "c*?1"})
    assert "Filter.1.Value.1=c%5C%2A%5C%3F1" in fake.bodies[0]


def test_nobody_listening_is_unreachable(aws_environment: pytest.MonkeyPatch) -> None:
    """A refused connection names the endpoint."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    aws_environment.setenv("AWS_ENDPOINT_URL", url)
    aws_environment.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", _no_wait)
    with pytest.raises(UnreachableError, match=url):
        connect().identity()


def test_no_credentials_is_a_usage_error(aws_environment: pytest.MonkeyPatch) -> None:
    """With the next step, and without a request."""
    aws_environment.delenv("AWS_ACCESS_KEY_ID")
    aws_environment.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UsageError, match="aws sso login"):
        connect().ec2.describe_instances()


def test_no_region_is_a_usage_error(aws_environment: pytest.MonkeyPatch) -> None:
    """Told at connecting, before any call."""
    aws_environment.delenv("AWS_REGION")
    aws_environment.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(UsageError, match="--region"):
        connect()


def test_an_unknown_profile_is_a_usage_error(aws_environment: pytest.MonkeyPatch) -> None:
    """With how to list those that exist."""
    with pytest.raises(UsageError, match="list-profiles"):
        connect("nobody")


def test_a_custom_endpoint_is_part_of_who_asks(fake: FakeAws) -> None:
    """Whoever acts must see that it is not AWS that answers."""
    caller = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn>"
        "<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
    fake.script = lambda _count, _body: (200, caller)
    identity = connect().identity()
    assert ("123456789012", "eu-west-1", fake.url) == (
        identity.account_id,
        identity.region,
        identity.endpoint,
    )
