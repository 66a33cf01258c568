"""Every action of the TUI, once: its id, keys, name, help, and where it works.

In: nothing. Out: the registry, and what is made from it: the bindings of screens and widgets, the
key bar, the help screen and docs/keys.md (`python -m forensics.tui.actions > docs/keys.md`).
It must never hold behaviour: what an action does stands in the `action_…` method of its place.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from textual.binding import BindingType

PLACES: Final = {
    "everywhere": "Everywhere",
    "rows": "In every list",
    "instances": "Instances",
    "instance": "One instance",
    "log": "Timeline",
    "copy": "Snapshots and facts",
    "text": "Text (snapshots, facts, report, help)",
}
"""Where actions work, by the name that a binding's owner uses, with the heading in the help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that a key does."""

    id: str
    """Unique, `place.name`; a keymap refers to it."""
    place: str
    keys: tuple[str, ...]
    """As Textual names them; single characters as they are typed."""
    call: str
    """The action that the owner of the place defines: `find`, `show_state('running')`."""
    title: str
    """One or two words for the key bar."""
    help: str
    """What it does, for the help screen and the docs."""
    bar: bool = False
    """Whether the key bar at the bottom names it."""


def _action(
    place: str, call: str, keys: str, title: str, text: str, *, bar: bool = False, name: str = ""
) -> Action:
    return Action(
        id=f"{place}.{name or call.removeprefix('screen.')}",
        place=place,
        keys=tuple(keys.split()),
        call=call,
        title=title,
        help=text,
        bar=bar,
    )


def _state(key: str, state: str, text: str) -> Action:
    call = f"show_state('{state}')"
    return _action("instances", call, key, state or "all", text, name=f"state_{state or 'all'}")


def _panel(key: str, panel: str, text: str) -> Action:
    return _action("instance", f"show_panel('{panel}')", key, panel, text, name=f"panel_{panel}")


ACTIONS: Final[Sequence[Action]] = (
    _action(
        "everywhere", "back", "q", "Back",
        "One screen back; on the first screen: quit.", bar=True,
    ),
    _action(
        "everywhere", "close", "escape", "Close",
        "Close the top layer: a question, the details, a search; else stop running work.",
    ),
    _action(
        "everywhere", "copy_or_cancel", "ctrl+c", "Copy or stop",
        "Copy the text selected with the mouse; with none selected, stop running work.",
    ),
    _action(
        "everywhere", "help", "? f1", "Help",
        "Keys of what has the focus, then all keys; again or q closes.", bar=True,
    ),
    _action("everywhere", "zone", "T", "Zone", "Times in UTC or in this machine's zone."),
    _action(
        "everywhere", "calls", "@", "Questions asked",
        "Every question that was put to the store and the account, with time and outcome.",
    ),
    _action("everywhere", "light", "ctrl+t", "Light or dark", "Light or dark theme."),
    _action(
        "everywhere", "command_palette", "ctrl+p", "Palette",
        "Find a command or theme by name.",
    ),
    _action("rows", "cursor_down", "j down", "Down", "One row down."),
    _action("rows", "cursor_up", "k up", "Up", "One row up."),
    _action("rows", "page_down", "space pagedown", "Page down", "One page down."),
    _action("rows", "page_up", "b pageup", "Page up", "One page up."),
    _action("rows", "half_down", "ctrl+d", "Half page down", "Half a page down."),
    _action("rows", "half_up", "ctrl+u", "Half page up", "Half a page up."),
    _action("rows", "first", "g home", "First", "The first row; in the timeline: the first event."),
    _action("rows", "last", "G end", "Last", "The last row; in the timeline: the last event."),
    _action("rows", "shift_right", "l right", "Right", "Show what is further right in long lines."),
    _action("rows", "shift_left", "h left", "Left", "Back to the left."),
    _action("instances", "open", "enter", "Open", "Open the instance under the cursor.", bar=True),
    _action(
        "instances", "find", "/", "Find",
        "Find in id, image, group, zone and last word; nothing is hidden.", bar=True,
    ),
    _action("instances", "find_next", "n", "Next", "The next instance found."),
    _action("instances", "find_previous", "N", "Previous", "The previous instance found."),
    _action(
        "instances", "sort", "s", "Sort",
        "Sort by what needs a look first, last sign, age, group, image or id, in turn.", bar=True,
    ),
    _action(
        "instances", "refresh", "r", "Refresh",
        "Ask the store and the account again now.", bar=True,
    ),
    _state("0", "", "Every instance."),
    _state("1", "running", "Only running instances; 0 shows all again."),
    _state("2", "quarantined", "Only quarantined instances."),
    _state("3", "terminated", "Only terminated instances."),
    _state("4", "stopped", "Only stopped instances."),
    _state("5", "pending", "Only pending instances."),
    _state("6", "unknown", "Only instances that no account was asked about."),
    _panel("1", "timeline", "Log lines and what happened to the instance, in one order of time."),
    _panel("2", "snapshots", "Snapshots of the instance's volumes."),
    _panel("3", "facts", "What each source says of the instance, as it was answered."),
    _panel("4", "report", "The report as it would be written now."),
    _action("instance", "next_panel", "tab", "Panel", "The next panel.", bar=True),
    _action("instance", "previous_panel", "shift+tab", "Panel back", "The previous panel."),
    _action(
        "instance", "export", "o", "Export", "Write the report to a folder and say where.", bar=True
    ),
    _action("instance", "refresh", "r", "Refresh", "Ask the store and the account again now."),
    _action(
        "log", "screen.details", "enter", "Details",
        "All fields of the event, both clocks, and the command that finds it again.", bar=True,
    ),
    _action(
        "log", "find", "/", "Find",
        "Find words in the messages, in the whole store; nothing is hidden.", bar=True,
    ),
    _action("log", "find_next", "n", "Next", "The next event found."),
    _action("log", "find_previous", "N", "Previous", "The previous event found."),
    _action(
        "log", "next_error", "e", "Error",
        "The next error or critical event, wherever it is; after the last, the first.",
        bar=True,
    ),
    _action(
        "log", "previous_error", "E", "Previous",
        "The previous error or critical event; before the first, the last.", bar=True,
    ),
    _action("log", "next_warning", "w", "Warning", "The next warning; after the last, the first."),
    _action(
        "log", "previous_warning", "W", "Warning back",
        "The previous warning; before the first, the last.",
    ),
    _action(
        "log", "go_to_time", "t", "Time",
        "Go to a time: 14:05, 2h ago, 2026-01-03T14:05:12Z.", bar=True,
    ),
    _action(
        "log", "next_bucket", "]", "Next bar",
        "The next bar of the histogram that holds events.",
    ),
    _action(
        "log", "previous_bucket", "[", "Previous bar",
        "The previous bar of the histogram that holds events.",
    ),
    _action("log", "next_gap", "}", "Next gap", "The first event after the next gap."),
    _action("log", "previous_gap", "{", "Previous gap", "The first event after the previous gap."),
    _action(
        "log", "filter", "f", "Filter",
        "Keep only this event's file or level, what is at least as bad, or one kind of event.",
        bar=True,
    ),
    _action("log", "drop_filters", "F", "Drop filters", "Remove all filters."),
    _action("log", "drop_last_filter", "backspace", "Undo filter", "Remove the last filter."),
    _action(
        "log", "context", "x", "Context",
        "Five minutes around this event with all filters off; again to return.",
    ),
    _action("log", "screen.histogram", "i", "Histogram", "Show or hide the histogram."),
    _action("log", "copy_event", "y", "Copy", "Copy the event as JSON.", bar=True),
    _action(
        "log", "copy_link", "Y", "Copy link",
        "Copy the event's permalink: instance, index and id.",
    ),
    _action(
        "log", "copy_command", "C", "Command",
        "Copy the command that finds this event again.", bar=True,
    ),
    _action("log", "pause", "=", "Pause", "Stop following new events; again to follow."),
    _action(
        "copy", "copy", "y", "Copy",
        "Copy the line under the cursor; of a snapshot: its id.", bar=True,
    ),
    _action(
        "copy", "copy_command", "C", "Command",
        "Copy the command that shows this again.", bar=True,
    ),
    _action("text", "scroll_down", "j down", "Down", "One line down."),
    _action("text", "scroll_up", "k up", "Up", "One line up."),
    _action("text", "page_down", "space pagedown", "Page down", "One page down."),
    _action("text", "page_up", "b pageup", "Page up", "One page up."),
    _action("text", "scroll_home", "g home", "First", "The first line."),
    _action("text", "scroll_end", "G end", "Last", "The last line."),
)  # fmt: skip

_KEY_NAMES: Final = {
    "pageup": "PgUp", "pagedown": "PgDn", "up": "↑", "down": "↓", "left": "←", "right": "→",
    "enter": "Enter", "escape": "Esc", "space": "Space", "backspace": "Backspace", "tab": "Tab",
    "shift+tab": "Shift+Tab", "home": "Home", "end": "End", "f1": "F1",
}  # fmt: skip


def actions_of(*places: str) -> list[Action]:
    """The actions of those places, in the registry's order."""
    return [action for action in ACTIONS if action.place in places]


def bindings(*places: str) -> list[BindingType]:
    """Textual's bindings for the owner of those places."""
    from textual.binding import Binding

    return [
        Binding(
            _textual_key(key), action.call, action.title, show=False, id=f"{action.id}#{number}"
        )
        for action in actions_of(*places)
        for number, key in enumerate(action.keys)
    ]


def _textual_key(key: str) -> str:
    from textual.keys import _character_to_key

    return _character_to_key(key) if len(key) == 1 else key


def key_name(key: str) -> str:
    """A key as a person reads it."""
    return _KEY_NAMES.get(key, key.replace("ctrl+", "Ctrl+"))


def key_names(action: Action) -> str:
    """All keys of an action as a person reads them."""
    return " ".join(map(key_name, action.keys))


def render_keys_page() -> str:
    """docs/keys.md."""
    lines = [
        "# Keys of the TUI",
        "",
        "<!-- Generated: python -m forensics.tui.actions > docs/keys.md -->",
        "",
        "Every action has an equal in the command line (`forensics --help`); nothing that changes",
        "AWS or stored evidence hangs on a single key.",
        "The mouse works too; `--no-mouse` leaves it to the terminal.",
    ]
    for place, heading in PLACES.items():
        lines += [
            "",
            f"## {heading}",
            "",
            "| Keys | Action | What it does |",
            "| --- | --- | --- |",
        ]
        lines += [
            f"| {' '.join(f'`{key_name(key)}`' for key in action.keys)} | {action.title} "
            f"| {action.help} |"
            for action in actions_of(place)
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render_keys_page())
