"""What a line means that is typed at ``vfiipc talk``: data to send, or a command."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from . import arguments
from .failures import describe
from .json_text import NotJSON, on_one_line

__all__ = ["COMMANDS", "HELP", "Typed", "read_line"]


class Typed(NamedTuple):
    """What to do: one of the words below, and what with."""

    what: (
        str  #: ``send``, ``raw``, ``id``, ``prefix``, ``reconnect``, ``help``, ``quit``, or ``""``
    )
    value: Any = None


class _Command(NamedTuple):
    does: str
    takes: str  #: what its argument is; empty where it takes none
    what: str
    parse: Callable[[str], Any]


def read_line(line: str) -> Typed:
    """What a line means. Text without a slash in front is sent; ``//`` sends one slash.

    Raises:
        ValueError: it cannot be right; says why.
    """
    if not line:
        return Typed("")
    if not line.startswith("/") or line.startswith("//"):
        return Typed("send", _encoded(line.removeprefix("/")))
    name, _, rest = line[1:].partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise ValueError(f"/{name} is unknown; /help lists the commands, // sends a slash")
    if not command.takes and rest.strip():
        raise ValueError(f"/{name} takes nothing behind it")
    try:
        return Typed(command.what, command.parse(rest.strip()))
    except ArgumentTypeError as error:
        raise ValueError(str(error)) from None


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError("the line holds half of a surrogate pair, which is not text") from None


def _json(text: str) -> bytes:
    data = _encoded(text)
    try:
        on_one_line(data)
    except NotJSON as error:
        raise ValueError(f"not JSON: {error}") from None
    return data


def _file(text: str) -> bytes:
    try:
        return Path(text).expanduser().read_bytes()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"cannot read {text}: {describe(error)}") from None


def _nothing(_: str) -> None:
    return None


COMMANDS: Final = {
    "hex": _Command("send bytes", "02 00 ff", "send", arguments.hex_bytes),
    "json": _Command("send JSON, if it is that", '{"a": 1}', "send", _json),
    "file": _Command("send what a file holds", "PATH", "send", _file),
    "raw": _Command(
        "send bytes as they are, not as a message", "02 00 ff", "raw", arguments.hex_bytes
    ),
    "id": _Command("the ID of the messages that follow", "NUMBER", "id", arguments.msg_id),
    "prefix": _Command("the prefix from now on", "PREFIX", "prefix", arguments.prefix),
    "reconnect": _Command("end the connection, and begin another", "", "reconnect", _nothing),
    "help": _Command("this list", "", "help", _nothing),
    "quit": _Command("end; so does Ctrl-D", "", "quit", _nothing),
}

HELP: Final = "\n".join(
    [
        "A line is a message. A line that begins with a slash is a command:",
        *(f"  /{f'{name} {each.takes}':18} {each.does}" for name, each in COMMANDS.items()),
        f"  {'//':19} send a message that begins with one slash",
    ]
)
