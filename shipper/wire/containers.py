"""What the path of a container's log says of the container.

In: a path, as Docker's json-file and the kubelet lay them out. Out: ECS fields. Pure. It must never
guess: a path of another form says nothing.
"""

from __future__ import annotations

import re
from typing import Final

_FORMS: Final = (
    # /var/lib/docker/containers/4f2d…/4f2d…-json.log, rotated: -json.log.1
    re.compile(
        r".*/containers/(?P<container_id>[0-9a-f]{64})/(?P=container_id)-json\.log(?:\..*)?"
    ),
    # /var/log/containers/shop-7d9f_prod_web-4f2d….log: names have no underscore
    re.compile(
        r".*/containers/(?P<pod>[^/_]+)_(?P<namespace>[^/_]+)_(?P<container>[^/_]+)"
        r"-(?P<container_id>[0-9a-f]{64})\.log"
    ),
    # /var/log/pods/prod_shop-7d9f_5d0c…/web/0.log, rotated: 0.log.20260103-140512
    re.compile(
        r".*/pods/(?P<namespace>[^/_]+)_(?P<pod>[^/_]+)_(?P<uid>[^/_]+)/(?P<container>[^/]+)"
        r"/\d+\.log(?:\..*)?"
    ),
)
_NAMES: Final = {
    "container_id": ("container.id",),
    "container": ("kubernetes.container.name", "container.name"),
    "namespace": ("kubernetes.namespace",),
    "pod": ("kubernetes.pod.name",),
    "uid": ("kubernetes.pod.uid",),
}


def container_fields(path: str) -> dict[str, str]:
    """The fields that the path of a container's log gives; empty: it is none."""
    for form in _FORMS:
        match = form.fullmatch(path)
        if match is not None:
            return {
                name: value for group, value in match.groupdict().items() for name in _NAMES[group]
            }
    return {}
