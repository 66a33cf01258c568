"""Fixtures that every test may ask for: one real OpenSearch node for the session."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from forensics.centre.install import install_templates
from forensics.centre.node import start_node

_TIMEOUT_SECONDS = 30.0


@pytest.fixture(scope="session")
def opensearch_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real node with the index templates; started by the first test that asks."""
    with start_node(tmp_path_factory.mktemp("opensearch") / "node", heap="512m") as node:
        # In a thread of its own: asyncio.run would replace the event loop of pytest-asyncio.
        with ThreadPoolExecutor(1) as worker:
            worker.submit(asyncio.run, install_templates(node.url)).result(_TIMEOUT_SECONDS)
        yield node.url


@pytest.fixture
def opensearch_store_url(opensearch_url: str) -> str:
    """The node's URL with no index left of earlier tests."""
    delete_indices(opensearch_url)
    return opensearch_url


def delete_indices(url: str) -> None:
    """Delete every index; an append-only one can be deleted whole."""
    listing = f"{url}/_cat/indices?h=index&format=json&expand_wildcards=open,closed"
    with urllib.request.urlopen(listing, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - our node
        names = [row["index"] for row in json.load(answer)]
    for name in names:
        request = urllib.request.Request(f"{url}/{name}", method="DELETE")  # noqa: S310 - our node
        urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS).close()  # noqa: S310 - our node
