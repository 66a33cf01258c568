"""The real Fluent Bit as a client; collected where `fluent-bit` is on the PATH."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shipper.listen_address import ListenAddress
from tests.faults.bulk_server import wait_until
from tests.shipper.sources.forward.forward_messages import parse
from tests.shipper.sources.forward.served import Served

Serve = Callable[..., Served]
_PROGRAM = shutil.which("fluent-bit") or ""
if not _PROGRAM:
    pytest.skip("no fluent-bit on the PATH", allow_module_level=True)  # named on the command line
_LINES = 5000
_TCP = ListenAddress(host="127.0.0.1")

pytestmark = [pytest.mark.everything, pytest.mark.slow]


class FluentBit:
    """A process that tails a file and forwards it."""

    def __init__(self, folder: Path, served: Served, options: dict[str, Any]) -> None:
        self.log = folder / "fluent-bit.log"
        host, port = ("", 0)
        if served.server.address.startswith("unix://"):
            where = {"unix_path": served.server.address.removeprefix("unix://")}
        else:
            host, port = served.tcp_address
            where = {"host": host, "port": str(port)}
        configuration = {
            "service": {"flush": 0.2, "log_file": str(self.log), "scheduler.base": 1},
            "pipeline": {
                "inputs": [
                    {
                        "name": "tail",
                        "path": str(folder / "app.log"),
                        "tag": "app.log",
                        "read_from_head": True,
                        "refresh_interval": 1,
                    }
                ],
                "outputs": [
                    {"name": "forward", "match": "*", "retry_limit": "no_limits"} | where | options
                ],
            },
        }
        path = folder / "fluent-bit.yaml"
        path.write_text(json.dumps(configuration))  # YAML takes JSON
        self._process = subprocess.Popen(
            [_PROGRAM, "-c", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def end(self) -> None:
        """As systemd would."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def _write(folder: Path, first: int, count: int) -> list[str]:
    texts = [f"line {number} ä" for number in range(first, first + count)]
    with (folder / "app.log").open("a") as file:
        file.writelines(f"{text}\n" for text in texts)
    return texts


def _said(served: Served) -> list[str]:
    return [line["record"]["log"] for line in parse(served.lines())]


def _holds(served: Served, count: int) -> bool:
    return len(served.lines()) >= count


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"require_ack_response": True},
        {"require_ack_response": True, "compress": "gzip"},
        {"require_ack_response": True, "retain_metadata_in_forward_mode": True},
        {"require_ack_response": True, "time_as_integer": True, "send_options": True},
        {"require_ack_response": True, "shared_key": "secret", "self_hostname": "client"},
        {"unix": True, "require_ack_response": True},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
def test_every_line_arrives_once(serve: Serve, tmp_path: Path, options: dict[str, Any]) -> None:
    """With acknowledgements, compressed, with metadata, with a shared key, over both sockets."""
    is_unix = options.get("unix", False)
    served = serve(None if is_unix else _TCP, shared_key=options.get("shared_key", ""))
    expected = _write(tmp_path, 0, _LINES)
    plain = {key: value for key, value in options.items() if key != "unix"}
    client = FluentBit(tmp_path, served, plain)
    try:
        served.wait_for(_LINES)
    finally:
        client.end()
    assert expected == _said(served)
    assert 0 == served.server.statistics().refused


def test_a_restart_of_the_server_repeats_nothing(serve: Serve, tmp_path: Path) -> None:
    """Its chunks come again under their names."""
    served = serve()
    expected = _write(tmp_path, 0, _LINES)
    client = FluentBit(tmp_path, served, {"require_ack_response": True, "compress": "gzip"})
    try:
        for turn in range(1, 4):
            served.wait_for(1)
            served.close()
            expected += _write(tmp_path, turn * _LINES, _LINES)
            served = serve()
        wait_until(partial(_holds, served, len(expected)), timeout_seconds=60)
    finally:
        client.end()
    assert sorted(expected) == sorted(_said(served))


def test_a_client_without_the_key_gets_nothing_in(serve: Serve, tmp_path: Path) -> None:
    """It is refused, and its lines stay where they are."""
    served = serve(_TCP, shared_key="secret")
    _write(tmp_path, 0, 10)
    client = FluentBit(tmp_path, served, {"shared_key": "another", "self_hostname": "client"})
    try:
        wait_until(lambda: served.server.statistics().refused > 0)
    finally:
        client.end()
    assert [] == served.lines()
