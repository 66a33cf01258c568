"""How the local node is set up: its settings, its logging, and Java's command line.

In: the data folder and what the user chose. Out: files in its `config` folder, and the arguments.
It must never start anything.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

LOG_NAME: Final = "opensearch.log"

_MAIN_CLASS: Final = "org.codelibs.opensearch.runner.OpenSearchRunner"
_CLUSTER_NAME: Final = "afterimage-local"
_JAVA_OPTIONS: Final = (
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "--enable-native-access=ALL-UNNAMED",
    "-Dlog4j2.disable.jmx=true",
    # OpenSearch builds a Thai analyzer for every new index, and the packaged Java runtime has no
    # Thai word breaks: ICU's jar brings them.
    "-Djava.locale.providers=CLDR,SPI",
)

# Percentages of a laptop's well-filled disk would leave a single node without any shard.
_SETTINGS: Final = """\
network.host: 127.0.0.1
transport.port: 0
discovery.type: single-node
action.destructive_requires_name: true
cluster.routing.allocation.disk.watermark.low: 2gb
cluster.routing.allocation.disk.watermark.high: 1gb
cluster.routing.allocation.disk.watermark.flood_stage: 500mb
"""
_LOGGING: Final = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


def write_configuration(data_directory: Path) -> None:
    """Make the folders and write what the node reads; the last run's log is kept beside."""
    for name in ("config", "data", "logs", "tmp"):
        (data_directory / name).mkdir(exist_ok=True)
    (data_directory / "config" / "opensearch.yml").write_text(_SETTINGS, encoding="utf-8")
    (data_directory / "config" / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
    log_path = data_directory / LOG_NAME
    with contextlib.suppress(FileNotFoundError):
        log_path.replace(data_directory / f"{LOG_NAME}.1")


def build_command(
    java: Path, class_path: list[Path], data_directory: Path, port: int, heap: str
) -> list[str]:
    """Java's command line."""
    home = data_directory.absolute()
    return [
        str(java), f"-Xms{heap}", f"-Xmx{heap}", *_JAVA_OPTIONS, f"-Djava.io.tmpdir={home / 'tmp'}",
        "-cp", os.pathsep.join(map(str, class_path)),
        _MAIN_CLASS,
        "-basePath", str(home), "-confPath", str(home / "config"),
        "-dataPath", str(home / "data"), "-logsPath", str(home / "logs"),
        "-numOfNode", "1", "-clusterName", _CLUSTER_NAME,
        "-baseHttpPort", str(port - 1),  # the runner's first node takes the one above
    ]  # fmt: skip
