"""Forward servers that run, and sockets to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipper.listen_address import ListenAddress
from shipper.sources.forward.server import ForwardServer
from shipper.sources.spool import Spool, SpoolBudget
from tests.shipper.sources.forward.served import Served, ShiftedClock

ServeFixture = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[ServeFixture]:
    """Start servers; each is stopped at the end, if the test did not."""
    started: list[Served] = []

    def make(
        listen: ListenAddress | None = None,
        *,
        shared_key: str = "",
        spool_bytes: int = 1 << 26,
        connections_limit: int = 256,
    ) -> Served:
        key_file = None
        if shared_key:
            key_file = tmp_path / "key"
            key_file.write_text(shared_key + "\n")
        clock = ShiftedClock()
        spool = Spool(tmp_path / "spool", budget=SpoolBudget(spool_bytes), segment_bytes=1 << 16)
        server = ForwardServer(
            listen or ListenAddress(path=f"{tmp_path}/run/f.sock"),
            spool,
            shared_key_file=key_file,
            clock=clock,
            connections_limit=connections_limit,
        )
        server.start()
        served = Served(server, spool, clock)
        started.append(served)
        return served

    yield make
    for served in started:
        served.close()
