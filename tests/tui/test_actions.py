"""The registry of actions: unique, complete, and the same as bindings, help and docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensics.tui.actions import ACTIONS, PLACES, actions_of, bindings, key_names, render_keys_page
from forensics.tui.app import AfterimageApp
from forensics.tui.copy_pane import CopyPane
from forensics.tui.cursor_view import CursorView
from forensics.tui.help_screen import build_help
from forensics.tui.instance_screen import InstanceScreen
from forensics.tui.instances_screen import InstancesScreen
from forensics.tui.log_keys import LogKeys
from forensics.tui.text_pane import TextPane

OWNERS = {
    "everywhere": AfterimageApp,
    "rows": CursorView,
    "instances": InstancesScreen,
    "instance": InstanceScreen,
    "log": LogKeys,
    "copy": CopyPane,
    "text": TextPane,
}


def test_the_committed_page_of_keys_is_the_registry() -> None:
    """docs/keys.md is generated; a key changed in the registry alone fails here."""
    page = Path(__file__).parents[2] / "docs" / "keys.md"
    assert render_keys_page() == page.read_text(encoding="utf-8")


def test_ids_are_unique_and_no_key_means_two_things_in_one_place() -> None:
    """A key does one thing; a keymap can name one action."""
    ids = [action.id for action in ACTIONS]
    assert sorted(set(ids)) == sorted(ids)
    for place in PLACES:
        keys = [key for action in actions_of(place) for key in action.keys]
        assert sorted(set(keys)) == sorted(keys)


def test_a_screens_keys_do_not_hide_those_of_the_widget_in_focus() -> None:
    """What works together has different keys: list and screen, timeline and screen, app."""
    for places in (
        ("rows", "instances", "everywhere"),
        ("rows", "log", "instance", "everywhere"),
        ("text", "log", "instance", "everywhere"),
        ("copy", "text", "instance", "everywhere"),
    ):
        keys = [key for action in actions_of(*places) for key in action.keys]
        assert sorted(set(keys)) == sorted(keys)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_has_a_method_where_it_works(action: object) -> None:
    """No key of the registry leads nowhere."""
    found = next(one for one in ACTIONS if one is action)
    owner, call = OWNERS[found.place], found.call.partition("(")[0]
    if call.startswith("screen."):
        owner, call = InstanceScreen, call.removeprefix("screen.")
    assert callable(getattr(owner, f"action_{call}", None))


def test_bindings_name_every_key_of_their_place() -> None:
    """Textual is told of exactly what the registry holds."""
    for place in PLACES:
        keys = [key for action in actions_of(place) for key in action.keys]
        assert len(keys) == len(bindings(place))


def test_help_names_every_action_with_its_keys() -> None:
    """The help screen is the registry, the keys of the focused widget first."""
    lines = [line.text for line in build_help(("log", "rows", "instance", "everywhere"))]
    assert PLACES["log"] == lines[0]
    text = "\n".join(lines)
    for action in ACTIONS:
        assert f"{key_names(action):<16} {action.title}" in text
