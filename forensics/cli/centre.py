"""`forensics collector`, `opensearch up`, `centre install|check`: what stores the logs."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from forensics.cli.options import Invocation, global_options
from forensics.errors import ForensicsError, UsageError

if TYPE_CHECKING:
    from forensics.centre.install import TemplateState
    from forensics.centre.node import Node

CENTRE_SCHEMA = "afterimage.centre/1"


@click.command(
    short_help="Store what shippers send in a SQLite file.",
    help="""\b
forensics collector --listen 127.0.0.1:9200 --store ./logs.sqlite

Answer `_bulk` over a SQLite file, for shippers and whatever else speaks OpenSearch's protocol; a
request is answered once its documents are on the disk. Prints its URL when it is ready. It has no
authentication: listen on loopback, or behind something that has.
""",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:9200",
    show_default=True,
    help="Where to answer; port 0 takes a free one.",
)
@global_options("store")
@click.pass_obj
def collector(invocation: Invocation, listen: str) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from forensics.cli.output import narrate
    from forensics.cli.session import run_async
    from forensics.collect.server import run_collector

    location = invocation.settings().require_store()
    if "://" in location:
        raise UsageError(
            f"the collector can't keep its records in {location!r}",
            why="it writes a SQLite file",
            next_step="give --store FILE; a shipper can send to an OpenSearch directly",
        )
    path = Path(location.removeprefix("sqlite:")).expanduser()

    def say_ready(url: str) -> None:
        click.echo(url)
        narrate(f"storing in {path}; look with: forensics --store {path} instances")

    run_async(run_collector(listen, path, ready=say_ready))
    return 0


@click.group(
    short_help="Run a real OpenSearch node on this machine.",
    help="""\b
forensics opensearch up --port 9200

A real OpenSearch node on this machine, to try and to test with: loopback only, no security plugin.
""",
)
def opensearch() -> None:
    """Commands of the local node."""


@opensearch.command(
    "up",
    short_help="Start the node; runs until Ctrl-C.",
    help="""\b
forensics opensearch up --port 9200 --heap 1g

Start a node, install the index templates, print its URL, and run until Ctrl-C or SIGTERM. The first
start fetches OpenSearch's archives (about 100 MB); the data stay for the next start.
""",
)
@click.option("--port", type=int, help="Default: a free one from 9201 on.")
@click.option("--heap", metavar="SIZE", default="1g", show_default=True, help="512m, 2g, …")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where it keeps its data. Default: the user's data folder.",
)
@global_options()
@click.pass_obj
def up(_invocation: Invocation, port: int | None, heap: str, data: Path | None) -> int:
    """Start the node and wait."""
    from forensics.centre.install import install_templates
    from forensics.centre.node import default_data_directory, start_node
    from forensics.cli.output import narrate
    from forensics.cli.session import run_async

    signal.signal(signal.SIGTERM, _interrupt)
    with start_node(data or default_data_directory(), port=port, heap=heap, report=narrate) as node:
        states = run_async(install_templates(node.url))
        for note in dict.fromkeys(note for state in states for note in state.notes):
            narrate(note)
        return _wait_for_end(node, f"ready; data in {node.data_directory}; Ctrl-C ends it")


def _wait_for_end(node: Node, ready: str) -> int:
    from forensics.cli.output import narrate

    try:
        click.echo(node.url)
        narrate(ready)
        code = node.process.wait()
    except KeyboardInterrupt:
        return 0  # Ctrl-C is how it is meant to end
    raise ForensicsError(f"the node ended by itself with {code}", next_step=f"read {node.log_path}")


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


@click.group(
    short_help="Prepare an OpenSearch for logs, or compare it.",
    help="""\b
forensics centre check --store https://centre.example:9200

The index templates of an OpenSearch that a fleet ships to: field types, append-only indices.
""",
)
def centre() -> None:
    """Commands of the centre."""


_replicas = click.option(
    "--replicas",
    type=click.IntRange(min=0),
    help="Copies of each shard. Default: one where there is more than one data node.",
)


@centre.command(
    "install",
    short_help="Put the index templates in place.",
    help="""\b
forensics centre install --store https://centre.example:9200 --replicas 1

Put every index template that is missing or differs. Doing it again changes nothing; existing
indices keep what they have.
""",
)
@_replicas
@global_options("store")
@click.pass_obj
def install(invocation: Invocation, replicas: int | None) -> int:
    """Install the templates."""
    from forensics.centre.install import install_templates
    from forensics.cli.session import run_async

    url = _require_url(invocation)
    states = run_async(install_templates(url, replicas=replicas))
    _say_templates(invocation, states, done="is put in place")
    return 0


@centre.command(
    "check",
    short_help="Compare the index templates; changes nothing.",
    help="""\b
forensics centre check --store https://centre.example:9200

Say which index templates differ from what they should be. Exit code 1 if one does.
""",
)
@_replicas
@global_options("store")
@click.pass_obj
def check(invocation: Invocation, replicas: int | None) -> int:
    """Compare the templates."""
    from forensics.centre.install import check_templates
    from forensics.cli.session import run_async

    url = _require_url(invocation)
    states = run_async(check_templates(url, replicas=replicas))
    _say_templates(invocation, states, done="differs")
    return 1 if any(state.differences for state in states) else 0


def _require_url(invocation: Invocation) -> str:
    location = invocation.settings().require_store()
    if not location.startswith(("http://", "https://")):
        raise UsageError(
            f"{location!r} is no OpenSearch",
            why="index templates belong to an OpenSearch; a SQLite file needs none",
            next_step="give --store https://HOST:PORT",
        )
    return location


def _say_templates(invocation: Invocation, states: Sequence[TemplateState], *, done: str) -> None:
    from forensics.cli.output import narrate, write_json, write_line
    from forensics.safe_text import safe_text

    for note in dict.fromkeys(note for state in states for note in state.notes):
        narrate(note)
    if invocation.json:
        write_json(
            CENTRE_SCHEMA,
            {
                "templates": [
                    {
                        "name": state.name,
                        "differences": list(state.differences),
                        "notes": list(state.notes),
                    }
                    for state in states
                ]
            },
        )
        return
    for state in states:
        write_line(f"{state.name}: {done if state.differences else 'as it should be'}")
        for difference in state.differences:
            write_line(f"  {safe_text(difference)}")
