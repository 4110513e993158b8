"""The arguments of the commands, and the one line that reports an invalid one."""

from __future__ import annotations

import argparse
import os
import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NoReturn, cast

from ..codec import MAX_DATA_SIZE, MSG_ID, PREFIX, Framer, encode_header
from .streams import complain

__all__ = [
    "DEFAULT_LIMIT",
    "DEFAULT_PREFIX",
    "Commands",
    "Parser",
    "add_command",
    "add_framing",
    "add_msg_id",
    "add_timeout",
    "count",
    "delay",
    "file_name",
    "hex_bytes",
    "limit",
    "msg_id",
    "number",
    "prefix",
    "prefix_or_auto",
    "show_prefix",
    "timeout",
]

#: Never occurs in UTF-8 text, and no proper prefix of it is also a suffix.
DEFAULT_PREFIX = 0xC0DEFACE
DEFAULT_LIMIT = 16 << 20

_PREFIX_SIZE: int = PREFIX.packer.size
_AUTO = "auto"  # never parsed as a prefix of four characters
_LONGEST_TIMEOUT = 2_000_000
_MOST = 10_000_000
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_NUMBER = re.compile(r"[+-]?(?:0x[0-9a-f]{1,20}|\d{1,20})", re.ASCII | re.IGNORECASE)

Commands = Any  # argparse keeps the type of its sub-commands to itself
Run = Callable[[argparse.Namespace], int]
Check = Callable[[argparse.Namespace], None]


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    #: Whether options may appear between optional positional arguments. argparse alone does not
    #: recognise positional arguments after an option then.
    mixed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Called with all arguments; ``ArgumentTypeError`` refuses them.
        self.checks: list[Check] = []
        self._unknown: list[str] = []  # options, as far as they are found before parsing
        # Lists of numbers may begin with a negative one: they are values, not options.
        self._negative_number_matcher = re.compile(r"-\d")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As in ``ArgumentParser``, but in any order if ``mixed``; all arguments must be known.

        argparse alone would report the unknown arguments of a command as those of the program.
        """
        if self.mixed and args is not None:
            args = self._options_first(args)
        self._unknown = [arg for arg in args or () if self._is_unknown(arg)]
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        try:
            for check in self.checks:
                check(parsed)
        except ArgumentTypeError as error:
            self.error(str(error))
        return parsed, unknown

    def _options_first(self, args: Sequence[str]) -> list[str]:
        options, others = [], []
        rest = iter(args)
        for arg in rest:
            if arg == "--":
                break
            if not self._is_option(arg):
                others.append(arg)
                continue
            options.append(arg)
            action = self._option_string_actions.get(arg)
            if action is not None and action.nargs is None:
                options += islice(rest, 1)
        return [*options, "--", *others, *rest]

    def _is_option(self, arg: str) -> bool:
        if arg.partition("=")[0] in self._option_string_actions:
            return True
        return re.match(r"-[^\d ]", arg) is not None and " " not in arg

    def _is_unknown(self, arg: str) -> bool:
        name = arg.partition("=")[0]
        return re.match(r"--?[^\W\d]", name) is not None and name not in self._option_string_actions

    def error(self, message: str) -> NoReturn:
        if self._unknown and "arguments are required" in message:
            message = f"unrecognized arguments: {' '.join(self._unknown)}"  # the likely cause
        complain(self.prog, f"{message} (see {self.prog} --help)")
        raise SystemExit(2)


def add_command(commands: Commands, name: str, run: Run, *, does: str, more: str) -> Parser:
    """Declares a command; ``--help`` begins with ``does`` and ends with ``more``."""
    parser = commands.add_parser(
        name,
        help=does,
        description=does[0].upper() + does[1:] + ".",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return cast(Parser, parser)


class _FromEnvironment(str):
    """A default from an environment variable, whose name appears in errors about it."""

    __slots__ = ("variable",)
    variable: str


def _default(variable: str, usual: Any) -> Any:
    text = os.environ.get(variable)
    if not text:
        return usual
    default = _FromEnvironment(text)
    default.variable = variable
    return default


def _named(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ArgumentTypeError as error:
            where = f" (from {text.variable})" if isinstance(text, _FromEnvironment) else ""
            raise ArgumentTypeError(f"{error}{where}") from None

    return parsed


def add_framing(
    parser: Parser, default: int | None = DEFAULT_PREFIX, *, auto: bool = False
) -> None:
    """The options of every command that reads messages.

    Args:
        parser: that of the command.
        default: the prefix if none is given; None to look for the likely one.
        auto: whether ``--prefix auto`` asks for that. ``parsed.prefix`` is None then.
    """
    usual = "auto" if default is None else show_prefix(default)
    if auto:
        usual = f"; auto looks for the likely one ({usual})"
    else:
        usual = f" ({usual})"
    parser.add_argument(
        "--prefix",
        metavar="PREFIX",
        type=_named(prefix_or_auto if auto else prefix),
        default=_default("VFIIPC_PREFIX", default),
        help=f"the prefix of all messages, in both directions: 0x and up to {2 * _PREFIX_SIZE} "
        f"hexadecimal digits, a decimal number, or {_PREFIX_SIZE} characters{usual}; "
        "VFIIPC_PREFIX sets the default",
    )
    parser.add_argument(
        "--limit",
        metavar="BYTES",
        type=_named(limit),
        default=_default("VFIIPC_LIMIT", DEFAULT_LIMIT),
        help=f"maximum data size of an accepted message, 0..{MAX_DATA_SIZE}; suffixes K, M and G "
        f"are allowed ({DEFAULT_LIMIT >> 20}M); VFIIPC_LIMIT sets the default",
    )


def add_msg_id(parser: Parser, what: str) -> None:
    """Adds ``--id``, by default 0; ``what`` says what it is the ID of."""
    parser.add_argument(
        "--id",
        metavar="NUMBER",
        type=msg_id,
        default=0,
        help=f"{what}: decimal, or 0x and hexadecimal digits; "
        f"{MSG_ID.lowest}..{MSG_ID.highest} (0)",
    )


def add_timeout(parser: Parser, awaited: str) -> None:
    """Adds ``--timeout``, by default 10 seconds; ``awaited`` names what it waits for."""
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=timeout,
        default=timeout("10"),
        help=f"how long to wait for {awaited}; more than 0, for example 0.5 (10)",
    )


def file_name(text: str) -> str:
    """The name of a file or directory."""
    if not text:
        raise ArgumentTypeError("the file name is empty")
    return text


def _number(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    return int(text, 16 if "x" in text.lower() else 10)


def number(text: str) -> int:
    """A decimal number, or ``0x`` and hexadecimal digits; the caller checks its range."""
    found = _number(text)
    if found is None:
        raise ArgumentTypeError(f"invalid number: {text!r}; use a number such as 7, -7 or 0x7")
    return found


def prefix(text: str) -> int:
    """A decimal number, ``0x`` and hexadecimal digits, or the bytes as characters."""
    if text == _AUTO:
        raise ArgumentTypeError(
            "this command cannot detect the prefix; dump, listen, proxy, inspect and replay can"
        )
    value = _number(text)
    is_hex = text.lower().startswith("0x")  # otherwise mistyped digits would be characters
    if value is None and len(text) == _PREFIX_SIZE and text.isascii() and not is_hex:
        (value,) = PREFIX.packer.unpack(text.encode("ascii"))
    if value is None:
        raise ArgumentTypeError(
            f"invalid prefix: {text!r}; use a number such as {show_prefix(DEFAULT_PREFIX)}, "
            f"or {_PREFIX_SIZE} characters such as ADKI"
        )
    return _checked(value, lambda: encode_header(value, 0, 0))


def prefix_or_auto(text: str) -> int | None:
    """The same; ``auto`` gives None."""
    return None if text == _AUTO else prefix(text)


def show_prefix(value: int) -> str:
    """A prefix as the commands print and accept it."""
    return f"{value:#0{2 + 2 * _PREFIX_SIZE}x}"


def msg_id(text: str) -> int:
    """A decimal number, or ``0x`` and hexadecimal digits."""
    value = _number(text)
    if value is None:
        raise ArgumentTypeError(f"invalid message ID: {text!r}; use a number such as 7, -7 or 0x7")
    return _checked(value, lambda: encode_header(0, value, 0))


def limit(text: str) -> int:
    """A number of bytes; K, M and G stand for 2**10, 2**20 and 2**30."""
    match = re.fullmatch(r"(\d{1,20})([kmg]?)", text.lower(), re.ASCII)
    size = -1 if match is None else int(match[1]) * _UNITS[match[2]]
    try:
        Framer(0, size)
    except ValueError:
        raise ArgumentTypeError(
            f"invalid number of bytes: {text!r}; "
            f"use 0..{MAX_DATA_SIZE}, for example 65536, 64K or 16M"
        ) from None
    return size


def timeout(text: str) -> int:
    """A time in seconds; returns milliseconds."""
    seconds = _seconds(text)
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise ArgumentTypeError(
            f"invalid time-out: {text!r}; use seconds above 0, up to {_LONGEST_TIMEOUT}"
        )
    return max(1, round(seconds * 1000))


def delay(text: str) -> float:
    """A time in seconds, which may be 0."""
    seconds = _seconds(text)
    if not 0 <= seconds <= _LONGEST_TIMEOUT:
        raise ArgumentTypeError(
            f"invalid delay: {text!r}; use seconds from 0 up to {_LONGEST_TIMEOUT}"
        )
    return seconds


def count(text: str) -> int:
    """A count of 1 or more."""
    match = re.fullmatch(r"0*(\d{1,8})", text, re.ASCII)
    if match is None or not 0 < int(match[1]) <= _MOST:
        raise ArgumentTypeError(f"invalid count: {text!r}; use 1..{_MOST}")
    return int(match[1])


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1


def hex_bytes(text: str) -> bytes:
    """Bytes as pairs of hexadecimal digits, perhaps with spaces or colons between them."""
    try:
        return bytes.fromhex(text.replace(":", " "))
    except ValueError:
        raise ArgumentTypeError(
            "not hexadecimal; use pairs of digits, for example '00 4e 46 59'"
        ) from None


def _checked(value: int, try_out: Callable[[], object]) -> int:
    """The number, if the codec accepts it: the ranges are defined there alone."""
    try:
        try_out()
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return value
