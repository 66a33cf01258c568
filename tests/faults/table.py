"""docs/faults.md: the same scenarios for every shipper, and what became of each line.

`python -m tests.faults.table` prints it, `--write` writes the page. In: nothing. Out: a table of
lost, repeated and altered lines. It must never leave out a row because of what it says.
"""

from __future__ import annotations

import argparse
import base64
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shipper import __version__
from tests.faults.bulk_server import BulkServer
from tests.faults.fault_plan import Faults, only
from tests.faults.oracle import Account, Ledger, Life, judge, judge_messages
from tests.faults.peers import PEERS, Peer, Runner

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
OURS: Final = "Afterimage"
LINES: Final = 5000
QUIET_SECONDS: Final = 70.0
"""A shipper that has stored nothing for so long is taken to have finished."""
LONGEST_SECONDS: Final = 150.0
AT_ONCE: Final = 6
"""Scenarios that run side by side: most of their time is waiting."""


class Bench:
    """One shipper in one scenario: files, a centre, and what was written."""

    def __init__(self, folder: Path, peer: Peer | None) -> None:
        self.ledger = Ledger()
        self.server = BulkServer(judge=_refuse_poison)
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.path = self.logs / "app.log"
        self.life: Life = self.ledger.begin(str(self.path))
        self.runner = Runner(peer, folder, f"{self.logs}/*.log", self.server.port)
        self._is_ours = peer is None

        self.write(1)

    def start(self) -> None:
        """Start the shipper, and wait until it follows the file."""
        self.runner.start()
        self.wait_stored()

    def write(self, count: int = LINES, payload: bytes = b"INFO order priced") -> None:
        """Lines, in bursts."""
        for start in range(0, count, 100):
            lines = [
                self.ledger.make_line(self.life, payload) for _ in range(min(100, count - start))
            ]
            self.append(b"".join(lines))

    def append(self, data: bytes) -> None:
        """These bytes, at the end of the log."""
        with self.path.open("ab") as file:
            file.write(data)
        self.ledger.note(self.life, data)

    def rotate(self) -> None:
        """app.log → app.log.1, .2, …, and a new app.log."""
        number = 1
        while (self.logs / f"app.log.{number}").exists():
            number += 1
        for older in range(number, 1, -1):
            (self.logs / f"app.log.{older - 1}").rename(self.logs / f"app.log.{older}")
        self.path.rename(self.logs / "app.log.1")
        self.life = self.ledger.begin(str(self.path))
        self.path.touch()

    def wait_stored(self, share: float = 0.0) -> None:
        """Until something is stored, or a share of what was written; not for ever."""
        wanted = max(1, int(self.ledger.line_count * share))
        self._wait(lambda: len(self.server.oracle.documents) >= wanted)

    def finish(self) -> Account:
        """Let it end, and take the account."""
        self._wait(lambda: not self.account().lost)
        self.runner.stop()
        return self.account()

    def account(self) -> Account:
        """What became of each line up to now."""
        oracle = self.server.oracle
        if self._is_ours:
            return judge(self.ledger, oracle.logs(), oracle.vitals("gap"))
        with oracle.lock:
            documents = list(oracle.documents.values())
        return judge_messages(self.ledger, [_text(document) for document in documents])

    def _wait(self, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONGEST_SECONDS
        known, quiet_since = -1, time.monotonic()
        while not is_done() and time.monotonic() < deadline:
            count = len(self.server.oracle.documents)
            if count != known:
                known, quiet_since = count, time.monotonic()
            elif time.monotonic() > quiet_since + QUIET_SECONDS:
                return
            time.sleep(0.2)


def _text(document: dict[str, Any]) -> bytes:
    """The line in a peer's document."""
    text = document.get("message", document.get("log", ""))
    return str(text).encode("utf-8", "surrogatepass").rstrip(b"\n")


def _refuse_poison(_index: str, document: dict[str, Any]) -> dict[str, Any] | None:
    raw = base64.b64decode(document.get("afterimage.raw", ""))
    if b" poison" in _text(document) + raw:
        return {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "no"}}
    return None


# ---- scenarios


def _nothing(bench: Bench) -> None:
    bench.start()
    bench.write()


def _away(bench: Bench) -> None:
    bench.start()
    bench.write(LINES // 2)
    bench.wait_stored(0.2)
    bench.server.go_away()
    bench.write(LINES // 2)
    time.sleep(12)
    bench.server.come_back()


def _storm(bench: Bench, name: str, share: float = 1.0) -> None:
    bench.start()
    bench.server.faults = only(name, share)
    bench.write()
    time.sleep(12)
    bench.server.faults = Faults()


def _first_answers(bench: Bench, name: str) -> None:
    bench.start()
    bench.server.fault_requests = 3
    bench.server.faults = only(name)
    bench.write()


def _killed(bench: Bench) -> None:
    bench.start()
    for _ in range(5):
        bench.write(LINES // 5)
        time.sleep(0.5)
        bench.runner.kill()
        bench.runner.start()
        time.sleep(1.0)


def _killed_while_away(bench: Bench) -> None:
    bench.start()
    bench.write(LINES // 2)
    bench.wait_stored(0.2)
    bench.server.go_away()
    bench.write(LINES // 2)
    time.sleep(3.0)
    bench.runner.kill()
    bench.server.come_back()
    bench.runner.start()


def _rotated(bench: Bench) -> None:
    bench.start()
    for _ in range(5):
        bench.write(LINES // 5)
        time.sleep(1.5)
        bench.rotate()
    bench.write(100)


def _rotated_while_stopped(bench: Bench) -> None:
    bench.start()
    bench.write(LINES // 2)
    bench.wait_stored(1.0)
    bench.runner.stop()
    bench.write(LINES // 4)
    bench.rotate()
    bench.write(LINES // 4)
    bench.rotate()
    bench.write(100)
    bench.runner.start()


def _rotated_while_away(bench: Bench) -> None:
    bench.start()
    bench.write(LINES // 2)
    bench.wait_stored(0.2)
    bench.server.go_away()
    bench.write(LINES // 2)
    bench.rotate()
    bench.write(100)
    time.sleep(12)
    bench.server.come_back()


def _equal_lines(bench: Bench) -> None:
    bench.start()
    for _ in range(LINES // 500):
        bench.append(b"connection refused\n" * 500)


def _no_utf8(bench: Bench) -> None:
    bench.start()
    bench.write(payload=b"caf\xe9 \xff\x80 \x1b[31m")


def _poison(bench: Bench) -> None:
    bench.start()
    bench.write(LINES // 2)
    poison = Ledger()  # nobody owes what the centre will never take
    line = poison.make_line(poison.begin("poison"), b"poison")
    with bench.path.open("ab") as file:
        file.write(line)
    bench.write(LINES // 2)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A row of the table."""

    title: str
    run: Callable[[Bench], None]
    note: str = ""


SCENARIOS: Final = (
    Scenario("nothing goes wrong", _nothing),
    Scenario("the centre is away for 12 s", _away),
    Scenario("429 for every request, for 12 s", lambda bench: _storm(bench, "too_many")),
    Scenario(
        "429 for half of the items, for 12 s", lambda bench: _storm(bench, "item_too_many", 0.5)
    ),
    Scenario("503 for every request, for 12 s", lambda bench: _storm(bench, "unavailable")),
    Scenario(
        "the shard limit is reached, for 12 s",
        lambda bench: _storm(bench, "item_shard_limit"),
        "a 400 that is not the record's fault",
    ),
    Scenario(
        "three answers are lost after the commit",
        lambda bench: _first_answers(bench, "reset_after"),
    ),
    Scenario("three resets in mid-answer", lambda bench: _first_answers(bench, "reset_mid_answer")),
    Scenario("three resets in mid-request", lambda bench: _first_answers(bench, "reset_mid_body")),
    Scenario("a record that the centre refuses for good", _poison, "the others are counted"),
    Scenario("SIGKILL five times", _killed),
    Scenario("SIGKILL while the centre is away", _killed_while_away),
    Scenario("rotation five times", _rotated),
    Scenario("two rotations while it is stopped", _rotated_while_stopped),
    Scenario("rotation while the centre is away", _rotated_while_away),
    Scenario("equal lines at one moment", _equal_lines),
    Scenario("bytes that are no UTF-8", _no_utf8),
)


def run_cell(scenario: Scenario, peer: Peer | None) -> Account:
    """One shipper in one scenario."""
    with tempfile.TemporaryDirectory(prefix="afterimage-table-") as name:
        bench = Bench(Path(name), peer)
        with bench.server:
            try:
                scenario.run(bench)
                return bench.finish()
            finally:
                bench.runner.close()


Row = tuple[Scenario, int, Sequence[Account | None]]
"""A scenario, how many lines it owed, and an account for each shipper; None: it is not here."""


def run_row(scenario: Scenario, versions: Mapping[str, str]) -> Row:
    """All shippers in one scenario, side by side."""
    subjects: list[Peer | None] = [None, *PEERS]

    def run(peer: Peer | None) -> Account | None:
        return run_cell(scenario, peer) if peer is None or versions[peer.name] else None

    with ThreadPoolExecutor(len(subjects)) as pool:
        accounts = list(pool.map(run, subjects))
    sys.stderr.write(f"{scenario.title}: {', '.join(map(render_cell, accounts))}\n")
    return scenario, accounts[0].lines if accounts[0] else 0, accounts


# ---- the page

_HEAD: Final = """\
# Faults: what becomes of each line

Generated by the suite: `python -m tests.faults.table --write`. Every shipper goes through the same
scenario with a centre of its own: a real HTTP server that answers `_bulk` as OpenSearch does, and
fails as told. Each cell: lines **lost / repeated / altered**.
"""

_ABOUT: Final = """\
Before anything goes wrong each shipper follows the file and has delivered its first line. A cell
ends when no line is missing, or when nothing was stored for {ends}; then the shipper is told to
stop, drains, and what is there is counted: a line that would have come still later counts as lost.
Altered: the centre holds a message that was never written; its line is then lost, too. All
shippers of a row, and several rows, run at the same time on one small machine.

Not in the table: copytruncate (what is written between the copy and the truncation is lost by every
shipper; Afterimage declares it), power loss, and what the peers do not go through: SIGKILL at every
step (`tests/faults/test_crash_points.py`), damaged state and spools (`test_state_damage.py`,
`test_spool_damage.py`), a cloned state folder (`test_cloned_state.py`), a small disk that is full
or read-only, and deleted files that outgrow it (`test_small_disk.py`), a clock that jumps by days
(`test_clock.py`, and in every plan by chance), plans by chance (`test_model.py`, `make soak`), a
real node (`test_real_node.py`). `make test` says at its end how many shippers it killed; with
`ALL=1` it fails below 1,000."""

_OURS: Final = (
    "Afterimage: `[[sources.tail]]` with `paths`, `[output.opensearch]` with `urls`; the rest is"
    " its default."
)


def render_cell(account: Account | None) -> str:
    """Lost / repeated / altered, or a dash for what did not run."""
    if account is None:
        return "–"
    counts = [len(account.lost), len(account.repeated), len(account.altered)]
    text = " / ".join(f"{count:,}" for count in counts)
    return text if not any(counts) else f"**{text}**"


def render_page(rows: Sequence[Row], versions: Mapping[str, str]) -> str:
    """The whole page, from its numbers."""
    names = [OURS, *(peer.name for peer in PEERS)]
    lines = [
        _HEAD,
        f"| scenario | lines | {' | '.join(names)} |",
        f"| --- | ---: | {' | '.join('---:' for _ in names)} |",
    ]
    for scenario, count, accounts in rows:
        title = scenario.title + (f" ({scenario.note})" if scenario.note else "")
        lines.append(f"| {title} | {count:,} | {' | '.join(map(render_cell, accounts))} |")
    lines += ["", "## What was run", ""]
    lines += [
        f"- {name}: {version or 'left out, not on this machine'}"
        for name, version in versions.items()
    ]
    lines += [f"- Python {platform.python_version()}, {platform.system()}"]
    ends = f"{QUIET_SECONDS:.0f} s ({LONGEST_SECONDS:.0f} s at most)"
    lines += ["", _ABOUT.format(ends=ends), "", "## Configurations", "", _OURS]
    for peer in PEERS:
        text = peer.configuration.format(state="STATE", pattern="LOGS/*.log", port="PORT")
        lines += ["", f"### {peer.name}", "", "```", text.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run all, print or write the page; 1: ours lost, repeated or altered a line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.table", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--only", default="", help="scenarios whose title has this")
    options = parser.parse_args(arguments)
    versions = {OURS: __version__, **{peer.name: peer.version() for peer in PEERS}}
    wanted = [scenario for scenario in SCENARIOS if options.only in scenario.title]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(lambda scenario: run_row(scenario, versions), wanted))
    page = render_page(rows, versions)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)
    return int(any(accounts[0] is not None and accounts[0].faults for *_, accounts in rows))


if __name__ == "__main__":
    sys.exit(main())
