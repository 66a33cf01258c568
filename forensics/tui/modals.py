"""Small questions on top of a screen: one line of text, or one of a few choices.

In: a question and its choices. Out (the screen's result): what was typed or chosen; None: closed.
It must never show text as markup: choices may quote logs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from forensics.safe_text import safe_text


class Question(ModalScreen[str | None]):
    """Asks for one line of text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", show=False)]
    DEFAULT_CSS = """
    Question {
        align: center bottom;
        background: $background 30%;
        & > Vertical { height: auto; width: 100%; background: $surface;
                       border-top: heavy $primary; }
        & Static { height: auto; padding: 0 1; }
        & .problem { color: $text-error; }
    }
    """

    def __init__(
        self, title: str, hint: str, *, value: str = "", check: Callable[[str], str] | None = None
    ) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._value = value
        self._check = check
        """Says what is wrong with what was typed; empty: nothing."""

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self._title))
            yield Input(value=self._value, compact=True)
            yield Static(Content(self._hint), id="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer, or say what is wrong with it."""
        event.stop()
        problem = self._check(event.value) if self._check is not None else ""
        if problem:
            hint = self.query_one("#hint", Static)
            hint.add_class("problem")
            hint.update(Content(safe_text(problem, 400)))
        else:
            self.dismiss(event.value)

    def action_close(self) -> None:
        self.dismiss(None)


class Choice(ModalScreen[int | None]):
    """Asks for one of a few; the result is its number."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", show=False),
        Binding("j", "move('down')", show=False),
        Binding("k", "move('up')", show=False),
    ]
    DEFAULT_CSS = """
    Choice {
        align: center middle;
        background: $background 30%;
        & > Vertical {
            height: auto; width: 80%; max-width: 90;
            background: $surface; border: round $primary; padding: 0 1;
        }
        & OptionList { height: auto; max-height: 12; border: none; background: $surface; }
    }
    """

    def __init__(self, title: str, choices: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self._title))
            yield OptionList(
                *(Option(Content(safe_text(choice, 200))) for choice in self._choices), markup=False
            )
            yield Static(Content("Enter chooses · Esc closes"))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer."""
        event.stop()
        self.dismiss(event.option_index)

    def action_move(self, direction: str) -> None:
        choices = self.query_one(OptionList)
        if direction == "down":
            choices.action_cursor_down()
        else:
            choices.action_cursor_up()

    def action_close(self) -> None:
        self.dismiss(None)
