"""The help screen."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

__all__ = ["Help"]

_TEXT: Final = """\
up down PgUp PgDn Home   move           f, End   follow the latest, or stop
Enter, Escape   to the data, back       z   the data on the whole screen
v   the data as JSON, text or hex       c   copy the data
s n N   search the data, next, previous
m   mark or unmark the message
w   save marked messages, or all shown, as a capture with all data
r   send the message again              q   quit

h   hold messages that pass a filter; again: stop holding
l   let the held message go             L   let all go
d   drop the held message
e   edit the held message and release it; for any other message,
    edit a copy and send it to either side

/   filter messages, with the options of the command line:
    --id 1,5..9   --connection 3   --from client   --match REGEX
    --json-match amount=1999   --since 08:10   --until 09:00
    A word alone is a regular expression.

Before a row: * marked, H held, e edited, x dropped, + sent by you"""


class Help(ModalScreen[None]):
    """Shows all keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss", "Back"),
        ("question_mark", "dismiss", "Back"),
        ("q", "dismiss", "Back"),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(_TEXT, markup=False)
