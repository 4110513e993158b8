"""The keys of the inspector, and the actions that they start. ``help`` explains them."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding, BindingType

__all__ = ["KEYS"]

#: The bottom line shows those without ``show=False``.
KEYS: Final[list[BindingType]] = [
    Binding("question_mark", "help", "Help", key_display="?"),
    Binding("slash", "filter", "Filter", key_display="/"),
    Binding("h", "hold", "Hold"),
    Binding("l", "let_go", "Let go"),
    Binding("e", "edit", "Edit"),
    Binding("r", "resend", "Resend"),
    Binding("m", "mark", "Mark"),
    Binding("w", "save", "Save"),
    Binding("q", "quit", "Quit"),
    Binding("f", "follow", "Follow", show=False),
    Binding("L", "let_all_go", "Let all go", show=False),
    Binding("d", "drop", "Drop", show=False),
    Binding("s", "search", "Search", show=False),
    Binding("n", "search_on(True)", "Next", show=False),
    Binding("N", "search_on(False)", "Previous", show=False),
    Binding("c", "copy", "Copy", show=False),
    Binding("v", "form", "Form of the data", show=False),
    Binding("enter", "open", "Open", show=False),
    Binding("escape", "to_table", "Back", show=False),
    Binding("z", "whole", "Whole screen", show=False),
]
