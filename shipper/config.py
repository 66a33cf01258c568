"""The shipper's configuration as values.

In: nothing. Out: the classes that `shipper.config_reader` fills by the table in
`shipper.config_keys`. It must never look at the machine: that is `shipper.check`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from shipper import default_paths

TailFormat = Literal["lines", "docker", "cri"]
"""How a followed file wraps what an application wrote: not, Docker's json-file, Kubernetes' CRI."""

MULTILINE_PRESETS: Final = ("python", "java", "go", "node")
"""The presets of `wire/multiline.py`."""

MASK_NAMES: Final = (
    "aws-access-key",
    "aws-secret-key",
    "bearer-token",
    "jwt",
    "private-key",
    "github-token",
    "gitlab-token",
    "slack-token",
    "google-api-key",
    "stripe-key",
    "url-credentials",
    "password",
)
"""The patterns of `wire/masks.py`."""


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
