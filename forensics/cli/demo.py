"""`forensics demo`: the whole story on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.options import Invocation, global_options


@click.command(
    short_help="Run the whole story on this machine.",
    help="""\b
forensics demo
forensics demo --headless --json

Start a stand-in account, four instances that are processes, and a collector; let one instance die
of memory and one be replaced; quarantine, count every byte, write the reports, and open the
terminal interface on the dead instance. Needs no account and no root; Ctrl-C leaves nothing behind.
""",
)
@click.option("--headless", is_flag=True, help="End in written reports, not in the interface.")
@click.option("--scenario", metavar="NAME", default="leak", show_default=True, help="Which story.")
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="A new or empty folder for everything. Default: one for temporary files.",
)
@global_options("store")
@click.pass_obj
def demo(invocation: Invocation, headless: bool, scenario: str, directory: Path | None) -> int:
    """Run the story; `--store` names an OpenSearch to use in place of a collector."""
    from forensics.demo.main import run_demo

    return run_demo(
        headless=headless,
        json_output=invocation.json,
        scenario=scenario,
        store=invocation.store,
        directory=directory,
    )
