"""Every effect with its handling: how to look, how to bring it about, how long to wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from forensics.quarantine.effects import disk, instance, isolation, traffic
from forensics.quarantine.effects.scene import Handling
from forensics.quarantine.model import Effect

HANDLINGS: Final[Mapping[Effect, Handling]] = {
    Effect.TAGGED: Handling(instance.check_tagged, instance.do_tag),
    Effect.VOLUMES_KEPT: Handling(instance.check_volumes_kept, instance.do_keep_volumes),
    Effect.TERMINATION_PROTECTED: Handling(instance.check_attributes, instance.do_attribute),
    Effect.SHUTDOWN_STOPS: Handling(instance.check_attributes, instance.do_attribute),
    Effect.RECOVERY_OFF: Handling(instance.check_attributes, instance.do_attribute),
    Effect.CONSOLE_SAVED: Handling(disk.check_console, disk.do_console, shows=False),
    Effect.DETACHED: Handling(
        traffic.check_detached,
        traffic.do_detach,
        patience=lambda limits: limits.detach_seconds,
    ),
    Effect.REPLACED: Handling(
        traffic.check_replaced,
        traffic.do_nothing,
        patience=lambda limits: limits.replacement_seconds,
    ),
    Effect.SNAPSHOT_TAKEN: Handling(disk.check_snapshot, disk.do_snapshot, may_come_twice=True),
    Effect.DEREGISTERED: Handling(
        traffic.check_deregistered,
        traffic.do_deregister,
        patience=lambda limits: limits.drain_seconds,
        # Draining ends by itself, at the target group's own limit.
        late="requests were still draining",
    ),
    Effect.GROUP_MADE: Handling(isolation.check_group_made, isolation.do_make_group),
    Effect.GROUP_EMPTY: Handling(isolation.check_group_empty, isolation.do_empty_group),
    Effect.GROUP_OPEN: Handling(isolation.check_group_open, isolation.do_open_group),
    Effect.INTERFACE_GROUPED: Handling(isolation.check_interface, isolation.do_set_interface),
    Effect.STOPPED: Handling(
        instance.check_stopped,
        instance.do_stop,
        force=instance.force_stop,
        patience=lambda limits: limits.stop_seconds,
    ),
}
