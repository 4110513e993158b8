"""The message filters of ``dump``, ``listen``, ``proxy`` and ``inspect``.

A filter has no state and does no I/O: it decides on one message or event at a time.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import warnings
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from decimal import Decimal
from typing import Any, Final, NoReturn

from ..recording import Decoded, Item
from . import arguments

__all__ = [
    "EVERYTHING",
    "SURROGATE",
    "Filter",
    "add_filters",
    "chosen_filter",
    "compile_pattern",
    "filter_line",
    "parse_filter",
]

#: The end of an error about text that cannot be data.
SURROGATE: Final = "contains an unpaired surrogate, which UTF-8 cannot encode"
_MICROSECONDS: Final = 1_000_000
_RANGE: Final = re.compile(r"(-?(?:0x[0-9a-f]+|\d+))(?:\.\.(-?(?:0x[0-9a-f]+|\d+)))?", re.I)
#: ``.name``, ``[3]``, ``[*]`` or ``["any name"]``; the dot before the first name is left out.
_STEP: Final = re.compile(r'\[(\d+|\*)\]|\[("(?:[^"\\]|\\.)*")\]|(?:^|\.)([^.\[\]]+)')
_FRACTION: Final = re.compile(r"\.(\d{1,6})")
_UNREADABLE: Final = (ValueError, ArithmeticError, RecursionError)

Step = str | int | None  # a name, an index, or any member or element


@dataclass(frozen=True)
class Numbers:
    """Numbers and ranges of numbers, as ``1,5..9,-1`` lists them."""

    ranges: tuple[range, ...]
    typed: str = field(default="", compare=False)

    def __contains__(self, number: object) -> bool:
        return any(number in each for each in self.ranges)


@dataclass(frozen=True)
class JSONMatch:
    """A value that the JSON of a message has at a path."""

    path: tuple[Step, ...]
    text: str  #: the value as it was typed
    value: Any  #: the value as JSON; the text again where it is not JSON
    typed: str = field(default="", compare=False)

    def accepts(self, document: Any) -> bool:
        return any(self._is_value(found) for found in _at(document, self.path))

    def _is_value(self, found: Any) -> bool:
        if isinstance(found, str):
            return found in (self.text, self.value)
        return type(found) is type(self.value) and bool(found == self.value)


@dataclass(frozen=True)
class Filter:
    """Conditions that a message must meet, all of them. None and empty values set no condition."""

    ids: Numbers | None = None
    connections: Numbers | None = None
    side: str | None = None  #: of the sender: ``client`` or ``server``
    patterns: tuple[re.Pattern[bytes], ...] = ()  #: each is found in the data
    json_matches: tuple[JSONMatch, ...] = ()
    since: Moment | None = None
    until: Moment | None = None

    @property
    def needs_capture(self) -> bool:
        """Whether a condition needs times or several connections, which only captures have."""
        return any((self.connections, self.side, self.since, self.until))

    @property
    def needs_message(self) -> bool:
        """Whether a condition is about an ID or data, which only messages have."""
        return any((self.ids, self.patterns, self.json_matches))

    def accepts(
        self, connection: int, from_client: bool, item: Item, seconds: float | None
    ) -> bool:
        """Whether an item, a message or anything else in the stream, is shown.

        Args:
            connection: its number.
            from_client: whether the side that connected sent it.
            item: the message, or what was found instead.
            seconds: when it was seen, in seconds since 1970; None if unknown.
        """
        if self.side is not None and (self.side == "client") != from_client:
            return False
        if not self._accepts_place(connection, seconds):
            return False
        if not self.needs_message:
            return True
        return isinstance(item, Decoded) and self._accepts_message(*item.message)

    def accepts_event(self, connection: int, seconds: float | None) -> bool:
        """Whether the beginning or end of a connection is shown."""
        return not self.needs_message and self._accepts_place(connection, seconds)

    def _accepts_place(self, connection: int, seconds: float | None) -> bool:
        if self.connections is not None and connection not in self.connections:
            return False
        if self.since is not None and not self.since.is_reached(seconds):
            return False
        return self.until is None or self.until.is_not_passed(seconds)

    def _accepts_message(self, msg_id: int, data: bytes) -> bool:
        if self.ids is not None and msg_id not in self.ids:
            return False
        if not all(pattern.search(data) for pattern in self.patterns):
            return False
        if not self.json_matches:
            return True
        try:
            document = _loaded(data)
        except _UNREADABLE:
            return False
        return all(match.accepts(document) for match in self.json_matches)


@dataclass(frozen=True)
class Moment:
    """A date and time, or a time on every day."""

    when: datetime | time
    typed: str = field(default="", compare=False)

    def is_reached(self, seconds: float | None) -> bool:
        seen = self._comparable(seconds)
        return seen is not None and seen >= self.when  # type: ignore[operator]

    def is_not_passed(self, seconds: float | None) -> bool:
        seen = self._comparable(seconds)
        return seen is not None and seen <= self.when  # type: ignore[operator]

    def _comparable(self, seconds: float | None) -> datetime | time | None:
        if seconds is None:
            return None
        try:  # rounded, as times are shown
            second, micro = divmod(round(seconds * _MICROSECONDS), _MICROSECONDS)
            seen = datetime.fromtimestamp(second).astimezone().replace(microsecond=micro)
        except (OSError, OverflowError, ValueError):
            return None  # captures may hold any time
        return seen.time() if isinstance(self.when, time) else seen


#: The filter without conditions.
EVERYTHING: Final = Filter()


# --- as options -----------------------------------------------------------------------------------


def add_filters(parser: arguments.Parser) -> None:
    """The options of every command that can show some of the messages."""
    group = parser.add_argument_group("filters (a message must pass all of them)")
    group.add_argument(
        "--id",
        metavar="NUMBERS",
        dest="ids",
        type=_numbers,
        help="show messages with these IDs: 1,5..9,-1",
    )
    group.add_argument(
        "--connection",
        metavar="NUMBERS",
        dest="connections",
        type=_connections,
        help="show these connections: 3 or 1..4",
    )
    group.add_argument(
        "--from",
        dest="side",
        choices=("client", "server"),
        help="show what one side sent: client is the side that connected",
    )
    group.add_argument(
        "--match",
        metavar="REGEX",
        dest="patterns",
        action="append",
        type=_typed(compile_pattern),
        help="show messages whose data contains a match of this regular expression; can be "
        "repeated",
    )
    group.add_argument(
        "--json-match",
        metavar="PATH=VALUE",
        dest="json_matches",
        action="append",
        type=_typed(_json_match),
        help="show messages whose JSON has this value: amount=1999, items[0].name=tea, "
        "items[*].name=tea; can be repeated",
    )
    for name, what in (("--since", "from this time on"), ("--until", "up to this time")):
        group.add_argument(
            name,
            metavar="TIME",
            type=_typed(_moment),
            help=f"show what was seen {what}: 08:10, 08:10:00.5 or 2026-03-01T08:10",
        )


def chosen_filter(parsed: argparse.Namespace) -> Filter:
    """The filter that the options of ``add_filters`` ask for."""
    return Filter(
        parsed.ids,
        parsed.connections,
        parsed.side,
        tuple(parsed.patterns or ()),
        tuple(parsed.json_matches or ()),
        parsed.since,
        parsed.until,
    )


class _LineParser(arguments.Parser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message.removeprefix("argument "))


def parse_filter(line: str) -> Filter:
    """The filter that a line of text describes.

    Args:
        line: options as on the command line; other words are regular expressions, as with
            ``--match``.

    Raises:
        ValueError: the line is invalid; the text says why.
    """
    parser = _LineParser(add_help=False, allow_abbrev=False)
    parser.mixed = True
    parser.add_argument("words", metavar="REGEX", nargs="*", type=_typed(compile_pattern))
    add_filters(parser)
    parsed = parser.parse_args(shlex.split(line))
    return replace(chosen_filter(parsed), patterns=(*(parsed.patterns or ()), *parsed.words))


def filter_line(chosen: Filter) -> str:
    """The line from which ``parse_filter`` makes this filter."""
    words: list[str] = []
    places = (("--id", chosen.ids), ("--connection", chosen.connections))
    times = (("--since", chosen.since), ("--until", chosen.until))
    for name, value in (*places, *times):
        words += [name, value.typed] if value is not None else []
    words += ["--from", chosen.side] if chosen.side is not None else []
    for pattern in chosen.patterns:
        words += ["--match", pattern.pattern.decode()]
    for match in chosen.json_matches:
        words += ["--json-match", match.typed]
    return shlex.join(words)


def _typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A converter for argparse whose errors say why a value is invalid."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise ArgumentTypeError(f"{text!r} {error}") from None

    return parsed


def _numbers(text: str) -> Numbers:
    ranges = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise ArgumentTypeError(f"{text!r} is not a list of numbers; use 7, 5..9 or 1,5..9,-1")
        first = arguments.msg_id(match[1])
        last = first if match[2] is None else arguments.msg_id(match[2])
        if last < first:
            raise ArgumentTypeError(f"{part!r} is empty; put the smaller number first")
        ranges.append(range(first, last + 1))
    return Numbers(tuple(ranges), text)


def _connections(text: str) -> Numbers:
    numbers = _numbers(text)
    if any(each.start < 1 for each in numbers.ranges):
        raise ArgumentTypeError(f"{text!r}: connections are numbered from 1")
    return numbers


def compile_pattern(text: str) -> re.Pattern[bytes]:
    """A regular expression for data.

    Raises:
        ValueError: ``text`` is not one; the message continues a sentence that begins with its name.
    """
    try:
        with warnings.catch_warnings():  # about syntax whose meaning may change in other releases
            warnings.simplefilter("ignore")
            return re.compile(text.encode(), re.DOTALL)
    except UnicodeEncodeError:
        raise ValueError(SURROGATE) from None
    except (re.error, OverflowError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    except (RecursionError, MemoryError):
        raise ValueError("is too large a regular expression") from None


def _json_match(text: str) -> JSONMatch:
    path, equals, value = text.partition("=")
    steps: list[Step] = []
    at = 0
    while at < len(path) and (step := _STEP.match(path, at)) is not None:
        number, quoted, name = step.groups()
        if name is None and quoted is None:
            steps.append(None if number == "*" else int(number))
        else:
            steps.append(name if quoted is None else json.loads(quoted))
        at = step.end()
    if not equals or not steps or at < len(path):
        raise ValueError("is not PATH=VALUE; use amount=1999 or items[0].name=tea")
    try:
        return JSONMatch(tuple(steps), value, _loaded(value), text)
    except _UNREADABLE:
        return JSONMatch(tuple(steps), value, value, text)


def _loaded(text: str | bytes) -> Any:
    """JSON with numbers as decimals: 1.10 equals 1.1, and no precision is lost."""
    if isinstance(text, bytes):
        text = text.decode()
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def _at(document: Any, path: tuple[Step, ...]) -> Iterator[Any]:
    if not path:
        yield document
        return
    step, *rest = path
    for inner in _members(document, step):
        yield from _at(inner, tuple(rest))


def _members(value: Any, step: Step) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values()) if step is None else [value[step]] if step in value else []
    if not isinstance(value, list):
        return []
    if step is None:
        return value
    return [value[step]] if isinstance(step, int) and step < len(value) else []


def _moment(text: str) -> Moment:
    exact = _FRACTION.sub(lambda found: f".{found[1]:0<6}", text.replace("Z", "+00:00"))
    try:
        return Moment(time.fromisoformat(exact).replace(tzinfo=None), text)
    except ValueError:
        pass
    try:
        return Moment(datetime.fromisoformat(exact).astimezone(), text)
    except (ValueError, OverflowError, OSError):
        raise ValueError("is not a time; use 08:10, 08:10:00.5 or 2026-03-01T08:10") from None
