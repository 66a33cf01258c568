"""Effects on the instance itself: tags, attributes that protect it, and its stop.

In: a call of the plan. Out: a look, or AWS's answer to the one request. Must never wait or retry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from forensics.ports import STATE_TAG
from forensics.quarantine.effects.scene import Check, Scene, Seen
from forensics.quarantine.model import CLAIMED, QUARANTINED, QUARANTINED_RUNNING, Call, Effect

_BEYOND_CLAIMED: Final = frozenset((CLAIMED, QUARANTINED, QUARANTINED_RUNNING))
_GONE: Final = Check(Seen.IMPOSSIBLE, "EC2 no longer knows the instance")
_TERMINATED: Final = Check(Seen.IMPOSSIBLE, "the instance is terminated")


def check_tagged(scene: Scene, call: Call) -> Check:
    """Whether the instance has the tags."""
    instance = scene.instance()
    if instance is None:
        return _GONE
    missing = [
        tag["Key"]
        for tag in call.parameters["Tags"]
        if not _has_tag(instance.tags.get(tag["Key"]), tag)
    ]
    return Check(Seen.TODO, f"without {', '.join(missing)}") if missing else Check(Seen.DONE)


def _has_tag(value: str | None, wanted: Mapping[str, str]) -> bool:
    # A case that went further than claimed is claimed, too.
    if wanted["Key"] == STATE_TAG and wanted["Value"] == CLAIMED:
        return value in _BEYOND_CLAIMED
    return value == wanted["Value"]


def do_tag(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Set the tags."""
    tags = {tag["Key"]: tag["Value"] for tag in call.parameters["Tags"]}
    scene.account.ec2.create_tags(call.parameters["Resources"], tags)
    return {}


def check_volumes_kept(scene: Scene, call: Call) -> Check:
    """Whether every volume would outlive the instance."""
    instance = scene.instance()
    if instance is None or instance.state == "terminated":
        return _TERMINATED
    wanted = {mapping["DeviceName"] for mapping in call.parameters["BlockDeviceMappings"]}
    doomed = sorted(
        device.volume_id
        for device in instance.block_devices
        if device.device_name in wanted and device.delete_on_termination
    )
    if doomed:
        return Check(Seen.TODO, f"{', '.join(doomed)} would go with the instance")
    return Check(Seen.DONE)


def do_keep_volumes(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Let every volume outlive the instance."""
    devices = {
        mapping["DeviceName"]: mapping["Ebs"]["DeleteOnTermination"]
        for mapping in call.parameters["BlockDeviceMappings"]
    }
    scene.account.ec2.set_delete_on_termination(call.parameters["InstanceId"], devices)
    return {}


def check_attributes(scene: Scene, call: Call) -> Check:
    """Whether the one attribute that the call is about is as wanted."""
    instance = scene.instance()
    if instance is None or instance.state == "terminated":
        return _TERMINATED
    if call.effect is Effect.RECOVERY_OFF:
        return Check(Seen.DONE if instance.auto_recovery == "disabled" else Seen.TODO)
    attributes = scene.account.ec2.describe_instance_attributes(scene.plan.instance_id)
    if call.effect is Effect.SHUTDOWN_STOPS:
        return Check(Seen.DONE if attributes.shutdown_behavior == "stop" else Seen.TODO)
    return Check(Seen.DONE if attributes.termination_protected else Seen.TODO)


def do_attribute(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Set the one attribute that the call is about."""
    ec2, instance_id = scene.account.ec2, call.parameters["InstanceId"]
    if call.effect is Effect.RECOVERY_OFF:
        ec2.set_auto_recovery(instance_id, enabled=call.parameters["AutoRecovery"] != "disabled")
    elif call.effect is Effect.SHUTDOWN_STOPS:
        ec2.set_shutdown_behavior(instance_id, call.parameters["Value"])
    else:
        enabled = call.parameters["DisableApiTermination"]["Value"]
        ec2.set_termination_protection(instance_id, enabled=enabled)
    return {}


def check_stopped(scene: Scene, _call: Call) -> Check:
    """Whether it has stopped."""
    instance = scene.instance()
    if instance is None:
        return _GONE
    match instance.state:
        case "stopped" | "terminated":
            return Check(Seen.DONE, f"it is {instance.state}")
        case "running":
            return Check(Seen.TODO, "it is running")
        case state:
            return Check(Seen.COMING, f"it is {state}")


def do_stop(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Ask it to stop."""
    (instance_id,) = call.parameters["InstanceIds"]
    scene.account.ec2.stop_instance(instance_id)
    return {}


def force_stop(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Stop it without waiting for its operating system."""
    (instance_id,) = call.parameters["InstanceIds"]
    scene.account.ec2.stop_instance(instance_id, force=True)
    return {"Force": True}
