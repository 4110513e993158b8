"""Parses the lines of ``vfiipc talk``: data to send, or a command."""

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
    """A parsed line: an action, and its argument."""

    what: (
        str  #: ``send``, ``raw``, ``id``, ``prefix``, ``reconnect``, ``help``, ``quit``, or ``""``
    )
    value: Any = None


class _Command(NamedTuple):
    does: str
    takes: str  #: what its argument is; empty where it takes none
    what: str
    parse: Callable[[str], Any]
    optional: bool = False  #: whether it can do without the argument


def read_line(line: str) -> Typed:
    """Parses a line. Text is sent unless it begins with a slash; ``//`` sends one slash.

    Raises:
        ValueError: the line is invalid; the text says why.
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
        raise ValueError(f"/{name} takes no argument")
    if command.takes and not (command.optional or rest.strip()):
        raise ValueError(f"/{name} needs an argument: /{name} {command.takes}")
    try:
        return Typed(command.what, command.parse(rest.strip()))
    except ArgumentTypeError as error:
        raise ValueError(str(error)) from None


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError(
            "the line contains an unpaired surrogate, which UTF-8 cannot encode"
        ) from None


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
    "hex": _Command("send bytes", "02 00 ff", "send", arguments.hex_bytes, True),
    "json": _Command("send JSON, after checking it", '{"a": 1}', "send", _json),
    "file": _Command("send the content of a file", "PATH", "send", _file),
    "raw": _Command("send raw bytes, not a message", "02 00 ff", "raw", arguments.hex_bytes),
    "id": _Command("the ID of the messages that follow", "NUMBER", "id", arguments.msg_id),
    "prefix": _Command("the prefix from now on", "PREFIX", "prefix", arguments.prefix),
    "reconnect": _Command("close the connection and connect again", "", "reconnect", _nothing),
    "help": _Command("show this list", "", "help", _nothing),
    "quit": _Command("exit, like Ctrl-D", "", "quit", _nothing),
}

HELP: Final = "\n".join(
    [
        "A line is a message. A line that begins with a slash is a command:",
        *(f"  /{f'{name} {each.takes}':18} {each.does}" for name, each in COMMANDS.items()),
        f"  {'//':19} send a message that begins with one slash",
    ]
)
