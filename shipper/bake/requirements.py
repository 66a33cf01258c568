"""What a configuration needs of the image beside Python: packages and a library.

In: an image's root, a configuration, and which Python runs it. Out: what is missing, and how to get
it. It must never import or run anything of the image, nor take the baking machine's for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shipper.bake.program import Interpreter
from shipper.bake.root import ImageRoot
from shipper.config import Config

_LIBRARY: Final = "libsystemd.so.0"
_LIBRARY_FOLDERS: Final = ("/usr/lib64", "/usr/lib", "/lib64", "/lib")


def find_missing(root: ImageRoot, config: Config, interpreter: Interpreter | None) -> Iterator[str]:
    """Why the shipper would not start, or not read an input, with this configuration."""
    if (
        config.output.auth == "sigv4"
        and interpreter
        and not _has_package(root, "botocore", interpreter)
    ):
        yield (
            f'auth = "sigv4" needs botocore, which the image\'s Python {interpreter.version} does '
            "not have: install it there (Debian and Ubuntu: python3-botocore; elsewhere "
            f"`pip{interpreter.version} install botocore` inside the image), then bake again"
        )
    if config.journald is not None and not _has_library(root):
        yield (
            f"[sources.journald] needs {_LIBRARY}, which the image does not have: install it "
            "there (Debian and Ubuntu: libsystemd0; Amazon Linux, Fedora and Red Hat: "
            "systemd-libs), then bake again"
        )
    if config.stdin is not None:
        yield (
            "[sources.stdin] has no input under systemd: follow a file or the journal, or leave "
            "it to `application | shipper run`"
        )


def _has_package(root: ImageRoot, name: str, interpreter: Interpreter) -> bool:
    """Whether the interpreter would import it: system packages, and what pip adds to them."""
    python = f"python{interpreter.version}"
    folders = [
        f"{base}/{python}/{kind}"
        for base in ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")
        for kind in ("site-packages", "dist-packages")
    ]
    folders.append("/usr/lib/python3/dist-packages")  # Debian's, for every Python 3
    return any(root.find(f"{folder}/{name}/__init__.py").is_file() for folder in folders)


def _has_library(root: ImageRoot) -> bool:
    """Whether it is in a folder of libraries, or in one of an architecture's below it."""
    for folder in _LIBRARY_FOLDERS:
        here = root.find(folder)
        if not here.is_dir():
            continue
        names = ("", *sorted(one.name for one in here.iterdir() if one.name.endswith("-gnu")))
        if any(root.find(f"{folder}/{name}/{_LIBRARY}").is_file() for name in names):
            return True
    return False
