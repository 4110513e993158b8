r"""The server's configuration: where it listens, and what remote clients may send and receive.

Each line is ``in|out FROM TO NOTIFICATION-ID`` or ``interface NAME-OR-ADDRESS``. This module
parses the text and decides on notifications, without any I/O. ``config`` reads the file and finds
the interfaces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from .patterns import Pattern

__all__ = ["AllowList", "AllowRule", "ConfigError", "ResultCode", "parse_allow_list"]

_FORMS: Final = "a line is `in|out FROM TO NOTIFICATION-ID` or `interface NAME-OR-ADDRESS`"
#: Words of a line; a backslash keeps a space in a word.
_WORD: Final = re.compile(r"(?:[^ \t\\]|\\.|\\$)+")
_SHOWN: Final = 40


class ResultCode(IntEnum):
    """The result codes of the original's functions (NFY-S4)."""

    NOTIFY_OK = 0
    NOTIFY_ERR_SERVER = -1
    NOTIFY_ERR_APP_ID = -2
    NOTIFY_ERR_PERMISSION = -3
    NOTIFY_ERR_CONFIG_FILE = -4
    NOTIFY_ERR_CONFIG_SYNTAX = -5


class ConfigError(ValueError):
    """The configuration cannot be used.

    Attributes:
        code: that of the original: ``NOTIFY_ERR_CONFIG_FILE`` or ``NOTIFY_ERR_CONFIG_SYNTAX``.
        line: number of the line with the fault; 0 if the file cannot be read.
    """

    def __init__(self, text: str, code: ResultCode, line: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.line = line


class AllowRule(NamedTuple):
    """What passes: notifications whose sender, addressee and ID all match."""

    sender: Pattern
    to: Pattern
    notification: Pattern

    def allows(self, sender: str, to: str, notification: str) -> bool:
        return (
            self.notification.matches(notification)
            and self.sender.matches(sender)
            and self.to.matches(to)
        )


@dataclass(frozen=True)
class AllowList:
    """Rules and interfaces, in the order of the file.

    Attributes:
        inward: what remote clients may send, ``in``.
        outward: what remote clients may get, ``out``.
        interfaces: where the server listens; if empty, on all interfaces.
    """

    inward: tuple[AllowRule, ...] = ()
    outward: tuple[AllowRule, ...] = ()
    interfaces: tuple[str, ...] = ()

    def allows_in(self, sender: str, to: str, notification: str) -> bool:
        """Whether a remote client may send ``notification`` from ``sender`` to ``to`` (NFY-A4)."""
        return any(rule.allows(sender, to, notification) for rule in self.inward)

    def allows_out(self, sender: str, to: str, notification: str) -> bool:
        """Whether remote clients may receive it; arguments as for ``allows_in`` (NFY-A5)."""
        return any(rule.allows(sender, to, notification) for rule in self.outward)


def parse_allow_list(text: str, name: str = "the configuration") -> AllowList | None:
    """The allow list in ``text``; None if all of its lines are ignored (NFY-A2).

    Args:
        text: the lines.
        name: its name in errors, such as the path of the file.

    Raises:
        ConfigError: a line is neither a rule nor an interface; the text has its number and what is
            allowed.
    """
    found: dict[str, list[AllowRule]] = {"in": [], "out": []}
    interfaces: list[str] = []
    # Editors on Windows begin UTF-8 files with a byte order mark.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        words = _WORD.findall(line.rstrip("\r"))
        if not words or words[0].startswith("#"):
            continue
        try:
            if words[0] == "interface":
                interfaces.append(_interface(words))
            else:
                found[_direction(words)].append(AllowRule(*map(Pattern, words[1:])))
        except ValueError as fault:
            raise ConfigError(
                f"{name}, line {number}: {fault}; {_FORMS}",
                ResultCode.NOTIFY_ERR_CONFIG_SYNTAX,
                number,
            ) from None
    if not (interfaces or found["in"] or found["out"]):
        return None
    return AllowList(tuple(found["in"]), tuple(found["out"]), tuple(interfaces))


def _direction(words: list[str]) -> str:
    if words[0] not in ("in", "out"):
        shown = words[0][:_SHOWN] + ("..." if len(words[0]) > _SHOWN else "")
        raise ValueError(f"{shown!r} is not a keyword")
    if len(words) != 4:
        raise ValueError(f"`{words[0]}` takes 3 patterns, not {len(words) - 1}")
    return words[0]


def _interface(words: list[str]) -> str:
    if len(words) != 2:
        raise ValueError(f"`interface` takes 1 name or address, not {len(words) - 1}")
    return words[1]
