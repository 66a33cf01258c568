"""Read = acked + pending + dropped + dead-lettered: of the real process, whenever one looks."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser

from tests.faults.bulk_server import BulkServer, Faults, wait_until
from tests.faults.shipper_process import ShipperProcess

GOOD = b"2026-01-03 14:05:12 INFO all is well here\n"
NOISE = b"2026-01-03 14:05:12 DEBUG GET /healthz 200\n"
POISON = b"2026-01-03 14:05:12 ERROR poison that no mapping takes\n"
ROUNDS = 400

PARTS = ("acked", "pending", "dropped", "dead_lettered")


def refuse_poison(_index: str, document: dict[str, Any]) -> dict[str, Any] | None:
    """A centre that takes no such line, in whatever form it comes."""
    if "poison" not in str(document.get("message", "")) and "afterimage.raw" not in document:
        return None
    return {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "no"}}


def check_counters(counters: dict[str, int]) -> None:
    """Every byte is in exactly one place."""
    parts = [counters[f"{name}_bytes"] for name in PARTS]
    assert min(parts) >= 0
    assert counters["read_bytes"] == sum(parts)


def look(state: Path) -> dict[str, Any] | None:
    """The status as it is now, its sums checked; None: there is none yet."""
    try:
        found: dict[str, Any] = json.loads((state / "status.json").read_bytes())
    except FileNotFoundError:
        return None
    check_counters(found["counters"])
    for source in found["sources"]:
        check_counters(source["counters"])
        assert 0 <= source["acked"] <= source["read"]
        assert bool(source["pending_since"]) == bool(source["counters"]["pending_bytes"])
        assert source["pending_since"] <= found["at"]
    for name in PARTS:  # nothing is closed here, so the total is the sources' sum
        total = sum(source["counters"][f"{name}_bytes"] for source in found["sources"])
        assert found["counters"][f"{name}_bytes"] == total
    return found


def scrape(path: Path) -> dict[str, float]:
    """The metrics without labels that the process serves."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := client.recv(1 << 16):
            answer += piece
    text = answer.partition(b"\r\n\r\n")[2].decode()
    families = parser.text_string_to_metric_families(text)
    return {
        sample.name.removeprefix("afterimage_shipper_"): sample.value
        for family in families
        for sample in family.samples
        if not sample.labels
    }


def write_some(folder: Path) -> None:
    """Three kinds of lines, in two files."""
    for name in ("a.log", "b.log"):
        with (folder / name).open("ab") as file:
            file.write(GOOD * 3 + NOISE * 2 + POISON)


@pytest.mark.slow
def test_the_sums_hold_while_the_centre_fails_and_the_shipper_is_killed(tmp_path: Path) -> None:
    """Whole and per-item failures, refused records, dropped ones, a SIGKILL: at every look."""
    listen = tmp_path / "m.sock"
    more = (
        '[[transforms.drop]]\nreason = "health checks"\npattern = "GET /healthz"\n'
        f'[metrics]\nlisten = "unix://{listen}"\n'
    )
    faults = Faults(unavailable=0.2, item_too_many=0.05)
    with (
        BulkServer(faults=faults, seed=5) as server,
        ShipperProcess(
            tmp_path,
            patterns=[f"{tmp_path}/*.log"],
            url=server.url,
            instance_id="i-accounting",
            more=more,
        ) as shipper,
    ):
        server.judge = refuse_poison
        shipper.start()
        looks = 0
        for number in range(ROUNDS):
            write_some(tmp_path)
            looks += look(shipper.state) is not None
            if number == ROUNDS // 2:
                wait_until(lambda: bool(look(shipper.state)))
                shipper.kill()
                shipper.start()
        written = {
            "read": 2 * ROUNDS * len(GOOD * 3 + NOISE * 2 + POISON),
            "acked": 2 * ROUNDS * 3 * len(GOOD),
            "pending": 0,
            "dropped": 2 * ROUNDS * 2 * len(NOISE),
            "dead_lettered": 2 * ROUNDS * len(POISON),
        }

        def is_settled() -> bool:
            found = look(shipper.state)
            return found is not None and written == {
                name: found["counters"][f"{name}_bytes"] for name in written
            }

        wait_until(is_settled, timeout_seconds=60)
        assert looks > 1
        metrics = scrape(listen)
        assert written == {
            "read": metrics["read_bytes_total"],
            "acked": metrics["acked_bytes_total"],
            "pending": metrics["pending_bytes"],
            "dropped": metrics["dropped_bytes_total"],
            "dead_lettered": metrics["dead_lettered_bytes_total"],
        }
        assert metrics["failed_requests_total"] > 0
        assert metrics["body_bytes_total"] > 0
        assert 0 == shipper.terminate()
        check_counters(
            {
                name.removeprefix("afterimage.counters."): value
                for name, value in server.oracle.vitals("closing")[-1].items()
                if name.startswith("afterimage.counters.")
            }
        )
        told = server.oracle.vitals("closing")[-1]["afterimage.sources"]
        assert [written["dropped"] // 2] * 2 == [one["dropped"] for one in told]
        assert [written["dead_lettered"] // 2] * 2 == [one["dead_lettered"] for one in told]
