"""The shipper's configuration as values, beside the table of every key that may be written.

In: nothing. Out: the classes that `shipper.config_reader` fills. `KEYS` is the one table behind
parsing, the baked default and docs/config.md. It must never look at the machine: that is
`shipper.check`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

from shipper import default_paths

TailFormat = Literal["lines", "docker", "cri"]
"""How a followed file wraps what an application wrote: not, Docker's json-file, Kubernetes' CRI."""

EXAMPLE_URLS: Final = 'urls = ["https://centre.example:9200"]'


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityConfig:
    """What the configuration says of the machine; empty text: ask IMDS."""

    instance_id: str = ""
    image_id: str = ""
    region: str = ""
    availability_zone: str = ""
    account_id: str = ""
    host_name: str = ""
    group: str = ""
    instance_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailConfig:
    """One `[[sources.tail]]`: files to follow, by absolute glob patterns."""

    paths: tuple[str, ...] = default_paths.LOGS
    format: TailFormat = "lines"
    multiline: str = ""
    """A preset of `wire/multiline.py`: which lines belong together; empty: none do."""
    multiline_start: str = ""
    """A regular expression: a line that it matches begins a record."""
    multiline_continuation: str = ""
    """A regular expression: a line that it matches goes on with the record before it."""
    multiline_seconds: float = 5.0
    """A record that may yet go on is sent once its file was quiet for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardConfig:
    """One `[[sources.forward]]`: a server of the Forward protocol."""

    listen: str
    """`unix:///path` or `tcp://host:port`."""
    shared_key_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournaldConfig:
    """`[sources.journald]`: the system's journal, from this boot's start on."""

    directory: Path | None = None
    """Journal files to read instead of the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StdinConfig:
    """`[sources.stdin]`: lines that come on standard input."""

    name: str = "stdin"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskConfig:
    """One `[[transforms.mask]]`: what is overwritten, same length, before it leaves the machine."""

    builtin: tuple[str, ...] = ()
    """Names of `wire/masks.py`'s patterns."""
    patterns: tuple[str, ...] = ()
    """Regular expressions; where one has groups, only the groups are masked."""
    paths: tuple[str, ...] = ()
    """Glob patterns of the sources that it applies to; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropConfig:
    """One `[[transforms.drop]]`: records that are not shipped, and counted."""

    reason: str
    pattern: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RateConfig:
    """One `[[transforms.rate]]`: how many records a second one source may have shipped."""

    reason: str
    records_per_second: int
    burst: int = 0
    """Records beyond it that may come at once; 0: as many as one second's."""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """`[limits]`: what the shipper may take of its machine."""

    in_flight_mib: int = 16
    """Raw bytes that are read and not acknowledged, over all stages."""
    spool_mib: int = 1024
    """Bytes of inputs that can't be read twice; at the limit senders have to wait."""
    held_percent: int = 10
    """Share of a file system that deleted files may occupy because they are not shipped yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """`[metrics]`: Prometheus text over HTTP on a local socket."""

    listen: str
    """`unix:///path` or `tcp://127.0.0.1:port`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputConfig:
    """`[output.opensearch]`: where records go; secrets are named by file, never written here."""

    urls: tuple[str, ...]
    username_file: Path | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    auth: Literal["basic", "sigv4"] = "basic"
    """`sigv4` needs the extra of that name, and `region`."""
    region: str = ""
    service: str = "es"
    """What a SigV4 signature is for: `es`, or `aoss` (serverless)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration, every rule already checked."""

    output: OutputConfig
    identity: IdentityConfig = IdentityConfig()
    state_directory: Path = Path(default_paths.STATE_DIRECTORY)
    tails: tuple[TailConfig, ...] = (TailConfig(),)
    forwards: tuple[ForwardConfig, ...] = ()
    journald: JournaldConfig | None = None
    stdin: StdinConfig | None = None
    masks: tuple[MaskConfig, ...] = ()
    drops: tuple[DropConfig, ...] = ()
    rates: tuple[RateConfig, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    metrics: MetricsConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the configuration, as the reader of docs/config.md sees it."""

    table: str
    name: str
    kind: Literal["id", "text", "path", "patterns", "urls"]
    default: str | tuple[str, ...] | None
    """None: it has no default and must be given."""
    meaning: str


KEYS: Final = (
    Key(table="identity", name="instance_id", kind="id", default="",
        meaning="The machine's id. Set it on a host without IMDS, which then is not asked; never "
        "in an image that several instances start from."),
    Key(table="identity", name="image_id", kind="text", default="",
        meaning="The image that the instance was started from."),
    Key(table="identity", name="instance_type", kind="text", default="",
        meaning="The machine's type, e.g. `m7g.large`."),
    Key(table="identity", name="region", kind="text", default="",
        meaning="The region, e.g. `eu-central-1`."),
    Key(table="identity", name="availability_zone", kind="text", default="",
        meaning="The availability zone, e.g. `eu-central-1a`."),
    Key(table="identity", name="account_id", kind="text", default="",
        meaning="The account that owns the instance."),
    Key(table="identity", name="host_name", kind="text", default="",
        meaning="The host's name."),
    Key(table="identity", name="group", kind="text", default="",
        meaning="The Auto Scaling group's name. IMDS knows it only where the instance allows tags "
        "in its metadata."),
    Key(table="state", name="directory", kind="path", default=default_paths.STATE_DIRECTORY,
        meaning="Where checkpoints, the stream's name and dead letters are kept. Must survive a "
        "restart, must not be part of an image."),
    Key(table="sources.tail", name="paths", kind="patterns", default=default_paths.LOGS,
        meaning="Files to follow, as absolute glob patterns; `**` stands for any depth. New files "
        "are found while running, rotated ones are read to their end."),
    Key(table="output.opensearch", name="urls", kind="urls", default=None,
        meaning="The centre's nodes, or a collector: `http(s)://host:port`, with a path where a "
        "proxy wants one. One is used until it fails, then the next."),
    Key(table="output.opensearch", name="username_file", kind="path", default="",
        meaning="A file that holds the user's name. Goes with `password_file`."),
    Key(table="output.opensearch", name="password_file", kind="path", default="",
        meaning="A file that holds the password. Read again when it changes."),
    Key(table="output.opensearch", name="ca_file", kind="path", default="",
        meaning="Certificate authorities (PEM) to trust instead of the system's."),
    Key(table="output.opensearch", name="client_cert_file", kind="path", default="",
        meaning="The client's certificate (PEM) for mutual TLS. Goes with `client_key_file`."),
    Key(table="output.opensearch", name="client_key_file", kind="path", default="",
        meaning="The private key (PEM) of `client_cert_file`."),
)  # fmt: skip
"""Every key that this version knows, in the order of the documentation."""

TABLES: Final = {
    "identity": "Who the machine is. Each key that is set overrides what IMDSv2 says.",
    "state": "What the shipper remembers between two starts.",
    "sources.tail": "Files to follow. The table may be repeated.",
    "output.opensearch": "Where the records go: OpenSearch, or anything that takes its `_bulk`.",
}
"""Every table, with its meaning; only `sources.tail` is an array of tables."""

NOT_YET: Final = {
    "sources.forward": "give the application a log file and follow it with [[sources.tail]]",
    "sources.journald": "let the units write to files and follow them with [[sources.tail]]",
    "output.opensearch.auth": "use username_file and password_file, or a client certificate",
}
"""Designed, not built: refused by name, with what to do meanwhile."""

# A key that is parsed but not documented, or the reverse, is a bug that shows at import.
if {key.name for key in KEYS if key.table == "identity"} != {
    one.name for one in fields(IdentityConfig)
}:
    raise AssertionError("KEYS and IdentityConfig name different keys")
