"""EC2's adapter against moto: every read and write of the port, each looked at from outside."""

from __future__ import annotations

import pytest

from forensics.errors import NotFoundError, StateConflictError, UnsupportedError
from forensics.ports import SecurityRule
from tests.forensics.moto_account import REGION, MotoAccount

UNKNOWN_ID = "i-0000000000000000f"


def test_an_instance_is_described_with_what_the_quarantine_needs(moto: MotoAccount) -> None:
    """State, image, group tag, volumes, interfaces and account come as plain values."""
    group = moto.build_group(2)
    [instance] = moto.account.ec2.describe_instances(frozenset(group.instance_ids[:1]))
    assert group.instance_ids[0] == instance.instance_id
    assert "running" == instance.state
    assert group.image_id == instance.image_id
    assert group.name == instance.tags["aws:autoscaling:groupName"]
    assert f"{REGION}a" == instance.availability_zone
    assert "123456789012" == instance.account_id
    assert 30 == len(instance.launched_at)
    assert 1 == len(instance.block_devices)
    assert 1 == len(instance.interface_ids)
    assert instance.instance_id == instance.raw["InstanceId"]


def test_an_unknown_instance_is_absent_and_does_not_hide_the_known(moto: MotoAccount) -> None:
    """Asking for a forgotten id beside a living one answers the living one."""
    group = moto.build_group(1)
    found = moto.account.ec2.describe_instances(frozenset((UNKNOWN_ID, *group.instance_ids)))
    assert list(group.instance_ids) == [instance.instance_id for instance in found]


def test_more_ids_than_one_filter_takes_are_all_asked_for(moto: MotoAccount) -> None:
    """200 ids, one of them known, go in several requests and find the known one."""
    group = moto.build_group(1)
    ids = {f"i-{number:017x}" for number in range(200)} | set(group.instance_ids)
    found = moto.account.ec2.describe_instances(frozenset(ids))
    assert list(group.instance_ids) == [instance.instance_id for instance in found]


def test_protection_is_set_attribute_by_attribute(moto: MotoAccount) -> None:
    """Volumes stay on termination, EC2 refuses a termination, a shutdown from inside stops."""
    instance_id = moto.build_group(1).instance_ids[0]
    ec2 = moto.account.ec2
    ec2.set_shutdown_behavior(instance_id, "terminate")
    before = ec2.describe_instance_attributes(instance_id)
    assert ("terminate", False) == (before.shutdown_behavior, before.termination_protected)
    [instance] = ec2.describe_instances(frozenset((instance_id,)))
    devices = {device.device_name: False for device in instance.block_devices}
    ec2.set_delete_on_termination(instance_id, devices)
    ec2.set_termination_protection(instance_id, enabled=True)
    ec2.set_shutdown_behavior(instance_id, "stop")
    after = ec2.describe_instance_attributes(instance_id)
    assert ("stop", True, False) == (
        after.shutdown_behavior,
        after.termination_protected,
        after.stop_protected,
    )
    [instance] = ec2.describe_instances(frozenset((instance_id,)))
    assert [False] == [device.delete_on_termination for device in instance.block_devices]


def test_a_call_that_the_endpoint_lacks_is_told_apart(moto: MotoAccount) -> None:
    """The stand-in has no ModifyInstanceMaintenanceOptions: the quarantine may go on without it."""
    instance_id = moto.build_group(1).instance_ids[0]
    with pytest.raises(UnsupportedError, match="ModifyInstanceMaintenanceOptions"):
        moto.account.ec2.set_auto_recovery(instance_id, enabled=False)


def test_snapshots_carry_their_tags_and_are_found_by_tag_and_by_volume(moto: MotoAccount) -> None:
    """What a second run looks for before it creates anything is there."""
    instance_id = moto.build_group(1).instance_ids[0]
    ec2 = moto.account.ec2
    [volume] = ec2.describe_volumes(instance_id=instance_id)
    [made] = ec2.create_snapshots(instance_id, description="d", tags={"afterimage:case": "c1"})
    ec2.create_snapshots(instance_id, description="d", tags={"afterimage:case": "c2"})
    [found] = ec2.describe_snapshots(tags={"afterimage:case": "c1"})
    assert made.snapshot_id == found.snapshot_id
    assert ("completed", volume.volume_id, 8) == (found.state, found.volume_id, found.size_gib)
    assert 2 == len(ec2.describe_snapshots(volume_ids=frozenset((volume.volume_id,))))
    assert 2 == len(ec2.describe_snapshots(tag_key="afterimage:case"))
    assert [] == ec2.describe_snapshots(snapshot_ids=frozenset(("snap-00000000000000000",)))


def test_a_single_volume_is_snapshotted_with_its_tags(moto: MotoAccount) -> None:
    """The way for a volume that outlived its instance."""
    instance_id = moto.build_group(1).instance_ids[0]
    ec2 = moto.account.ec2
    [volume] = ec2.describe_volumes(instance_id=instance_id)
    made = ec2.create_snapshot(volume.volume_id, description="d", tags={"afterimage:case": "c1"})
    [found] = ec2.describe_snapshots(tags={"afterimage:case": "c1"})
    assert (made.snapshot_id, volume.volume_id) == (found.snapshot_id, found.volume_id)


def test_unknown_volumes_are_absent(moto: MotoAccount) -> None:
    """A volume that went with its instance is no error."""
    unknown = frozenset(("vol-00000000000000000",))
    assert [] == moto.account.ec2.describe_volumes(volume_ids=unknown)


def test_a_security_group_can_be_made_empty(moto: MotoAccount) -> None:
    """Created with tags, found by name, and left without any rule, IPv6 included."""
    group = moto.build_group(1)
    moto.ec2.associate_vpc_cidr_block(VpcId=group.vpc_id, AmazonProvidedIpv6CidrBlock=True)
    ec2 = moto.account.ec2
    assert ec2.find_security_group(name="closed", vpc_id=group.vpc_id) is None
    made = ec2.create_security_group(
        name="closed", vpc_id=group.vpc_id, description="d", tags={"afterimage:case": "c1"}
    )
    with pytest.raises(StateConflictError, match=r"InvalidPermission\.Duplicate"):
        ec2.authorize_egress(made.group_id, [SecurityRule(protocol="-1", cidr_ipv6="::/0")])
    found = ec2.find_security_group(name="closed", vpc_id=group.vpc_id)
    assert found is not None
    assert {"0.0.0.0/0", "::/0"} == {rule.cidr_ipv4 or rule.cidr_ipv6 for rule in found.egress}
    ec2.revoke_egress(found.group_id, found.egress)
    found = ec2.find_security_group(name="closed", vpc_id=group.vpc_id)
    assert found is not None
    assert ((), (), "c1") == (found.ingress, found.egress, found.tags["afterimage:case"])
    with pytest.raises(StateConflictError, match=r"InvalidGroup\.Duplicate"):
        ec2.create_security_group(name="closed", vpc_id=group.vpc_id, description="d", tags={})


def test_an_interface_gets_exactly_the_groups_that_were_named(moto: MotoAccount) -> None:
    """Groups are replaced, not appended."""
    group = moto.build_group(1)
    ec2 = moto.account.ec2
    made = ec2.create_security_group(
        name="closed", vpc_id=group.vpc_id, description="d", tags={"a": "b"}
    )
    [interface] = ec2.describe_network_interfaces(group.instance_ids[0])
    assert group.vpc_id == interface.vpc_id
    ec2.set_interface_groups(interface.interface_id, [made.group_id])
    [interface] = ec2.describe_network_interfaces(group.instance_ids[0])
    assert (made.group_id,) == tuple(interface.group_ids)


def test_the_console_output_is_text(moto: MotoAccount) -> None:
    """Decoded, with its time."""
    output = moto.account.ec2.get_console_output(moto.build_group(1).instance_ids[0], latest=True)
    assert output.text.startswith("Linux version")
    assert 30 == len(output.at)


def test_a_stopped_instance_says_when_and_by_whom(moto: MotoAccount) -> None:
    """The transition reason and the state reason come through."""
    instance_id = moto.build_group(1).instance_ids[0]
    moto.account.ec2.stop_instance(instance_id)
    [instance] = moto.account.ec2.describe_instances(frozenset((instance_id,)))
    assert "stopped" == instance.state
    assert "Client.UserInitiatedShutdown: User initiated shutdown" == instance.state_reason
    assert instance.state_transition_reason.startswith("User initiated (")


def test_writing_to_an_unknown_instance_is_not_found(moto: MotoAccount) -> None:
    """The id's absence is told as such, with what to check."""
    with pytest.raises(NotFoundError, match="check the id, the account and the region"):
        moto.account.ec2.stop_instance(UNKNOWN_ID)
