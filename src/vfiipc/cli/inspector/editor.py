"""The dialog for editing a message."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Label, Static, TextArea

from ...codec import Message
from .. import arguments
from ..payload import is_text

__all__ = ["LARGEST", "Edited", "Editor", "as_hex", "read_text", "shows_as_text"]

LARGEST = 64 << 10  #: bytes of data that can be edited
_PER_LINE = 16


class Edited(NamedTuple):
    """The result of the dialog."""

    message: Message
    from_client: bool


def shows_as_text(data: bytes) -> bool:
    """Whether data can be edited as text, and come back the same."""
    return is_text(data) and b"\r" not in data


def as_hex(data: bytes) -> str:
    """Data as lines of hexadecimal digits."""
    return "\n".join(data[at : at + _PER_LINE].hex(" ") for at in range(0, len(data), _PER_LINE))


def read_text(text: str, *, hex_digits: bool) -> bytes:
    """The data that were typed.

    Raises:
        ValueError: they cannot be right; says why.
    """
    try:
        return arguments.hex_bytes(text) if hex_digits else text.encode()
    except ArgumentTypeError as error:
        raise ValueError(str(error)) from None


class Editor(ModalScreen[Edited | None]):
    """Edits ID and data of a message; gives None if nothing is to be done.

    Args:
        title: what it is for.
        message: what to begin with.
        from_client: who sends it.
        turns: whether the user may choose who does.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        ("ctrl+s", "finish", "Done"),
        ("ctrl+t", "form", "Text / hex"),
        ("ctrl+o", "turn", "Other side"),
        ("escape", "cancel", "Cancel"),
    ]

    def __init__(self, title: str, message: Message, from_client: bool, *, turns: bool) -> None:
        super().__init__()
        self._title = title
        self._message = message
        self._from_client = from_client
        self._turns = turns
        self._hex = not shows_as_text(message.data)

    def compose(self) -> ComposeResult:
        with Vertical(id="editor"):
            yield Static(id="heading", markup=False)
            yield Label("message ID")
            yield Input(str(self._message.msg_id), id="msg_id", compact=True)
            yield Label("", id="form")
            yield TextArea(soft_wrap=True, id="typed", compact=True)
            yield Static(id="wrong", markup=False)
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._fill(self._message.data)
        self._tell()
        self.query_one(TextArea).focus()

    def _fill(self, data: bytes) -> None:
        text = as_hex(data) if self._hex else data.decode()
        self.query_one(TextArea).load_text(text)

    def _tell(self) -> None:
        to = "to the server" if self._from_client else "to the client"
        self.query_one("#heading", Static).update(f"{self._title}, {to}")
        form = "data in hexadecimal digits" if self._hex else "data as text"
        self.query_one("#form", Label).update(form)
        self.query_one("#wrong", Static).update("")

    def _data(self) -> bytes:
        return read_text(self.query_one(TextArea).text, hex_digits=self._hex)

    def action_finish(self) -> None:
        try:
            msg_id = arguments.msg_id(self.query_one(Input).value)
            edited = Edited(Message(msg_id, self._data()), self._from_client)
        except (ArgumentTypeError, ValueError) as error:
            self.query_one("#wrong", Static).update(str(error))
            return
        self.dismiss(edited)

    def action_form(self) -> None:
        try:
            data = self._data()
        except ValueError as error:
            self.query_one("#wrong", Static).update(str(error))
            return
        if self._hex and not shows_as_text(data):
            self.query_one("#wrong", Static).update("these bytes are not text")
            return
        self._hex = not self._hex
        self._fill(data)
        self._tell()

    def action_turn(self) -> None:
        if self._turns:
            self._from_client = not self._from_client
            self._tell()

    def action_cancel(self) -> None:
        self.dismiss(None)
