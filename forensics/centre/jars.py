"""The Java archives of an OpenSearch node: fetched once, checked every time.

In: a cache folder. Out: the class path, every file of it equal to its SHA-256 in
opensearch-3.8.0.sha256 (`sha256sum` format, so anyone can check it without us). A file that is
missing, cut short or altered is fetched again; with a filled cache nothing touches the network.
It must never put a file in place that was not checked.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from forensics.errors import ForensicsError, TimedOutError, UnreachableError

OPENSEARCH_VERSION: Final = "3.8.0"
INSTALL_LINE: Final = "pip install 'afterimage-forensics[opensearch]'"

Report = Callable[[str], None]
"""Takes one line of narration for a person."""

_PARALLEL: Final = 8
_TRIES: Final = 3
_REQUEST_TIMEOUT_SECONDS: Final = 60.0
_LOCK_TIMEOUT_SECONDS: Final = 900.0
_REPORT_EVERY_SECONDS: Final = 2.0
_CHUNK_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Jar:
    """One archive, as the list names it."""

    path: str
    """Below the repository's root and below the cache alike."""
    sha256: str


def load_jars() -> tuple[Jar, ...]:
    """The pinned list, in class path order."""
    text = (resources.files(__package__) / f"opensearch-{OPENSEARCH_VERSION}.sha256").read_text()
    return tuple(
        Jar(path, digest)
        for digest, _, path in (line.partition("  ") for line in text.splitlines())
    )


def fetch_jars(
    cache: Path,
    report: Report,
    *,
    jars: tuple[Jar, ...] | None = None,
    repository_url: str | None = None,
) -> list[Path]:
    """The class path, complete and checked; downloads what the cache lacks.

    Raises:
        UnreachableError: something is missing and the repository does not answer.
        TimedOutError: another process kept the cache locked for a quarter of an hour.
    """
    wanted = load_jars() if jars is None else jars
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / "lock", report):
            missing = [jar for jar in wanted if not _is_intact(cache / jar.path, jar.sha256)]
            if missing:
                _download(missing, cache, repository_url or _central_url(), report)
    except OSError as error:
        raise ForensicsError(
            f"can't use the cache {cache}",
            why=str(error),
            next_step="make room or free the folder, or set XDG_CACHE_HOME to another place",
        ) from error
    return [cache / jar.path for jar in wanted]


def _central_url() -> str:
    try:
        from jgo.constants import MAVEN_CENTRAL_URL
    except ImportError as error:
        raise ForensicsError(
            "can't fetch OpenSearch", why="jgo is not installed", next_step=INSTALL_LINE
        ) from error
    return str(MAVEN_CENTRAL_URL)


def _is_intact(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _download(missing: list[Jar], cache: Path, repository_url: str, report: Report) -> None:
    report(f"fetching {len(missing)} archives of OpenSearch {OPENSEARCH_VERSION} into {cache}")
    size_bytes = 0
    told_at = time.monotonic()
    with ThreadPoolExecutor(_PARALLEL) as workers:
        futures = [workers.submit(_fetch, jar, cache, repository_url) for jar in missing]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                size_bytes += future.result()
                if time.monotonic() - told_at > _REPORT_EVERY_SECONDS or done == len(futures):
                    told_at = time.monotonic()
                    report(f"  {done} of {len(futures)} archives, {size_bytes / 1e6:.0f} MB")
        except BaseException:  # Ctrl-C or the first failure: don't start the rest
            workers.shutdown(cancel_futures=True)
            raise


def _fetch(jar: Jar, cache: Path, repository_url: str) -> int:
    """Fetch one archive, check it, put it in place; returns its size."""
    url = f"{repository_url}/{jar.path}"
    target = cache / jar.path
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    why = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(attempt)
        try:
            size_bytes, sha256 = _stream(url, part)
        except OSError as error:  # urllib's errors, TLS, resets and time-outs are all OSErrors
            why = str(error)
            continue
        if sha256 == jar.sha256:
            part.replace(target)
            return size_bytes
        part.unlink()
        why = f"it came with SHA-256 {sha256} instead of {jar.sha256}"
    raise UnreachableError(
        f"can't fetch {url}",
        why=why,
        next_step="check network and proxy (HTTPS_PROXY), then run it again: it goes on from here",
    )


def _stream(url: str, part: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size_bytes = 0
    request = urllib.request.Request(url)  # noqa: S310 - the scheme is the repository's, not input
    with (
        urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT_SECONDS) as answer,  # noqa: S310 - same
        part.open("wb") as file,
    ):
        while chunk := answer.read(_CHUNK_BYTES):
            file.write(chunk)
            digest.update(chunk)
            size_bytes += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size_bytes, digest.hexdigest()


@contextlib.contextmanager
def _locked(path: Path, report: Report) -> Iterator[None]:
    """Hold the cache alone; the kernel frees the lock however this process ends."""
    with path.open("w") as file:
        told = False
        deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimedOutError(
                        f"the cache {path.parent} stays locked",
                        why="another process has been fetching OpenSearch for 15 minutes",
                        next_step="end it, then run this again",
                    ) from None
                if not told:
                    report("another process is fetching OpenSearch: waiting for it")
                    told = True
                time.sleep(0.2)
        yield
