"""Inputs that are no files, and the metrics' server: is there a journal, is an address to be had?

In: a configuration. Out: findings. It must never read an entry, nor connect to anything but to ask
whether somebody is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shipper.checks.finding import Finding, build_finding, check_secret_file
from shipper.config import Config
from shipper.errors import ConfigError, ShipperError
from shipper.listen_address import parse_listen
from shipper.listening import TAKEN, find_obstacle
from shipper.status import load_status
from shipper.toml_lines import Path as KeyPath


def check_inputs(config: Config) -> Iterator[Finding]:
    """The journal, the Forward servers, standard input, the metrics' server."""
    yield from _check_journal(config)
    is_running = _is_running(config.state_directory)
    for number, forward in enumerate(config.forwards):
        at = ("sources", "forward", number)
        yield from _check_address((*at, "listen"), forward.listen, is_running=is_running)
        if forward.shared_key_file is not None:
            yield from check_secret_file((*at, "shared_key_file"), forward.shared_key_file)
    if config.stdin is not None:
        what = f"what comes on standard input is shipped as {config.stdin.name}"
        yield build_finding("ok", ("sources", "stdin"), what)
    if config.metrics is not None:
        yield from _check_address(
            ("metrics", "listen"), config.metrics.listen, is_running=is_running
        )


def _check_journal(config: Config) -> Iterator[Finding]:
    if config.journald is None:
        return
    from shipper.sources.journal_access import SYSTEM_FOLDERS, check_access, has_files
    from shipper.sources.libsystemd import Libsystemd

    at = ("sources", "journald")
    try:
        Libsystemd()
        check_access(config.journald.directory)
    except ConfigError as error:
        yield build_finding("warning", at, f"{error.what}: {error.why}: {error.next_step}")
        return
    folder = config.journald.directory
    if has_files(folder):
        yield build_finding("ok", at, "the journal can be read")
    else:
        where = str(folder) if folder else " and ".join(map(str, SYSTEM_FOLDERS))
        what = (
            f"the journal has no file in {where}: nothing is shipped of it until there is one; is "
            "systemd-journald running, and does it keep its journal there (journalctl --header)?"
        )
        yield build_finding("warning", at, what)


def _is_running(state_directory: Path) -> bool:
    """Whether a shipper works on the state folder, and so rightly has the addresses."""
    try:
        return load_status(state_directory).is_running
    except ShipperError:
        return False


def _check_address(at: KeyPath, listen: str, *, is_running: bool) -> Iterator[Finding]:
    address = parse_listen(listen)
    problem = find_obstacle(address)
    if problem and not (problem == TAKEN and is_running):
        yield build_finding("warning", at, f"{address}: {problem}")
    else:
        how = "is the running shipper's" if problem else "can be listened on"
        yield build_finding("ok", at, f"{address} {how}")
