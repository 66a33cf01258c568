"""Effects that keep what the instance held: its console's text and its volumes' snapshots.

In: a call of the plan. Out: a look, or AWS's answer. Must never make a second set where one of the
same case and phase exists: there is no client token, so it looks before it creates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forensics.errors import NotFoundError, UnsupportedError
from forensics.ports import CASE_TAG, INSTANCE_TAG, Snapshot
from forensics.quarantine.effects.scene import Check, Scene, Seen
from forensics.quarantine.model import PHASE_TAG, Call


def check_console(scene: Scene, _call: Call) -> Check:
    """Whether the console's text is kept, with its custody entry."""
    return Check(Seen.DONE if scene.papers.has_console() else Seen.TODO)


def do_console(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Ask for the console's text of now, or the last one that EC2 kept, and keep it."""
    instance_id = call.parameters["InstanceId"]
    try:
        output = scene.account.ec2.get_console_output(instance_id, latest=True)
    except UnsupportedError:  # Latest is offered on Nitro only
        output = scene.account.ec2.get_console_output(instance_id, latest=False)
    if not output.text:
        return {"text": "EC2 has no console output of it (yet)"}
    return scene.papers.keep_console(output)


def check_snapshot(scene: Scene, call: Call) -> Check:
    """Whether this phase has a snapshot of every volume that still exists."""
    found = _snapshots(scene, call)
    if not found:
        return Check(Seen.TODO, "no snapshot of this phase")
    ids = sorted(snapshot.snapshot_id for snapshot in found)
    missing = _volumes_without(scene, found)
    if missing:
        return Check(Seen.TODO, f"no snapshot of {', '.join(missing)}", ids)
    for snapshot in found:
        scene.papers.note_snapshot(snapshot)
    return Check(Seen.DONE, ", ".join(ids), ids)


def do_snapshot(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Make one set over the instance, then what is missing volume by volume."""
    found, instance = _snapshots(scene, call), scene.instance()
    tags = {tag["Key"]: tag["Value"] for tag in call.parameters["TagSpecifications"][0]["Tags"]}
    description = call.parameters["Description"]
    made: list[Snapshot] = []
    if not found and instance is not None and instance.state != "terminated":
        made = list(
            scene.account.ec2.create_snapshots(
                instance.instance_id, description=description, tags=tags
            )
        )
    # Volumes that outlived the instance, or were left out, get theirs one by one.
    for volume_id in _volumes_without(scene, [*found, *made]):
        made.append(
            scene.account.ec2.create_snapshot(volume_id, description=description, tags=tags)
        )
    if not found and not made:
        raise NotFoundError(
            "there is nothing left to snapshot",
            why="AWS made no snapshot, and none of the instance's volumes exists any more",
        )
    for snapshot in made:
        scene.created[snapshot.snapshot_id] = snapshot
    return {"snapshots": {snapshot.snapshot_id: snapshot.volume_id for snapshot in made}}


def _snapshots(scene: Scene, call: Call) -> Sequence[Snapshot]:
    wanted = {
        tag["Key"]: tag["Value"]
        for tag in call.parameters["TagSpecifications"][0]["Tags"]
        if tag["Key"] in {CASE_TAG, INSTANCE_TAG, PHASE_TAG}
    }
    found = {
        snapshot.snapshot_id: snapshot
        for snapshot in scene.account.ec2.describe_snapshots(tags=wanted)
        if snapshot.state != "error"
    }
    for snapshot in scene.created.values():
        if all(snapshot.tags.get(key) == value for key, value in wanted.items()):
            found.setdefault(snapshot.snapshot_id, snapshot)
    return list(found.values())


def _volumes_without(scene: Scene, snapshots: Sequence[Snapshot]) -> Sequence[str]:
    volumes = frozenset(scene.plan.volume_ids) - {snapshot.volume_id for snapshot in snapshots}
    existing = scene.account.ec2.describe_volumes(volume_ids=volumes) if volumes else ()
    return sorted(volume.volume_id for volume in existing)
