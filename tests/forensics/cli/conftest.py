"""Runs command lines in this process, on a store of four instances and an empty environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from forensics.cli.main import main
from tests.forensics.cli.stored import (
    DEAD,
    DEAD_LINES,
    EVIL_PATH,
    HOSTILE,
    HOSTILE_LINES,
    LONG,
    LONG_LINES,
    SILENT,
    StoreFile,
    content_of,
)


@dataclass(frozen=True)
class Answer:
    """What a command line came to."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        """Standard output as text."""
        return self.raw.decode()

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as one JSON document."""
        document: dict[str, Any] = json.loads(self.raw)
        return document

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.raw.splitlines()]


Run = Callable[..., Answer]


@pytest.fixture
def run(
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Run:
    """Runs `forensics WORDS…`; no account, store or evidence of the developer's is in reach."""
    for name in (
        *("AFTERIMAGE_STORE", "AFTERIMAGE_EVIDENCE", "AFTERIMAGE_DEBUG", "NO_COLOR"),
        *("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AFTERIMAGE_EVIDENCE", str(tmp_path / "evidence"))

    def run(*words: str | Path) -> Answer:
        capsysbinary.readouterr()
        # In a thread of its own: asyncio.run would replace the event loop of pytest-asyncio.
        with ThreadPoolExecutor(1) as worker:
            code = worker.submit(main, [str(word) for word in words]).result(60)
        captured = capsysbinary.readouterr()
        return Answer(code, captured.out, captured.err.decode())

    return run


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store: a dead instance, one with a hole and no goodbye, hostile lines, a long log."""
    file = StoreFile(tmp_path_factory.mktemp("store") / "logs.sqlite")
    file.add_instance(DEAD, content_of(DEAD_LINES))
    file.add_instance(SILENT, content_of(DEAD_LINES[:40]), closed=False, left_out=(3, 4))
    file.add_instance(HOSTILE, b"".join(HOSTILE_LINES), path=EVIL_PATH, group="evil")
    file.add_instance(LONG, content_of(LONG_LINES), closed=False, group="long")
    file.close()
    return file.path
