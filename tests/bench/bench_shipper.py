"""Ships one file through shipper and through rsyslog to the same null sink; prints the ratio.

rsyslog runs as a careful operator would run it for the same promise: a disk-assisted queue,
unlimited retries and ids. Both run alternately, several times; medians are compared. Without
rsyslogd the peer's part is left out and said.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.measured import Cost, Sink, measure

LINES = 300_000
ROUNDS = 3
IDLE_SECONDS = 5


def write_lines(path: Path, lines: int) -> None:
    """A log of an ordinary service: bare ISO times, levels, some stack traces and quotes."""
    rng = random.Random(7)
    levels = ("INFO",) * 8 + ("WARN", "ERROR")
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            second, micro = divmod(number * 731, 1_000_000)
            stamp = f"2026-01-03T14:{second // 60 % 60:02d}:{second % 60:02d}.{micro:06d}Z"
            file.write(
                f"{stamp} {rng.choice(levels)} orders[{1000 + number % 7}]: "
                f'order {number:08d} from "{rng.choice(("web", "app", "api"))}" '
                f"priced in {rng.randint(1, 900)} ms ü\n"
            )


def shipper_arguments(folder: Path, log: Path, port: int) -> tuple[str, ...]:
    """A fresh shipper with an empty state folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config = folder / "shipper.toml"
    config.write_text(
        f"""
[identity]
instance_id = "i-0123456789abcdef0"
image_id = "ami-0123456789abcdef0"
[state]
directory = {json.dumps(str(folder / "state"))}
[[sources.tail]]
paths = [{json.dumps(str(log))}]
[output.opensearch]
urls = ["http://127.0.0.1:{port}"]
""",
        encoding="utf-8",
    )
    return (sys.executable, "-m", "shipper", "run", "-c", str(config))


def rsyslog_arguments(program: str, folder: Path, log: Path, port: int) -> tuple[str, ...]:
    """A fresh rsyslogd with its own configuration and work folder."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "work").mkdir(parents=True)
    config = folder / "rsyslog.conf"
    config.write_text(
        f"""
global(workDirectory="{folder / "work"}")
module(load="imfile")
module(load="omelasticsearch")
template(name="index" type="string" string="afterimage-logs-%$year%.%$month%.%$day%")
template(name="id" type="string" string="bench-%$!metadata!fileoffset%")
template(name="doc" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  property(outname="host.name" name="hostname" format="jsonf")
  property(outname="log.file.path" name="$!metadata!filename" format="jsonf")
}}
input(type="imfile" File="{log}" Tag="bench" addMetadata="on" ruleset="ship")
ruleset(name="ship") {{
  action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" template="doc"
    searchIndex="index" dynSearchIndex="on" searchType="" bulkmode="on" bulkid="id" dynbulkid="on"
    writeoperation="create" maxbytes="4m"
    queue.type="LinkedList" queue.filename="bench" queue.size="100000" queue.dequeueBatchSize="4096"
    queue.saveOnShutdown="on" action.resumeRetryCount="-1")
}}
""",
        encoding="utf-8",
    )
    return (program, "-n", "-f", str(config), "-i", str(folder / "pid"))


def idle_rss_mib(folder: Path, port: int) -> float:
    """Resident memory of a shipper that has nothing to do, after some seconds (Linux)."""
    log = folder.with_suffix(".log")
    log.write_text("2026-01-03T14:05:12Z INFO one line\n", encoding="utf-8")
    process = subprocess.Popen(
        shipper_arguments(folder, log, port), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        time.sleep(IDLE_SECONDS)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.kill()
        process.wait(10)
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def print_costs(name: str, costs: list[Cost]) -> float:
    """One row; the median CPU seconds per million lines."""
    cpu = [cost.cpu_seconds / LINES * 1e6 for cost in costs]
    rss = statistics.median(cost.peak_rss_mib for cost in costs)
    wall = statistics.median(cost.wall_seconds for cost in costs)
    sys.stdout.write(
        f"{name:10} {min(cpu):7.2f} {statistics.median(cpu):7.2f} {max(cpu):7.2f}   "
        f"{rss:8.1f}   {wall:6.2f}   {statistics.median(c.body_mib for c in costs):7.1f}\n"
    )
    return statistics.median(cpu)


def main() -> None:
    """Measure and print."""
    rsyslogd = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin")
    sink = Sink()
    try:
        with tempfile.TemporaryDirectory(prefix="afterimage-bench-") as name:
            folder = Path(name)
            log = folder / "orders.log"
            write_lines(log, LINES)
            size_mib = log.stat().st_size / (1 << 20)
            sys.stdout.write(f"{LINES:,} lines, {size_mib:.1f} MiB, {ROUNDS} rounds in turn\n\n")
            ours: list[Cost] = []
            theirs: list[Cost] = []
            for _ in range(ROUNDS):
                arguments = shipper_arguments(folder / "shipper", log, sink.port)
                ours.append(measure(arguments, sink, LINES, folder / "shipper.out"))
                if rsyslogd:
                    arguments = rsyslog_arguments(rsyslogd, folder / "rsyslog", log, sink.port)
                    theirs.append(measure(arguments, sink, LINES, folder / "rsyslog.out"))
            sys.stdout.write(
                "           CPU s per million lines   peak RSS   wall s    bodies\n"
                "               min  median     max        MiB                MiB\n"
            )
            mine = print_costs("shipper", ours)
            if theirs:
                peer = print_costs("rsyslog", theirs)
                rss = [statistics.median(c.peak_rss_mib for c in costs) for costs in (ours, theirs)]
                sys.stdout.write(
                    f"\nshipper / rsyslog: CPU {mine / peer:.2f}, peak RSS {rss[0] / rss[1]:.2f}\n"
                )
            else:
                sys.stdout.write(
                    "\nrsyslog left out: rsyslogd is not installed (Debian: rsyslog,"
                    " rsyslog-elasticsearch); the ratio needs it\n"
                )
            if sys.platform == "linux":
                idle = idle_rss_mib(folder / "idle", sink.port)
                sys.stdout.write(f"shipper idle: {idle:.1f} MiB RSS\n")
    finally:
        sink.close()


if __name__ == "__main__":
    main()
