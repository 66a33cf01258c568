"""Each fault of the centre alone, then all of them by seed: all stored once, only poison is buried.

A real shipper process against a real server that fails in one way for its first requests.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from shipper.wire.record import parse_record_id, stored_bytes
from shipper.wire.state import parse_dead_letter
from tests.everything import ALL
from tests.faults.bulk_server import BulkServer, wait_until
from tests.faults.fault_plan import ITEM_ERRORS, REQUEST_FAULTS, Faults, make_mix, only
from tests.faults.oracle import Ledger, Life, judge
from tests.faults.shipper_process import ShipperProcess

pytestmark = pytest.mark.slow

LINES = 300
SHORT_REQUESTS = 3
POISON = b"poison"
POISON_ERRORS = (
    {"type": "mapper_parsing_exception", "reason": "failed to parse field [fields]"},
    {"type": "strict_dynamic_mapping_exception", "reason": "mapping set to strict"},
    {"type": "illegal_argument_exception", "reason": "Limit of total fields [1000] exceeded"},
    {"type": "document_parsing_exception", "reason": "failed to parse"},
)


class Centre(BulkServer):
    """A server that refuses the records that say so, in either form, each class in turn."""

    def __init__(self, faults: Faults, *, fault_requests: int | None, seed: int = 0) -> None:
        super().__init__(
            faults=faults, fault_requests=fault_requests, seed=seed, judge=self._refuse
        )

    def _refuse(self, _index: str, document: dict[str, Any]) -> dict[str, Any] | None:
        raw = document.get("afterimage.raw")
        text = base64.b64decode(raw) if raw else str(document.get("message", "")).encode()
        _, mark, number = text.rstrip().rpartition(b"poison ")
        if not mark and (raw or b"bitter " not in text):
            return None  # what is bitter is taken in its plain form
        return {"status": 400, "error": POISON_ERRORS[int(number[-1:]) % len(POISON_ERRORS)]}


class Run:
    """One shipper, one file, one centre."""

    def __init__(self, folder: Path, server: Centre) -> None:
        self.ledger = Ledger()
        self.life: Life = self.ledger.begin(str(folder / "app.log"))
        self.poison = self.ledger.begin("poison")
        self._path = folder / "app.log"
        self._server = server
        self.shipper = ShipperProcess(
            folder,
            patterns=[str(self._path)],
            url=server.url,
            instance_id="i-1",
            socket_seconds=1.0,
        )

    def write(self, count: int, *, poison: int = 0) -> None:
        """Lines, and some that the centre will refuse for good."""
        with self._path.open("ab") as file:
            for number in range(count):
                line = self.ledger.make_line(self.life, b"INFO line %d" % number)
                file.write(line)
                self.ledger.note(self.life, line)
            for number in range(poison):
                line = self.ledger.make_line(self.life, b"bitter %d" % number)
                file.write(line)
                self.ledger.note(self.life, line)
                line = self.ledger.make_line(self.poison, b"%b %d" % (POISON, number))
                file.write(line)
                self.ledger.note(self.poison, line)

    def finish(self) -> str:
        """Drain; what was lost, repeated or altered, and whether the dead letters are the poison.

        Gives the account in words.
        """
        assert 0 == self.shipper.terminate(), self.shipper.words.read_text()
        assert "Traceback" not in self.shipper.words.read_text()
        oracle = self._server.oracle
        letters = read_letters(self.shipper.state)
        stored = oracle.logs()
        for letter in letters:
            action, document, _ = letter.split(b"\n")
            place = json.loads(action)["create"]
            stored.append((place["_index"], place["_id"], json.loads(document)))
        account = judge(self.ledger, stored, oracle.vitals("gap"))
        assert [] == account.faults
        assert [] == oracle.altered
        messages = [letter_text(letter) for letter in letters]
        assert sorted(piece for _, piece in self.poison.pieces()) == sorted(messages)
        ids = [document_id for _, document_id, _ in stored]
        assert sorted(set(ids)) == sorted(ids)
        assert {"i-1"} == {fields["cloud.instance.id"] for *_, fields in stored}
        assert 1 == len({parse_record_id(document_id).stream for document_id in ids})
        return str(account)


def read_letters(state: Path) -> list[bytes]:
    """The items of the dead letters."""
    path = state / "dead-letters.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [parse_dead_letter(line).item for line in lines]


def letter_text(letter: bytes) -> bytes:
    """The line that was buried."""
    action, document, _ = letter.split(b"\n")
    return stored_bytes(json.loads(action)["create"]["_id"], json.loads(document)).rstrip(b"\n")


def run_alone(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The centre fails in one way from the start, then is well: nothing of it remains."""
    server = Centre(only(name), fault_requests=SHORT_REQUESTS)
    with server:
        run = Run(folder, server)
        run.write(LINES, poison=len(POISON_ERRORS))
        with run.shipper:
            run.shipper.start()
            wait_until(lambda: bool(server.oracle.faults_done[name]))
            run.write(LINES)
            text = run.finish()
    assert 0 < server.oracle.faults_done[name]
    with capsys.disabled():
        done = server.oracle.faults_done[name]
        sys.stdout.write(f"\n{name} x {done}, {server.oracle.requests} requests: {text}\n")


@pytest.mark.parametrize("name", REQUEST_FAULTS)
def test_a_request_that_fails_costs_nothing(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused, reset, unanswered, garbled, redirected or slow: all stored once, poison buried."""
    run_alone(tmp_path, name, capsys)


@pytest.mark.parametrize("name", ITEM_ERRORS)
def test_an_item_that_fails_for_no_fault_of_its_own_is_never_buried(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full queue, a blocked index, a shard limit, a lacking right: sent again until it works."""
    run_alone(tmp_path, name, capsys)


def test_a_body_that_is_too_large_is_split(tmp_path: Path) -> None:
    """413: the records go in smaller bodies, all of them."""
    server = Centre(Faults(), fault_requests=None)
    server.body_limit_bytes = 20_000
    with server:
        run = Run(tmp_path, server)
        run.write(LINES)
        with run.shipper:
            run.shipper.start()
            wait_until(lambda: len(server.oracle.logs()) == LINES)
            run.finish()
    assert 0 < server.oracle.statuses[413]


def test_a_centre_that_is_away_for_a_while_costs_nothing(tmp_path: Path) -> None:
    """Connections are refused; what was written meanwhile follows."""
    server = Centre(Faults(), fault_requests=None)
    with server:
        run = Run(tmp_path, server)
        run.write(LINES)
        with run.shipper:
            run.shipper.start()
            wait_until(lambda: len(server.oracle.logs()) == LINES)
            server.go_away()
            run.write(LINES, poison=2)
            wait_until(lambda: b"trying again" in run.shipper.words.read_bytes())
            server.come_back()
            run.finish()


@pytest.mark.parametrize("seed", range(20 if ALL else 4))
def test_all_faults_together_cost_nothing(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """By seed, some often and some seldom, while the file grows: all stored once."""
    server = Centre(make_mix(seed, share=0.5), fault_requests=60, seed=seed)
    with server:
        run = Run(tmp_path, server)
        with run.shipper:
            run.shipper.start()
            for _ in range(10):
                run.write(LINES // 10, poison=0)
                before = server.oracle.requests
                wait_until(lambda at=before: server.oracle.requests > at)  # type: ignore[misc]
            server.faults = Faults()
            run.write(1, poison=len(POISON_ERRORS))
            text = run.finish()
    with capsys.disabled():
        done = server.oracle.faults_done
        sys.stdout.write(f"\nseed {seed}, {dict(done)}: {text}\n")
