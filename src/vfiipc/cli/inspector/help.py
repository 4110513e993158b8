"""The page of help behind the question mark."""

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
m   mark the message, or take the mark away
w   save the marked, or else all shown, as a capture with all data
r   send the message again              q   quit

h   hold messages that pass a filter; once more: hold no more
l   let the held message go             L   let all go
d   drop the held message
e   change the held message and let it go; of any other message,
    change a copy and send it to either side

/   show what passes a filter, in the options of the command line:
    --id 1,5..9   --connection 3   --from client   --match REGEX
    --json-match amount=1999   --since 08:10   --until 09:00
    A word alone is a regular expression.

In front of a row: * marked, H held, e edited, x dropped, + sent by you"""


class Help(ModalScreen[None]):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss", "Back"),
        ("question_mark", "dismiss", "Back"),
        ("q", "dismiss", "Back"),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(_TEXT, markup=False)
