"""What bake puts into an image, and whether an image is fit to start instances from.

In: an image root and, optionally, a configuration. Out: one row per file, and what is wrong with
the image. A receipt in the image says what was installed, so that a later version can take it out.
It must never bake state: two instances that start from it would be one to whoever reads the logs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from shipper import __version__, default_paths
from shipper.bake.program import (
    OLDEST_MINOR,
    build_launcher,
    build_program,
    find_interpreter,
    read_unit,
)
from shipper.bake.requirements import find_missing
from shipper.bake.root import ImageRoot
from shipper.bake.sandbox import find_refused
from shipper.config_reader import parse_config
from shipper.config_rendering import render_default_config
from shipper.errors import ConfigError

PROGRAM: Final = "/usr/lib/afterimage/shipper.pyz"
LAUNCHER: Final = "/usr/bin/shipper"
UNIT: Final = "/usr/lib/systemd/system/afterimage-shipper.service"
ENABLEMENT: Final = "/etc/systemd/system/multi-user.target.wants/afterimage-shipper.service"
CONFIG: Final = default_paths.CONFIG_FILE
RECEIPT: Final = "/usr/lib/afterimage/bake.json"

_RECEIPT_SCHEMA: Final = "afterimage.bake"
_RECEIPT_VERSION: Final = 1

State = Literal["same", "different", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file or link of an image, as bake wants it."""

    path: str
    data: bytes = b""
    mode: int = 0o644
    link: str = ""
    """Where a link points; empty: a file."""

    @property
    def digest(self) -> str:
        """What the receipt keeps of it."""
        return f"link:{self.link}" if self.link else hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was found, or done, at one path."""

    path: str
    what: str


@dataclass(slots=True)
class Receipt:
    """What bake installed into an image, over all of its runs."""

    files: dict[str, str] = field(default_factory=dict)
    """Path → digest."""
    directories: list[str] = field(default_factory=list)
    """The ones that bake made, outer ones first."""

    def to_bytes(self) -> bytes:
        """The receipt as it lies in the image: no time, no host, so that two bakes are equal."""
        document = {
            "schema": _RECEIPT_SCHEMA,
            "version": _RECEIPT_VERSION,
            "shipper": __version__,
            "files": dict(sorted(self.files.items())),
            "directories": sorted(self.directories),
        }
        return json.dumps(document, indent=2).encode() + b"\n"


def build_items(root: ImageRoot, config: bytes | None) -> list[Item]:
    """Everything that the image gets; `config` None: the default one."""
    text = render_default_config().encode() if config is None else config
    return [
        Item(path=PROGRAM, data=build_program()),
        Item(path=LAUNCHER, data=build_launcher(find_interpreter(root)), mode=0o755),
        Item(path=UNIT, data=read_unit()),
        Item(path=ENABLEMENT, link=UNIT),
        Item(path=CONFIG, data=text, mode=0o640),
    ]


def compare(root: ImageRoot, item: Item) -> State:
    """How the image's file stands to the wanted one; permissions count, too."""
    if item.link:
        found = root.read_link(item.path)
        if found is None:
            return "missing" if root.read(item.path) is None else "different"
        return "same" if found == item.link else "different"
    if item.path != CONFIG and root.read_link(item.path) is not None:
        return "different"  # only a configuration may be kept elsewhere, and linked to
    data = root.read(item.path)
    if data is None:
        return "missing"
    return "same" if data == item.data and root.read_mode(item.path) == item.mode else "different"


def install(root: ImageRoot, config: bytes | None) -> list[Row]:
    """Bake; what is right already is left alone, an own configuration is kept.

    Raises:
        ConfigError: a file of somebody else's has one of the names; nothing was changed.
    """
    receipt = load_receipt(root)
    items = build_items(root, config)
    states = {item.path: compare(root, item) for item in items}
    for path, state in states.items():
        if state == "different" and path != CONFIG and path not in receipt.files:
            raise ConfigError(
                f"{path} in {root.directory} is not from bake",
                why="it is another file of that name, and no receipt names it",
                next_step="move it away, then bake again",
            )
    try:
        return [
            _install_item(root, item, states[item.path], receipt, keep=config is None)
            for item in items
        ]
    finally:
        if receipt.files:
            _save_receipt(root, receipt)


def _install_item(
    root: ImageRoot, item: Item, state: State, receipt: Receipt, *, keep: bool
) -> Row:
    if keep and item.path == CONFIG and state == "different":
        return Row(path=item.path, what="kept: it is not the default one")
    if state != "same":
        receipt.directories += root.make_parents(item.path)
        if item.link:
            root.write_link(item.path, item.link)
        else:
            root.write(item.path, item.data, item.mode)
    receipt.files[item.path] = item.digest
    return Row(
        path=item.path,
        what={"missing": "installed", "different": "replaced", "same": "same"}[state],
    )


def check(root: ImageRoot, config: bytes | None) -> tuple[list[Row], bool]:
    """One row per file, and whether all of them are as bake leaves them."""
    baked = load_receipt(root).files
    rows = []
    fits = True
    for item in build_items(root, config):
        state = compare(root, item)
        data = root.read(item.path) if item.path == CONFIG and config is None else None
        if data is not None and hashlib.sha256(data).hexdigest() == baked.get(CONFIG):
            state = "same"
        elif data is not None and state == "different":
            rows.append(Row(path=item.path, what="different, and taken as yours"))
            continue
        fits = fits and state == "same"
        rows.append(Row(path=item.path, what=state))
    return rows, fits


def remove(root: ImageRoot) -> list[Row]:
    """Take out what the receipt names, except what was changed since."""
    receipt = load_receipt(root)
    rows = []
    for path, digest in receipt.files.items():
        found = _digest(root, path)
        if found is None:
            rows.append(Row(path=path, what="gone already"))
        elif found != digest:
            rows.append(Row(path=path, what="kept: it was changed after bake"))
        else:
            root.remove(path)
            rows.append(Row(path=path, what="removed"))
    if receipt.files:
        root.remove(RECEIPT)
    rows += [
        Row(path=directory, what="removed")
        for directory in sorted(receipt.directories, key=len, reverse=True)
        if root.remove_empty(directory)
    ]
    return rows


def find_problems(root: ImageRoot) -> list[str]:
    """Why an instance that starts from this image would not ship, or not as itself."""
    problems = []
    interpreter = find_interpreter(root)
    if interpreter is None:
        problems.append(
            f"the image has no Python 3.{OLDEST_MINOR} or newer: install python3, then bake again"
        )
    state_directory = default_paths.STATE_DIRECTORY
    data = root.read(CONFIG)
    if data is not None:
        config, wrong = parse_config(data.decode("utf-8", "replace"))
        problems += [f"{CONFIG}:{one.line}: {one.what}" for one in wrong]
        if config is not None:
            problems += find_missing(root, config, interpreter)
            problems += (f"{CONFIG}: {refused}" for refused in find_refused(root, config))
            state_directory = str(config.state_directory)
            if config.identity.instance_id:
                problems.append(
                    f"{CONFIG} sets identity.instance_id: every instance of this image would "
                    f"claim to be {config.identity.instance_id}; leave it to IMDS"
                )
    here = root.find(state_directory)
    if here.is_dir() and any(here.iterdir()):
        problems.append(
            f"{state_directory} holds a shipper's state, which instances of this image would "
            f"share: stop the shipper and remove it (rm -r {here}) before the image is taken"
        )
    return problems


def load_receipt(root: ImageRoot) -> Receipt:
    """What earlier bakes installed; an empty receipt where none did, or where it is damaged."""
    try:
        document: Any = json.loads(root.read(RECEIPT) or b"{}")
    except (ValueError, RecursionError):
        return Receipt()
    if not isinstance(document, dict) or document.get("schema") != _RECEIPT_SCHEMA:
        return Receipt()
    found, directories = document.get("files"), document.get("directories")
    if not isinstance(found, Mapping) or not isinstance(directories, list):
        return Receipt()
    return Receipt(
        files={str(path): str(digest) for path, digest in found.items()},
        directories=[str(one) for one in directories],
    )


def _save_receipt(root: ImageRoot, receipt: Receipt) -> None:
    data = receipt.to_bytes()
    if root.read(RECEIPT) != data:
        root.write(RECEIPT, data, 0o644)


def _digest(root: ImageRoot, path: str) -> str | None:
    link = root.read_link(path)
    if link is not None:
        return f"link:{link}"
    data = root.read(path)
    return None if data is None else hashlib.sha256(data).hexdigest()
