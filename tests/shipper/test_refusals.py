"""What the shipper says of refused records: what becomes of them, once a minute for each reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shipper.deliver.sender import Refused
from shipper.refusals import TELL_SECONDS, Refusals
from tests.faults.bulk_server import BulkServer, wait_until
from tests.shipper.test_agent import RunningAgent, status

REASON = "400 mapper_parsing_exception: failed to parse field [took]"


def _refused(records: int = 1, reason: str = REASON, *, is_dead: bool = False) -> Refused:
    return Refused(records=records, reason=reason, is_dead=is_dead)


def test_the_sentence_says_how_many_why_and_what_becomes_of_them() -> None:
    """Nobody waits for what is settled."""
    assert (
        f"2 records were refused ({REASON}): sent as raw bytes (`afterimage.raw`), without their "
        "words in `message`; see docs/runbooks/refused-records.md"
    ) == Refusals().note(_refused(2), 0.0)
    dead = Refusals().note(_refused(is_dead=True), 0.0)
    assert dead.startswith(f"1 record was refused ({REASON}): kept as dead letters: shipper dead-")


def test_a_reason_is_told_once_a_minute_and_nothing_goes_uncounted() -> None:
    """Its words hold ids and values, so its kind is what counts."""
    refusals = Refusals()
    assert refusals.note(_refused(), 100.0)
    assert not refusals.note(_refused(3, f"{REASON} of x"), 100.0 + TELL_SECONDS - 1)
    assert refusals.note(_refused(reason="400 other: x"), 101.0).startswith("1 record was")
    assert refusals.note(_refused(is_dead=True), 101.0).startswith("1 record was")
    assert refusals.note(_refused(), 100.0 + TELL_SECONDS).startswith("4 records were")


def test_a_shipper_whose_record_is_refused_does_not_say_that_it_tries_until_it_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is stored as bytes at once, and the centre is well."""

    def judge(_index: str, document: dict[str, Any]) -> dict[str, Any] | None:
        if "poison" not in str(document.get("message")):
            return None
        error = {"type": "mapper_parsing_exception", "reason": "failed to parse"}
        return {"status": 400, "error": error}

    (tmp_path / "a.log").write_bytes(b"fine\npoison\n")
    with BulkServer(judge=judge) as server, RunningAgent(tmp_path, server.url) as running:
        wait_until(lambda: 2 == len(server.oracle.logs()))
        assert 0 == running.stop()
    told = capsys.readouterr().err
    assert "1 record was refused (400 mapper_parsing_exception: failed to parse): sent as" in told
    assert "trying again" not in told
    said = status(tmp_path)
    assert "ok" == said["output"]
    assert "400 mapper_parsing_exception: failed to parse" == said["last_error"]
