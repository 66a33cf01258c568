"""How each shipper is started: ours and the peers, each with a fresh folder and a configuration.

In: a folder, paths to follow, a URL. Out: a command line. Peers get what a careful operator of
theirs would write, and no work that they need not do: no parser, the read time as `@timestamp`,
the message and its path; one variant has the fields that ours stamps. It must never give a peer a
worse configuration than its documentation advises for what is compared.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

INDEX: Final = "afterimage-logs-2026.01.03"
"""Of the logs' index template, so that the node does the same work for every shipper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way to run one shipper."""

    name: str
    meaning: str
    arguments: Callable[[Path, Sequence[str], str], tuple[str, ...]]
    """A fresh start: folder, paths, URL."""
    is_gzip: bool = False
    """Whether its bodies are compressed; the sink checks."""


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write_shipper_configuration(
    folder: Path, paths: Sequence[str], url: str, extra: str = ""
) -> Path:
    """A whole configuration with an empty state folder."""
    config = _fresh(folder) / "shipper.toml"
    config.write_text(
        f"""
[identity]
instance_id = "i-0123456789abcdef0"
image_id = "ami-0123456789abcdef0"
region = "eu-central-1"
availability_zone = "eu-central-1a"
account_id = "123456789012"
host_name = "bench"
[state]
directory = {json.dumps(str(folder / "state"))}
[[sources.tail]]
paths = {json.dumps(list(paths))}
[output.opensearch]
urls = [{json.dumps(url)}]
{extra}
""",
        encoding="utf-8",
    )
    return config


def _shipper(folder: Path, paths: Sequence[str], url: str) -> tuple[str, ...]:
    config = write_shipper_configuration(folder, paths, url)
    return (sys.executable, "-m", "shipper", "run", "-c", str(config))


SHIPPER: Final = Peer(
    name="shipper",
    meaning="as installed: ids, checkpoints, vitals; plain bodies, the sink being on loopback",
    arguments=_shipper,
)

_SIGNED: Final = """
auth = "sigv4"
region = "eu-central-1"
"""
NO_SIGV4: Final = "shipper sigv4: the extra is not installed (pip install '.[sigv4]')"


def _compressing_shipper(folder: Path, paths: Sequence[str], url: str) -> tuple[str, ...]:
    # 127.1 is 127.0.0.1 to the resolver, but no address that the shipper knows to be this machine:
    # it compresses, as it does for every centre that is elsewhere
    return _shipper(folder, paths, url.replace("127.0.0.1", "127.1"))


COMPRESSING_SHIPPER: Final = Peer(
    name="shipper gzip",
    meaning="as for a centre elsewhere: bodies compressed",
    arguments=_compressing_shipper,
    is_gzip=True,
)


def shipper_with_sigv4() -> Peer | None:
    """The shipper that signs its requests; None: the extra is not installed."""
    if importlib.util.find_spec("botocore") is None:
        return None

    def arguments(folder: Path, paths: Sequence[str], url: str) -> tuple[str, ...]:
        config = write_shipper_configuration(folder, paths, url, _SIGNED)
        config.with_name("credentials").write_text(
            "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
            "aws_secret_access_key = example\n",
            encoding="utf-8",
        )
        credentials = f"AWS_SHARED_CREDENTIALS_FILE={config.with_name('credentials')}"
        command = (sys.executable, "-m", "shipper", "run", "-c", str(config))
        return ("env", credentials, *command)

    return Peer(name="shipper sigv4", meaning="signs with botocore", arguments=arguments)


_FLUENT_BIT: Final = """
[SERVICE]
    Flush 1
    Log_Level warn
    {service}
[INPUT]
    Name tail
    Path {paths}
    Key message
    Path_Key log.file.path
    Read_from_Head On
    Refresh_Interval 1
    {tail}
{filters}
[OUTPUT]
    Name opensearch
    Match *
    Host {host}
    Port {port}
    Index {index}
    Suppress_Type_Name On
    Write_Operation create
    {output}
"""
_STAMP: Final = """
[FILTER]
    Name record_modifier
    Match *
    Record cloud.instance.id i-0123456789abcdef0
    Record host.image.id ami-0123456789abcdef0
    Record cloud.region eu-central-1
    Record cloud.availability_zone eu-central-1a
    Record cloud.account.id 123456789012
    Record host.name bench
    Record afterimage.stream 0123456789abcdef0123456789abcdef
"""
_ON_DISK: Final = "storage.path {folder}/storage"
_FROM_DISK: Final = "storage.type filesystem\n    DB {folder}/tail.db"
_FOR_EVER: Final = "Retry_Limit no_limits\n    Buffer_Size False"


def _fluent_bit(
    name: str,
    meaning: str,
    *,
    service: str = "",
    tail: str = "",
    filters: str = "",
    output: str = "",
) -> Peer | None:
    program = shutil.which("fluent-bit")
    if program is None:
        return None

    def arguments(folder: Path, paths: Sequence[str], url: str) -> tuple[str, ...]:
        place = urlsplit(url)
        config = _fresh(folder) / "fluent-bit.conf"
        config.write_text(
            _FLUENT_BIT.format(
                service=service.format(folder=folder),
                tail=tail.format(folder=folder),
                filters=filters,
                output=output,
                paths=",".join(paths),
                host=place.hostname,
                port=place.port,
                index=INDEX,
            ),
            encoding="utf-8",
        )
        return (program, "-c", str(config))

    return Peer(
        name=f"fluent-bit {name}", meaning=meaning, arguments=arguments, is_gzip="gzip" in output
    )


def fluent_bits() -> dict[str, Peer]:
    """Fluent Bit by configuration; empty: the program is not on PATH."""
    found = (
        _fluent_bit("default", "as documented first: memory, one retry, no database"),
        _fluent_bit(
            "best",
            "filesystem storage, database, unlimited retries, no ids: loses nothing, may repeat",
            service=_ON_DISK,
            tail=_FROM_DISK,
            output=_FOR_EVER,
        ),
        _fluent_bit(
            "same fields",
            "as best, with the fields that the shipper stamps: documents of the same use",
            service=_ON_DISK,
            tail=f"{_FROM_DISK}\n    Offset_Key log.offset",
            filters=_STAMP,
            output=_FOR_EVER,
        ),
        _fluent_bit(
            "ids",
            "as best, with generate_id",
            service=_ON_DISK,
            tail=_FROM_DISK,
            output=f"{_FOR_EVER}\n    Generate_ID On",
        ),
        _fluent_bit(
            "safest",
            "as ids, with storage.sync full, checksums and DB.sync full",
            service=f"{_ON_DISK}\n    storage.sync full\n    storage.checksum On",
            tail=f"{_FROM_DISK}\n    DB.sync full",
            output=f"{_FOR_EVER}\n    Generate_ID On",
        ),
        _fluent_bit(
            "ids gzip",
            "as ids, bodies compressed",
            service=_ON_DISK,
            tail=_FROM_DISK,
            output=f"{_FOR_EVER}\n    Generate_ID On\n    compress gzip",
        ),
    )
    return {peer.name.removeprefix("fluent-bit "): peer for peer in found if peer is not None}


NO_FLUENT_BIT: Final = "Fluent Bit: no fluent-bit on PATH; every ratio to it needs one"
NO_RSYSLOG: Final = (
    "rsyslog: not installed (Debian: rsyslog, rsyslog-elasticsearch); its ratio needs it"
)

_RSYSLOG: Final = """
global(workDirectory="{folder}/work")
module(load="imfile")
module(load="omelasticsearch")
template(name="index" type="string" string="{index}")
template(name="id" type="string" string="%$!metadata!filename%-%$!metadata!fileoffset%")
template(name="doc" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  property(outname="log.file.path" name="$!metadata!filename" format="jsonf")
}}
{inputs}
ruleset(name="ship") {{
  action(type="omelasticsearch" server="{host}" serverport="{port}" template="doc"
    searchIndex="index" dynSearchIndex="on" searchType="" bulkmode="on" bulkid="id" dynbulkid="on"
    writeoperation="create" maxbytes="4m"
    queue.type="LinkedList" queue.filename="bench" queue.size="100000" queue.dequeueBatchSize="4096"
    queue.saveOnShutdown="on" action.resumeRetryCount="-1")
}}
"""


def rsyslog() -> Peer | None:
    """A disk-assisted queue, unlimited retries and ids; None: rsyslog is not installed."""
    program = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin:/sbin")
    if program is None or not list(Path("/usr/lib").glob("**/rsyslog/omelasticsearch.so")):
        return None

    def arguments(folder: Path, paths: Sequence[str], url: str) -> tuple[str, ...]:
        place = urlsplit(url)
        (_fresh(folder) / "work").mkdir()
        config = folder / "rsyslog.conf"
        inputs = "\n".join(
            f'input(type="imfile" File="{path}" Tag="bench" addMetadata="on" ruleset="ship")'
            for path in paths
        )
        config.write_text(
            _RSYSLOG.format(
                folder=folder, index=INDEX, inputs=inputs, host=place.hostname, port=place.port
            ),
            encoding="utf-8",
        )
        return (program, "-n", "-f", str(config), "-i", str(folder / "pid"))

    return Peer(
        name="rsyslog",
        meaning="disk-assisted queue, unlimited retries, ids by offset",
        arguments=arguments,
    )
