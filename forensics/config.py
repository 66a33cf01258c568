"""Settings of both front doors: flags, then environment, then defaults; each knows its source.

In: the flags that were given and an environment. Out: `Settings`. It reads no file, asks no network
and makes no folder; what is wrong on its face is refused here, as a `UsageError` that names the
flag or variable, so that nobody downstream has to guess where a value came from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from forensics.errors import UsageError

DEFAULT: Final = "default"
"""The source of a value that nobody gave."""

FLAGS: Final[Mapping[str, str]] = {
    "store": "--store",
    "evidence": "--evidence",
    "profile": "--profile",
    "region": "--region",
}
VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "store": ("AFTERIMAGE_STORE",),
    "evidence": ("AFTERIMAGE_EVIDENCE",),
    "profile": ("AWS_PROFILE",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
"""Environment variables of each setting, the first one set wins."""

_SECRET_IN_URL: Final = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every command and the TUI work with."""

    store: str | None
    """`sqlite:PATH`, a path, or `http(s)://…`; None: no store, only the account speaks."""
    evidence: Path
    """The folder that holds journals, custody logs and cases. It may not exist yet."""
    profile: str | None
    """The AWS profile; None: boto3's own choice."""
    region: str | None
    """The AWS region; None: boto3's own choice."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where each value came from: a flag, a variable's name, or `default`."""

    @classmethod
    def resolve(
        cls,
        *,
        store: str | None = None,
        evidence: str | None = None,
        profile: str | None = None,
        region: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """The settings that these flags (None: not given) and the environment make.

        Raises:
            UsageError: a value is empty, or no value of its kind.
        """
        environ = os.environ if environ is None else environ
        flags = {"store": store, "evidence": evidence, "profile": profile, "region": region}
        values: dict[str, str | None] = {}
        sources: dict[str, str] = {}
        for name, flag in flags.items():
            values[name], sources[name] = _resolve(name, flag, environ)
        folder = values["evidence"]
        return cls(
            store=values["store"],
            evidence=_default_evidence() if folder is None else _parse_folder(folder, sources),
            profile=values["profile"],
            region=values["region"],
            sources=sources,
        )

    @property
    def store_shown(self) -> str:
        """The store for a person: a password in its URL is masked."""
        return _SECRET_IN_URL.sub(r"\1:…@", self.store or "")

    def __repr__(self) -> str:
        return (
            f"Settings(store={self.store_shown!r}, evidence={str(self.evidence)!r}, "
            f"profile={self.profile!r}, region={self.region!r})"
        )

    def require_store(self) -> str:
        """The store's location.

        Raises:
            UsageError: none is set.
        """
        if self.store is None:
            raise UsageError(
                "no store is set",
                why="this command reads what the shippers sent, and nothing says where that is",
                next_step="give --store PATH or --store https://…, or set AFTERIMAGE_STORE; "
                "`forensics demo` makes one to try",
            )
        return self.store


def _resolve(name: str, flag: str | None, environ: Mapping[str, str]) -> tuple[str | None, str]:
    if flag is not None:
        if not flag.strip():
            raise UsageError(
                f"{FLAGS[name]} is empty",
                why="an empty value names nothing",
                next_step=f"give a value after {FLAGS[name]}, or leave it out",
            )
        return flag, FLAGS[name]
    for variable in VARIABLES[name]:
        if value := environ.get(variable, "").strip():
            return value, variable
    return None, DEFAULT


def _parse_folder(text: str, sources: Mapping[str, str]) -> Path:
    source = sources["evidence"]
    if "://" in text:
        raise UsageError(
            f"{source} is {text!r}",
            why="in this version the evidence store is a folder, local or shared",
            next_step=f"give {source} a folder's path",
        )
    folder = Path(text).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{source} is {text!r}",
            why="that is a file, and evidence needs a folder",
            next_step=f"give {source} a folder's path; it is made on first use",
        )
    return folder


def _default_evidence() -> Path:
    from platformdirs import user_data_dir

    return Path(user_data_dir("afterimage", appauthor=False)) / "evidence"
