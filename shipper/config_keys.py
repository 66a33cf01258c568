"""The table of every key that the configuration may hold, and what each one means.

In: nothing. Out: `KEYS` and `TABLES`, the one source of parsing (`config_reader`), of the baked
default and of docs/config.md (`config_rendering`). It must never name a key that the reader does
not take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from shipper import default_paths
from shipper.config import (
    MASK_NAMES,
    MULTILINE_PRESETS,
    DropConfig,
    ForwardConfig,
    IdentityConfig,
    JournaldConfig,
    LimitsConfig,
    MaskConfig,
    MetricsConfig,
    OutputConfig,
    RateConfig,
    StdinConfig,
    TailConfig,
)

Kind = Literal[
    "id", "text", "label", "region", "choice", "path", "regex", "listen", "integer", "seconds",
    "patterns", "sources", "regexes", "names", "urls",
]  # fmt: skip
LIST_KINDS: Final = frozenset({"patterns", "sources", "regexes", "names", "urls"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the configuration, as the reader of docs/config.md sees it."""

    table: str
    name: str
    kind: Kind
    default: str | float | tuple[str, ...] | None
    """None: it has no default and must be given."""
    meaning: str
    choices: tuple[str, ...] = ()
    """Of `choice` and `names`: what may be written."""
    least: float = 0
    most: float = 0
    """Of `integer` and `seconds`: what is allowed."""
    example: str = ""
    """What to write, where there is no default that shows it: TOML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the configuration."""

    form: Literal["always", "array", "switch"]
    """There whether it is written or not; may be repeated; its presence switches something on."""
    config: type[Any] | None
    """The class that its values become; None: it has a single value."""
    meaning: str

    def header(self, name: str) -> str:
        """How it is written."""
        return f"[[{name}]]" if self.form == "array" else f"[{name}]"


TABLES: Final[Mapping[str, Table]] = {
    "identity": Table(form="always", config=IdentityConfig,
        meaning="Who the machine is. Each key that is set overrides what IMDSv2 says."),
    "state": Table(form="always", config=None,
        meaning="What the shipper remembers between two starts."),
    "sources.tail": Table(form="array", config=TailConfig,
        meaning="Files to follow. The table may be repeated. Where no source of any kind is "
        "configured, it stands once with its defaults; who names a source of another kind alone "
        "follows no files."),
    "sources.forward": Table(form="array", config=ForwardConfig,
        meaning="A server of the Forward protocol, for applications that use a fluent-logger and "
        "for other shippers. Events are on disk before they are acknowledged. May be repeated. "
        "Python's `logging` has a handler for it: `pip install 'afterimage-forensics[logging]'`, "
        "then `from shipper.logging_handler import ForwardHandler` and "
        '`logging.basicConfig(handlers=[ForwardHandler("shop", '
        '"unix:///run/afterimage/forward.sock")])`. '
        "A format of your own becomes part of the message; the one that `basicConfig` sets does "
        "not. It can't prove that it knows a key: give it a unix socket."),
    "sources.journald": Table(form="switch", config=JournaldConfig,
        meaning="The systemd journal, from this boot's start on. The shipper's own unit is left "
        "out. Needs libsystemd, which every host with systemd has."),
    "sources.stdin": Table(form="switch", config=StdinConfig,
        meaning="Lines that come on standard input: `application | shipper run`. Where it is the "
        "only source, the shipper exits with 0 once it has ended and all of it is stored; beside "
        "other sources it goes on. Under systemd there is none."),
    "transforms.mask": Table(form="array", config=MaskConfig,
        meaning="Secrets that are overwritten, at the same length, before anything leaves the "
        "machine. The masked ranges are recorded. May be repeated."),
    "transforms.drop": Table(form="array", config=DropConfig,
        meaning="Records that are not shipped. How many, where and why is, so that nothing looks "
        "lost. May be repeated."),
    "transforms.rate": Table(form="array", config=RateConfig,
        meaning="How many records a second each source may have shipped; what is above is "
        "dropped, as by `[[transforms.drop]]`. May be repeated."),
    "limits": Table(form="always", config=LimitsConfig,
        meaning="What the shipper may take of its machine."),
    "metrics": Table(form="switch", config=MetricsConfig,
        meaning="Prometheus text over HTTP, for this machine alone: `/metrics`, and `/healthz`, "
        "which answers 503 where nothing gets through."),
    "output.opensearch": Table(form="always", config=OutputConfig,
        meaning="Where the records go: OpenSearch, or anything that takes its `_bulk`."),
}  # fmt: skip
"""Every table, in the order of the documentation."""

_SOURCES_MEANING: Final = (
    "The sources that it applies to: glob patterns of absolute paths, or names (`journald`, "
    "`forward:unix:///…` as a listener is configured, what `[sources.stdin]` calls itself), which "
    "may be patterns too: `forward:*` are all listeners. Without it: all."
)

KEYS: Final = (
    Key(table="identity", name="instance_id", kind="id", default="",
        example='instance_id = "i-0123456789abcdef0"',
        meaning="The machine's id. Set it on a host without IMDS, which then is not asked; never "
        "in an image that several instances start from."),
    Key(table="identity", name="image_id", kind="text", default="",
        example='image_id = "ami-0123456789abcdef0"',
        meaning="The image that the instance was started from."),
    Key(table="identity", name="instance_type", kind="text", default="",
        example='instance_type = "m7g.large"',
        meaning="The machine's type, e.g. `m7g.large`."),
    Key(table="identity", name="region", kind="text", default="",
        example='region = "eu-central-1"',
        meaning="The region, e.g. `eu-central-1`."),
    Key(table="identity", name="availability_zone", kind="text", default="",
        example='availability_zone = "eu-central-1a"',
        meaning="The availability zone, e.g. `eu-central-1a`."),
    Key(table="identity", name="account_id", kind="text", default="",
        example='account_id = "123456789012"',
        meaning="The account that owns the instance."),
    Key(table="identity", name="host_name", kind="text", default="",
        example='host_name = "shop-1.example"',
        meaning="The host's name."),
    Key(table="identity", name="group", kind="text", default="",
        example='group = "shop"',
        meaning="The Auto Scaling group's name. IMDS knows it only where the instance allows tags "
        "in its metadata."),
    Key(table="state", name="directory", kind="path", default=default_paths.STATE_DIRECTORY,
        meaning="Where checkpoints, the stream's name, spools and dead letters are kept. Must "
        "survive a restart, must not be part of an image."),
    Key(table="sources.tail", name="paths", kind="patterns", default=default_paths.LOGS,
        meaning="Files to follow, as absolute glob patterns; `**` stands for any depth. New files "
        "are found while running, rotated ones are read to their end."),
    Key(table="sources.tail", name="format", kind="choice", default="lines",
        choices=("lines", "docker", "cri"),
        meaning="What a line of the files is: `lines` as an application wrote them, `docker` "
        "json-file, or `cri` (Kubernetes, `/var/log/pods`). The message is what the container "
        "wrote; the file's own bytes can still be had from it."),
    Key(table="sources.tail", name="multiline", kind="choice", default="",
        choices=MULTILINE_PRESETS, example='multiline = "java"',
        meaning="Lines that belong together become one record: the stack traces of a language."),
    Key(table="sources.tail", name="multiline_start", kind="regex", default="",
        example=r"multiline_start = '^\d{4}-\d\d-\d\d '",
        meaning="Instead of `multiline`: a line that the expression matches begins a record, and "
        "all others go on with it."),
    Key(table="sources.tail", name="multiline_continuation", kind="regex", default="",
        example=r"multiline_continuation = '^\s'",
        meaning="Instead of `multiline`: a line that the expression matches goes on with the "
        "record before it."),
    Key(table="sources.tail", name="multiline_seconds", kind="seconds", default=5.0,
        least=0.1, most=3600,
        meaning="A record that may yet go on is sent once its file was quiet for so long."),
    Key(table="sources.forward", name="listen", kind="listen", default=None,
        example='listen = "unix:///run/afterimage/forward.sock"',
        meaning="`unix:///path`, or `tcp://host:port`. A host that other machines can reach needs "
        "`shared_key_file`."),
    Key(table="sources.forward", name="shared_key_file", kind="path", default="",
        example='shared_key_file = "/etc/afterimage/forward.key"',
        meaning="A file that holds the key that clients must know. The usual fluent-loggers can't "
        "prove that they know one: give those a unix socket."),
    Key(table="sources.journald", name="directory", kind="path", default="",
        example='directory = "/var/log/journal"',
        meaning="Journal files to read instead of this system's."),
    Key(table="sources.stdin", name="name", kind="label", default="stdin",
        meaning="What the lines are called where a file's have its path."),
    Key(table="transforms.mask", name="builtin", kind="names", default=(), choices=MASK_NAMES,
        example='builtin = ["aws-access-key", "bearer-token"]',
        meaning="Patterns that come with the shipper. `private-key` masks a key in one record:"
        " one that is printed over several lines needs a rule that makes them one record"
        " (`multiline_start`), without which only its first line is recognised and the lines of the"
        " key are shipped in clear."),
    Key(table="transforms.mask", name="patterns", kind="regexes", default=(),
        example="patterns = ['password=(\\S+)']",
        meaning="Regular expressions. Where one has groups, only the groups are overwritten."),
    Key(table="transforms.mask", name="paths", kind="sources", default=(),
        example='paths = ["/var/log/app/*.log"]',
        meaning=_SOURCES_MEANING),
    Key(table="transforms.drop", name="reason", kind="label", default=None,
        example='reason = "health checks"',
        meaning="Why: stands beside the count wherever the records would have been."),
    Key(table="transforms.drop", name="pattern", kind="regex", default=None,
        example="pattern = 'GET /healthz '",
        meaning="A regular expression: a record in which it is found is dropped."),
    Key(table="transforms.drop", name="paths", kind="sources", default=(),
        example='paths = ["/var/log/app/*.log"]',
        meaning=_SOURCES_MEANING),
    Key(table="transforms.rate", name="reason", kind="label", default=None,
        example='reason = "debug flood"',
        meaning="Why: stands beside the count wherever the records would have been."),
    Key(table="transforms.rate", name="records_per_second", kind="integer", default=None,
        least=1, most=10_000_000, example="records_per_second = 1000",
        meaning="How many records of one source are shipped each second, on the average."),
    Key(table="transforms.rate", name="burst", kind="integer", default=0,
        least=0, most=1_000_000_000,
        meaning="How many more may come at once; 0: as many as one second's."),
    Key(table="transforms.rate", name="paths", kind="sources", default=(),
        example='paths = ["/var/log/app/*.log"]',
        meaning=_SOURCES_MEANING),
    Key(table="limits", name="in_flight_mib", kind="integer", default=16, least=4, most=1024,
        meaning="Raw bytes that are read and not yet acknowledged, over all stages: what the "
        "shipper's memory follows from."),
    Key(table="limits", name="spool_mib", kind="integer", default=1024, least=1, most=1 << 20,
        meaning="Bytes on disk of what can't be read twice (Forward, stdin). At the limit senders "
        "have to wait; nothing is dropped."),
    Key(table="limits", name="held_percent", kind="integer", default=10, least=1, most=90,
        meaning="Share of a file system that deleted files may go on to occupy because they are "
        "not shipped yet. Above it the oldest go, and a gap says which bytes."),
    Key(table="metrics", name="listen", kind="listen", default=None,
        example='listen = "unix:///run/afterimage/metrics.sock"',
        meaning="`unix:///path`, or `tcp://127.0.0.1:port`; never an address that other machines "
        "can reach."),
    Key(table="output.opensearch", name="urls", kind="urls", default=None,
        example='urls = ["https://centre.example:9200"]',
        meaning="The centre's nodes, or a collector: `http(s)://host:port`, with a path where a "
        "proxy wants one. One is used until it fails, then the next."),
    Key(table="output.opensearch", name="auth", kind="choice", default="basic",
        choices=("basic", "sigv4"),
        meaning="`basic`: `username_file` and `password_file`, or neither. `sigv4`: requests are "
        "signed with the machine's AWS credentials, which needs `region` and the extra "
        "`afterimage-forensics[sigv4]`."),
    Key(table="output.opensearch", name="username_file", kind="path", default="",
        example='username_file = "/etc/afterimage/user"',
        meaning="A file that holds the user's name. Goes with `password_file`."),
    Key(table="output.opensearch", name="password_file", kind="path", default="",
        example='password_file = "/etc/afterimage/password"',
        meaning="A file that holds the password. Read again when it changes."),
    Key(table="output.opensearch", name="region", kind="region", default="",
        example='region = "eu-central-1"',
        meaning='Of `auth = "sigv4"`: the region that the domain is in.'),
    Key(table="output.opensearch", name="service", kind="choice", default="es",
        choices=("es", "aoss"),
        meaning='Of `auth = "sigv4"`: `es` (a domain), or `aoss` (a serverless collection).'),
    Key(table="output.opensearch", name="ca_file", kind="path", default="",
        example='ca_file = "/etc/afterimage/ca.pem"',
        meaning="Certificate authorities (PEM) to trust instead of the system's."),
    Key(table="output.opensearch", name="client_cert_file", kind="path", default="",
        example='client_cert_file = "/etc/afterimage/cert.pem"',
        meaning="The client's certificate (PEM) for mutual TLS. Goes with `client_key_file`."),
    Key(table="output.opensearch", name="client_key_file", kind="path", default="",
        example='client_key_file = "/etc/afterimage/key.pem"',
        meaning="The private key (PEM) of `client_cert_file`."),
)  # fmt: skip
"""Every key that this version knows, in the order of the documentation."""


def keys_of(table: str) -> tuple[Key, ...]:
    """The keys of one table."""
    return tuple(key for key in KEYS if key.table == table)


# A key that is parsed but not documented, or the reverse, is a bug that shows at import.
for _name, _table in TABLES.items():
    if _table.config is not None and {key.name for key in keys_of(_name)} != {
        one.name for one in fields(_table.config)
    }:
        raise AssertionError(f"KEYS and the values of [{_name}] name different keys")
