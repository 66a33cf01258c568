"""The quarantine's IAM policy against the adapters' table of calls, statement by statement.

The policy is read from terraform/modules/quarantine as it is written, its few references filled in,
and requests are judged by a small evaluator of IAM's rule: a request is allowed if, for each of its
resources, some statement matches action, resource and every condition. (moto evaluates only
`StringEquals`, and AWS itself can't be asked here.)
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest

from forensics.aws.actions import OPERATIONS
from forensics.ports import CASE_TAG, GROUP_TAG, STATE_TAG

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "terraform" / "modules" / "quarantine"
ADAPTERS = ROOT / "forensics" / "aws"

EC2 = "arn:aws:ec2:eu-west-1:123456789012"
INSTANCE = f"{EC2}:instance/i-0123456789abcdef0"
VOLUME = f"{EC2}:volume/vol-1"
SECURITY_GROUP = f"{EC2}:security-group/sg-1"
INTERFACE = f"{EC2}:network-interface/eni-1"
VPC = f"{EC2}:vpc/vpc-1"
SNAPSHOT = "arn:aws:ec2:eu-west-1::snapshot/snap-1"
GROUP = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:uuid:autoScalingGroupName/web"
TARGETS = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067"

ARMED = {"aws:ResourceTag/afterimage:armed": "true"}
OURS = {"aws:ResourceTag/afterimage:purpose": "quarantine"}

REFERENCES: Mapping[str, str | list[str]] = {
    "local.ec2": EC2,
    "local.snapshots": "arn:aws:ec2:eu-west-1::snapshot/*",
    "local.groups": "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*",
    "local.targets": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/*",
    "local.vpcs": [VPC],
    "var.target_tag.key": "afterimage:armed",
    "var.target_tag.value": "true",
}

MANAGED_POLICY_CHARACTERS = 6144
"""AWS's limit for a managed policy, white space not counted."""

Context = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A test of one key of the request."""

    test: str
    key: str
    values: Sequence[str]

    def holds(self, context: Context) -> bool:
        """Whether it is true of the request."""
        value = context.get(self.key)
        if self.test == "Null":
            return (value is None) == (self.values[0] == "true")
        given = [value] if isinstance(value, str) else list(value or ())
        quantifier, _, test = self.test.rpartition(":")
        exact = {"StringEquals": True, "StringLike": False, "ArnLike": False}[test]
        matches = [
            any(one == wanted if exact else fnmatchcase(one, wanted) for wanted in self.values)
            for one in given
        ]
        # ForAllValues holds of an absent key too; without it an absent key fails.
        return all(matches) if quantifier == "ForAllValues" else bool(matches) and all(matches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement that allows."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Sequence[Condition]

    def allows(self, action: str, resource: str, context: Context) -> bool:
        """Whether it allows that action on that resource."""
        return (
            action in self.actions
            and any(fnmatchcase(resource, pattern) for pattern in self.resources)
            and all(condition.holds(context) for condition in self.conditions)
        )


def resolve(value: Any) -> Any:
    """What an expression of the module stands for; KeyError: the test does not know it."""
    if isinstance(value, list):
        return [resolve(item) for item in value]
    text = str(value)
    if text.startswith('"'):
        text = str(json.loads(text))
        return re.sub(r"\$\{([a-z0-9_.]+)\}", lambda match: str(REFERENCES[match[1]]), text)
    whole = re.fullmatch(r"\$\{([a-z0-9_.]+)\}", text)
    return REFERENCES[whole[1] if whole else text]


@cache
def read_policy() -> tuple[Statement, ...]:
    """The module's statements."""
    parsed = hcl2.loads((MODULE / "main.tf").read_text())
    [document] = [
        named['"quarantine"']
        for block in parsed["data"]
        if (named := block.get('"aws_iam_policy_document"'))
    ]
    return tuple(
        Statement(
            sid=resolve(statement["sid"]),
            actions=resolve(statement["actions"]),
            resources=resolve(statement["resources"]),
            conditions=tuple(
                Condition(
                    test=resolve(condition["test"]),
                    key=resolve(condition["variable"]),
                    values=resolve(condition["values"]),
                )
                for condition in statement.get("condition", ())
            ),
        )
        for statement in document["statement"]
    )


def is_allowed(action: str, resources: Mapping[str, Context]) -> bool:
    """IAM's rule: every resource of the request is allowed by some statement."""
    return all(
        any(statement.allows(action, resource, context) for statement in read_policy())
        for resource, context in resources.items()
    )


def find_calls() -> Iterator[tuple[str, str]]:
    """(service, operation) of every call in the adapters' source."""
    for path in sorted(ADAPTERS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"call", "pages"}
                and len(node.args) > 1
            ):
                service, name = node.args[0], node.args[1]
                assert isinstance(service, ast.Constant), f"{path}: a service that is no literal"
                assert isinstance(name, ast.Constant), f"{path}: an operation that is no literal"
                yield str(service.value), str(name.value)


def test_the_table_names_what_the_adapters_call_and_nothing_else() -> None:
    """A right that nothing needs would stay in the policy for ever."""
    assert set(OPERATIONS) == set(find_calls())


def test_the_policy_allows_the_actions_of_the_table_and_no_other() -> None:
    """Neither a call that is refused at three in the morning, nor a right too many."""
    needed = {action for operation in OPERATIONS.values() for action in operation.actions}
    granted = {action for statement in read_policy() for action in statement.actions}
    assert needed == granted


def test_every_step_of_a_plan_names_an_allowed_action() -> None:
    """What `--dry-run` prints as a call is a right that the role has."""
    named = {
        action
        for path in (ROOT / "forensics" / "quarantine").rglob("*.py")
        for action in re.findall(
            r'"((?:ec2|autoscaling|elasticloadbalancing):[A-Z]\w+)"', path.read_text()
        )
    }
    granted = {action for statement in read_policy() for action in statement.actions}
    assert named
    assert set() == named - granted


def test_only_reads_are_allowed_on_everything() -> None:
    """A statement for all resources, or without a condition, writes nothing by itself."""
    for statement in read_policy():
        if "*" in statement.resources:
            assert all(":Describe" in action for action in statement.actions), statement.sid


def test_the_policy_fits_into_a_managed_policy() -> None:
    """AWS refuses a longer one, at the worst time."""
    written = [
        {
            "Sid": statement.sid,
            "Effect": "Allow",
            "Action": statement.actions,
            "Resource": statement.resources,
            "Condition": [
                {condition.test: {condition.key: condition.values}}
                for condition in statement.conditions
            ],
        }
        for statement in read_policy()
    ]
    assert MANAGED_POLICY_CHARACTERS > len(json.dumps(written, separators=(",", ":"))) + 200


CREATED = {f"aws:RequestTag/{CASE_TAG}": "c1"}
ALLOWED: list[tuple[str, dict[str, Context]]] = [
    ("ec2:DescribeInstances", {"*": {}}),
    ("ec2:GetConsoleOutput", {INSTANCE: ARMED}),
    ("ec2:ModifyInstanceAttribute", {INSTANCE: ARMED}),
    ("ec2:ModifyInstanceAttribute", {INSTANCE: ARMED, VOLUME: {}}),
    ("ec2:StopInstances", {INSTANCE: ARMED}),
    ("ec2:CreateTags", {INSTANCE: ARMED | {"aws:TagKeys": [CASE_TAG, STATE_TAG, GROUP_TAG]}}),
    ("ec2:CreateTags", {SNAPSHOT: {"ec2:CreateAction": "CreateSnapshots"}}),
    ("ec2:CreateTags", {SNAPSHOT: {"ec2:CreateAction": "CreateSnapshot"}}),
    ("ec2:CreateTags", {SECURITY_GROUP: {"ec2:CreateAction": "CreateSecurityGroup"}}),
    ("ec2:CreateSnapshots", {INSTANCE: ARMED, VOLUME: {}, SNAPSHOT: CREATED}),
    ("ec2:CreateSnapshot", {VOLUME: {}, SNAPSHOT: CREATED}),
    (
        "ec2:CreateSecurityGroup",
        {SECURITY_GROUP: {"aws:RequestTag/afterimage:purpose": "quarantine"}, VPC: {}},
    ),
    ("ec2:RevokeSecurityGroupEgress", {SECURITY_GROUP: OURS}),
    ("ec2:AuthorizeSecurityGroupIngress", {SECURITY_GROUP: OURS}),
    ("ec2:ModifyNetworkInterfaceAttribute", {INTERFACE: {"ec2:Vpc": VPC}, SECURITY_GROUP: OURS}),
    ("autoscaling:DetachInstances", {GROUP: ARMED}),
    ("elasticloadbalancing:DeregisterTargets", {TARGETS: ARMED}),
]
UNARMED = {"aws:ResourceTag/afterimage:armed": "no"}
REFUSED: list[tuple[str, dict[str, Context]]] = [
    ("ec2:TerminateInstances", {INSTANCE: ARMED}),
    ("ec2:DeleteSnapshot", {SNAPSHOT: {}}),
    ("ec2:StopInstances", {INSTANCE: {}}),
    ("ec2:StopInstances", {INSTANCE: UNARMED}),
    ("ec2:StopInstances", {INSTANCE.replace("123456789012", "999999999999"): ARMED}),
    ("ec2:StopInstances", {INSTANCE.replace("eu-west-1", "us-east-1"): ARMED}),
    ("ec2:ModifyInstanceAttribute", {INSTANCE: {}, VOLUME: {}}),
    ("ec2:GetConsoleOutput", {INSTANCE: {}}),
    ("ec2:CreateTags", {INSTANCE: {"aws:TagKeys": [CASE_TAG]}}),
    ("ec2:CreateTags", {INSTANCE: ARMED | {"aws:TagKeys": [CASE_TAG, "afterimage:armed"]}}),
    ("ec2:CreateTags", {INSTANCE: {"ec2:CreateAction": "CreateSnapshots"}}),
    ("ec2:CreateTags", {SNAPSHOT: {}}),
    ("ec2:CreateTags", {SECURITY_GROUP: {}}),
    ("ec2:CreateTags", {SECURITY_GROUP: OURS}),
    ("ec2:CreateSnapshots", {INSTANCE: {}, VOLUME: {}, SNAPSHOT: CREATED}),
    ("ec2:CreateSnapshots", {INSTANCE: ARMED, VOLUME: {}, SNAPSHOT: {}}),
    ("ec2:CreateSecurityGroup", {SECURITY_GROUP: {}, VPC: {}}),
    (
        "ec2:CreateSecurityGroup",
        {
            SECURITY_GROUP: {"aws:RequestTag/afterimage:purpose": "quarantine"},
            f"{EC2}:vpc/vpc-other": {},
        },
    ),
    ("ec2:AuthorizeSecurityGroupIngress", {SECURITY_GROUP: {}}),
    ("ec2:RevokeSecurityGroupEgress", {SECURITY_GROUP: {}}),
    ("ec2:ModifyNetworkInterfaceAttribute", {INTERFACE: {"ec2:Vpc": VPC}, SECURITY_GROUP: {}}),
    (
        "ec2:ModifyNetworkInterfaceAttribute",
        {INTERFACE: {"ec2:Vpc": f"{EC2}:vpc/vpc-other"}, SECURITY_GROUP: OURS},
    ),
    ("autoscaling:DetachInstances", {GROUP: {}}),
    ("elasticloadbalancing:DeregisterTargets", {TARGETS: UNARMED}),
]


@pytest.mark.parametrize(("action", "resources"), ALLOWED)
def test_what_the_quarantine_does_is_allowed(action: str, resources: dict[str, Context]) -> None:
    """Each call on what is armed, with the tags that it gives."""
    assert is_allowed(action, resources)


@pytest.mark.parametrize(("action", "resources"), REFUSED)
def test_what_it_must_not_do_is_refused(action: str, resources: dict[str, Context]) -> None:
    """Unarmed things, foreign tags, other accounts, regions and VPCs, and every way to destroy."""
    assert not is_allowed(action, resources)


@pytest.mark.everything
def test_terraform_finds_the_files_well_formed() -> None:
    """Syntax and layout, by Terraform itself; it needs no provider for that."""
    terraform = shutil.which("terraform")
    assert terraform, "terraform is not on PATH"
    done = subprocess.run(
        [terraform, "fmt", "-check", "-recursive", "-diff", str(ROOT / "terraform")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stdout)
