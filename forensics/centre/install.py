"""The index templates of a centre: put in place, or compared with what stands there.

In: an OpenSearch and the number of replicas. Out: what was done or differs, one line each. Doing it
twice changes nothing the second time. It must never touch an index or another one's template.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dashboards.fields import FAMILIES, load_template
from forensics.store.opensearch_client import OpenSearchClient

APPEND_ONLY_SINCE: Final = (3, 0)
_APPEND_ONLY: Final = "index.append_only.enabled"
_REPLICAS: Final = "index.number_of_replicas"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateState:
    """One template against what stands in the cluster."""

    name: str
    differences: tuple[str, ...]
    """Empty: as it should be. Each line names a key, what stands there and what should."""
    notes: tuple[str, ...] = ()
    """What this cluster can't give, for a person."""


async def install_templates(url: str, *, replicas: int | None = None) -> list[TemplateState]:
    """Put every template that differs; returns what stood there before.

    `replicas` None: one where there is more than one data node, else none.

    Raises:
        UsageError, UnreachableError, TimedOutError, RefusedError: see OpenSearchClient.request.
    """
    async with contextlib.aclosing(OpenSearchClient.from_environment(url)) as client:
        states = []
        for state, wanted in await _compare(client, replicas):
            states.append(state)
            if state.differences:
                await client.request("PUT", f"/_index_template/{state.name}", wanted)
        return states


async def check_templates(url: str, *, replicas: int | None = None) -> list[TemplateState]:
    """What `install_templates` would do; changes nothing."""
    async with contextlib.aclosing(OpenSearchClient.from_environment(url)) as client:
        return [state for state, _ in await _compare(client, replicas)]


async def _compare(
    client: OpenSearchClient, replicas: int | None
) -> list[tuple[TemplateState, dict[str, Any]]]:
    version = str((await client.fetch_greeting())["number"])
    if replicas is None:
        health = await client.request("GET", "/_cluster/health")
        replicas = min(1, health["number_of_data_nodes"] - 1)
    result = []
    for family in FAMILIES:
        name = f"afterimage-{family}"
        wanted, notes = plan_template(family, version, replicas)
        answer = await client.request(
            "GET", f"/_index_template/{name}", absent={"index_templates": []}
        )
        found = next((row["index_template"] for row in answer["index_templates"]), None)
        differences = ("is missing",) if found is None else find_differences(found, wanted)
        result.append((TemplateState(name=name, differences=differences, notes=notes), wanted))
    return result


def plan_template(
    family: str, version: str, replicas: int
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The template that a cluster of that version gets, and what it can't have there."""
    template = load_template(family)
    settings = template["template"]["settings"]
    settings[_REPLICAS] = replicas
    major, minor = (int(part) for part in version.split(".")[:2])
    if _APPEND_ONLY in settings and (major, minor) < APPEND_ONLY_SINCE:
        del settings[_APPEND_ONLY]
        note = f"OpenSearch {version} has no append-only indices: stored {family} can be changed"
        return template, (f"{note}; from 3.0 on they are refused by the store itself",)
    return template, ()


def find_differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys whose values differ, whatever way OpenSearch nests and quotes them."""
    there, here = _flatten(found), _flatten(wanted)
    return tuple(
        f"{key} is {there.get(key, 'absent')}, should be {here.get(key, 'absent')}"
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key)
    )


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, member in value.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(member, Mapping) and member:
            flat |= _flatten(member, name)
        elif member not in ({}, []):  # OpenSearch leaves out what is empty, or adds it
            flat[name] = str(member).lower()
    return flat
