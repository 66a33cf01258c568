"""The shipper runs wherever Python does: no package, and nothing imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "shipper"

# -I -S: no site-packages, no PYTHONPATH, no user's folder: the interpreter and its library.
BARE = [sys.executable, "-I", "-S", "-c"]
EXTRAS = {
    "shipper/deliver/sigv4.py": {"botocore"},
    "shipper/logging_handler.py": {"fluent", "msgpack"},
}
"""Modules of an extra, each imported by nobody who does not ask for it, and what it may import."""
NOT_FOR_HELP = {
    "asyncio", "difflib", "email", "glob", "hashlib", "http.client", "importlib.resources", "json",
    "logging", "pathlib", "shutil", "socket", "ssl", "tempfile", "tomllib", "urllib.parse",
    "zipfile",
}  # fmt: skip


def run_bare(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a bare interpreter that sees this checkout alone."""
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    return subprocess.run(
        [*BARE, path + program], capture_output=True, text=True, timeout=30, check=False
    )


def modules() -> list[Path]:
    """Every module of the shipper."""
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_the_standard_library_alone(file: Path) -> None:
    """No import, at the top or in a function, leaves the library and the package."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert 0 == node.level, "imports are absolute"
            imported.add((node.module or "").split(".")[0])
    allowed = {"shipper", *EXTRAS.get(file.relative_to(ROOT).as_posix(), ())}
    assert set() == imported - set(sys.stdlib_module_names) - allowed


def test_every_module_is_imported_without_site_packages() -> None:
    """The whole package loads in an interpreter that has nothing but its library."""
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in modules()
        if file.name != "__main__.py"
    ]
    done = run_bare(f"import importlib\nfor name in {names}: importlib.import_module(name)")
    assert ("", 0) == (done.stderr, done.returncode)


def test_help_imports_nothing_that_it_does_not_need() -> None:
    """`shipper --help` is instant: no TLS, no JSON, no HTTP is loaded to print it."""
    done = run_bare(
        "from shipper.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as exit:\n"
        "    sys.stderr.write(' '.join(sys.modules))\n"
        "    raise\n"
    )
    assert 0 == done.returncode
    assert "dead-letters" in done.stdout
    assert set() == NOT_FOR_HELP & set(done.stderr.split())


def test_importing_the_package_imports_nothing() -> None:
    """`import shipper` costs nothing: its modules are asked for by name."""
    done = run_bare(
        "before = set(sys.modules)\nimport shipper\nprint(*sorted(set(sys.modules) - before))"
    )
    assert "__future__ shipper" in {done.stdout.strip(), f"__future__ {done.stdout.strip()}"}
