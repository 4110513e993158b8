"""Prints messages, and what lies between them, as text for people or JSON for programs."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ..recording import Cut, Decoded, Discarded, Gap, Item
from . import arguments
from .filters import EVERYTHING, Filter
from .payload import FORMS, json_members, shown
from .streams import has_colours, note, one_line, paint, paint_connection, say_pieces

__all__ = ["NOWHERE", "Printer", "Way", "add_view", "clock", "counted"]

_INDENT: Final = "    "
_SHOWN: Final = 4096
_KINDS: Final = {Decoded: "message", Discarded: "discarded", Cut: "cut", Gap: "gap"}
_MICROSECONDS: Final = 1_000_000


class Way(NamedTuple):
    """One direction of one connection, as far as it is known."""

    connection: int = 0  #: from 1; 0 where there is only a stream
    sender: str = ""
    receiver: str = ""
    from_client: bool = True

    def reversed(self) -> Way:
        """The other direction."""
        return Way(self.connection, self.receiver, self.sender, not self.from_client)


#: A stream of which only the bytes are known.
NOWHERE = Way()


def add_view(parser: arguments.Parser) -> None:
    """Adds the options of commands that print messages."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per line: the data in hex, also as text if it is text, and as "
        "JSON if it is JSON and not larger than --show",
    )
    parser.add_argument(
        "--payload",
        choices=FORMS,
        default="auto",
        help="how to show data: auto shows JSON or text if possible, otherwise a hex dump; none "
        "shows only the length (auto)",
    )
    parser.add_argument(
        "--no-payload",
        dest="payload",
        action="store_const",
        const="none",
        help="the same as --payload none, for card data",
    )
    parser.add_argument(
        "--show",
        metavar="BYTES",
        type=arguments.limit,
        default=_SHOWN,
        help="maximum number of bytes of data to show of each message; suffixes as with --limit "
        f"({_SHOWN >> 10}K)",
    )


class Printer:
    """Prints messages and events in whole lines. Thread safe.

    Args:
        parsed: the arguments, with the options of ``add_view``.
        prefix: the prefix of all messages, if known; ``set_prefix`` can set it later.
        prompt: whether to flush after each line.
        chosen: the filter; by default everything is printed.

    Text output names the ends of a connection and the prefix only once, at their first use.

    Methods raise ``OutputFailed`` if the output cannot be written, and nothing else.
    """

    def __init__(
        self,
        parsed: argparse.Namespace,
        prefix: int | None = None,
        *,
        prompt: bool = True,
        chosen: Filter = EVERYTHING,
    ) -> None:
        self._json: bool = parsed.json
        self._payload: str = parsed.payload
        self._shown: int = parsed.show
        self._prefix = prefix
        self._shown_prefix: int | None = None
        self._named: set[int] = set()  # connections whose ends were printed
        self._prompt = prompt
        self._chosen = chosen
        self._colours = has_colours(sys.stdout)
        self._lock = threading.Lock()

    def item(self, way: Way, item: Item, time: float | None = None) -> bool:
        """Prints an item, a message or anything else; returns whether the filter accepted it."""
        if not self._chosen.accepts(way.connection, way.from_client, item, time):
            return False
        with self._lock:
            self._print(
                self._as_json(way, item, time) if self._json else self._as_text(way, item, time)
            )
        return True

    def event(self, way: Way, kind: str, said: str, time: float | None = None) -> None:
        """Prints an event of a connection: ``kind`` is for programs, ``said`` for people."""
        if not self._chosen.accepts_event(way.connection, time):
            return
        with self._lock:
            if self._json:
                self._print([_json_line(kind, way, time, {"said": said})])
            else:
                line = _joined(self._ends(way) or self._tag(way), self._faint(one_line(said)))
                self._print([self._timed(time) + line])
            if kind == "closed":
                self._named.discard(way.connection)

    def set_prefix(self, prefix: int) -> None:
        """Sets the prefix of the messages that follow."""
        self._prefix = prefix

    def started(self, where: str) -> None:
        """Prints the first line, the address; to standard error if the output is JSON."""
        said = f"listening at {where}"
        if self._json:
            note(said)
        else:
            self._print([one_line(said)])

    def _print(self, pieces: Iterable[str]) -> None:
        say_pieces(pieces, prompt=self._prompt)

    # --- for people

    def _styled(self, text: str, style: str) -> str:
        return paint(text, style) if self._colours else text

    def _faint(self, text: str) -> str:
        return self._styled(text, "faint")

    def _timed(self, time: float | None) -> str:
        shown_time = clock(time)
        return self._faint(shown_time) + "  " if shown_time else ""

    def _ends(self, way: Way) -> str:
        """The number and ends of a connection at the first call; empty at later calls."""
        if not way.connection or way.connection in self._named:
            return ""
        self._named.add(way.connection)
        client, server = way.sender, way.receiver
        if not way.from_client:
            client, server = server, client
        return _joined(self._tag(way), f"{one_line(client)} > {one_line(server)}")

    def _tag(self, way: Way, direction: str = "") -> str:
        """The short name of a connection, in its colour."""
        if not way.connection:
            return ""
        name = f"#{way.connection}{direction}"
        return paint_connection(name, way.connection) if self._colours else name

    def _as_text(self, way: Way, item: Item, time: float | None) -> Iterator[str]:
        ends = self._ends(way)
        if ends:
            yield f"{self._timed(time)}{ends}\n"
        tag = self._tag(way, " >" if way.from_client else " <")
        yield self._timed(time) + _joined(tag, self._faint(f"at {item.position:,}")) + "  "
        if isinstance(item, Decoded):
            msg_id, data = item.message
            yield self._styled(
                _joined(
                    self._changed_prefix(),
                    f"size {item.size}",
                    f"msg_id {msg_id}",
                    f"data: {counted(len(data), 'byte')}",
                ),
                "strong",
            )
            before = "\n"
            for piece in shown(data, self._payload, self._shown):
                yield (before + piece).replace("\n", "\n" + _INDENT)
                before = ""
        elif isinstance(item, Discarded):
            said = f"discarded {counted(item.count, 'byte')} ({item.head.hex(' ')}"
            said += f"{' ...' if item.count > len(item.head) else ''}): {item.reason()}"
            yield self._styled(said, "bad")
        elif isinstance(item, Cut):
            yield self._styled(item.reason(), "bad")
        else:
            yield self._styled(f"not recorded: {counted(item.count, 'byte')}", "bad")

    def _changed_prefix(self) -> str:
        if self._prefix is None or self._prefix == self._shown_prefix:
            return ""
        self._shown_prefix = self._prefix
        return f"prefix {arguments.show_prefix(self._prefix)}"

    # --- for programs

    def _as_json(self, way: Way, item: Item, time: float | None) -> Iterator[str]:
        values: dict[str, Any] = {"position": item.position}
        if isinstance(item, Decoded):
            msg_id, data = item.message
            values |= {
                "prefix": arguments.show_prefix(self._prefix or 0),
                "size": item.size,
                "msg_id": msg_id,
                "length": len(data),
            }
            yield _json_line("message", way, time, values)[:-1]
            if self._payload != "none":
                yield ", "
                yield from json_members(data, self._shown)
            yield "}"
            return
        if isinstance(item, Discarded):
            values |= {"count": item.count, "reason": item.reason(), "head": item.head.hex()}
        elif isinstance(item, Cut):
            values |= {"count": item.count, "missing": item.missing, "reason": item.reason()}
        else:
            values |= {"count": item.count}
        yield _json_line(_KINDS[type(item)], way, time, values)


def _json_line(kind: str, way: Way, time: float | None, values: dict[str, Any]) -> str:
    line: dict[str, Any] = {"kind": kind}
    shown_time = _iso(time)
    if shown_time:
        line["time"] = shown_time
    if way.connection:
        line |= {"connection": way.connection, "from": way.sender, "to": way.receiver}
    return json.dumps(line | values)


def _iso(time: float | None) -> str:
    if time is None:
        return ""
    try:
        return datetime.fromtimestamp(time, timezone.utc).isoformat()
    except (OSError, OverflowError, ValueError):
        return ""  # captures may hold any time


def clock(time: float | None) -> str:
    """The time of day with microseconds; empty if there is no time."""
    if time is None:
        return ""
    try:
        second, micro = divmod(round(time * _MICROSECONDS), _MICROSECONDS)
        return f"{_clock(second)}.{micro:06}"
    except (OSError, OverflowError, ValueError):
        return ""


@lru_cache(maxsize=8)
def _clock(second: int) -> str:
    return datetime.fromtimestamp(second).strftime("%H:%M:%S")


def counted(count: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is one."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _joined(*parts: str) -> str:
    return "  ".join(part for part in parts if part)
