"""Messages and what lies between them, as lines for people or as JSON for programs."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..codec import Message
from ..recording import Cut, Decoded, Discarded, Gap, Item
from . import arguments
from .hexdump import dump, is_text
from .streams import note, say, styled

__all__ = ["NOWHERE", "Printer", "Way", "add_view"]

_INDENT = "    "
_SHOWN = 4096
_KINDS = {Decoded: "message", Discarded: "discarded", Cut: "cut", Gap: "gap"}


class Way(NamedTuple):
    """Where something was seen: one direction of one connection, where that is known."""

    connection: int = 0  #: from 1; 0 where there is only a stream
    sender: str = ""
    receiver: str = ""


#: A stream of which only the bytes are known.
NOWHERE = Way()


def add_view(parser: arguments.Parser) -> None:
    """The options of every command that prints messages."""
    parser.add_argument(
        "--json", action="store_true", help="a JSON object a line, with all of the data in hex"
    )
    parser.add_argument(
        "--payload",
        choices=("auto", "text", "json", "hex", "none"),
        default="auto",
        help="how data are shown: auto takes JSON or text where they are that, otherwise a hex "
        "dump; none shows their length alone (auto)",
    )
    parser.add_argument(
        "--no-payload",
        dest="payload",
        action="store_const",
        const="none",
        help="the same as --payload none: for card data that nobody else may see",
    )
    parser.add_argument(
        "--show",
        metavar="BYTES",
        type=arguments.limit,
        default=_SHOWN,
        help=f"the most bytes of data that are shown of one message ({_SHOWN >> 10}K)",
    )


class Printer:
    """Prints what happens, whole lines at a time. Thread safe.

    Args:
        parsed: with the options of ``add_view``.
        prefix: that of all messages.
    """

    def __init__(self, parsed: argparse.Namespace, prefix: int) -> None:
        self._json: bool = parsed.json
        self._payload: str = parsed.payload
        self._shown: int = parsed.show
        self._prefix = prefix
        self._lock = threading.Lock()

    def item(self, way: Way, item: Item, time: float | None = None) -> None:
        """A message, or what is none.

        Raises:
            OSError: it cannot be written.
        """
        lines = self._as_json(way, item, time) if self._json else self._as_text(way, item, time)
        self._print(list(lines))

    def event(self, way: Way, kind: str, said: str, time: float | None = None) -> None:
        """Something about a connection: ``kind`` is for programs, ``said`` for people.

        Raises:
            OSError: it cannot be written.
        """
        if self._json:
            self._print([_json_line(kind, way, time, {"said": said})])
        else:
            self._print([styled(_joined(_when(time), _who(way), said), "faint")])

    def started(self, where: str) -> None:
        """The first line: where it listens; beside the output, where that is for programs.

        Raises:
            OSError: it cannot be written.
        """
        said = f"listening at {where}"
        if self._json:
            note(said)
        else:
            say(said)

    def _print(self, lines: list[str]) -> None:
        with self._lock:
            say("\n".join(lines))

    # --- for people

    def _as_text(self, way: Way, item: Item, time: float | None) -> Iterator[str]:
        place = _joined(_when(time), _who(way), f"at {item.position:,}")
        if isinstance(item, Decoded):
            message = item.message
            fields = (
                f"prefix {arguments.show_prefix(self._prefix)}",
                f"size {item.size}",
                f"msg_id {message.msg_id}",
                f"data: {_bytes(len(message.data))}",
            )
            yield f"{place}  {styled(_joined(*fields), 'strong')}"
            for line in self._payload_lines(message):
                yield _INDENT + line
        elif isinstance(item, Discarded):
            said = f"discarded {_bytes(item.count)} ({item.head.hex(' ')}"
            said += f"{' ...' if item.count > len(item.head) else ''}): {item.reason()}"
            yield f"{place}  {styled(said, 'bad')}"
        elif isinstance(item, Cut):
            yield f"{place}  {styled(item.reason(), 'bad')}"
        else:
            yield f"{place}  {styled(f'not recorded: {_bytes(item.count)}', 'bad')}"

    def _payload_lines(self, message: Message) -> Iterator[str]:
        data = message.data
        if not data or self._payload == "none":
            return
        shown = data[: self._shown]
        value = _json_value(data) if self._payload in ("auto", "json") else None
        if value is not None:
            whole = json.dumps(value, indent=2, ensure_ascii=False)
            if not is_text(whole.encode()):  # nothing may steer the terminal
                whole = json.dumps(value, indent=2)
            text = whole[: self._shown]
            yield from text.split("\n")
            if len(whole) > len(text):
                yield "... and more (--show)"
            return
        if self._payload == "text" or (self._payload == "auto" and is_text(data)):
            yield from _as_characters(shown).split("\n")
        else:
            yield from dump(shown)
        if len(shown) < len(data):
            yield f"... and {_bytes(len(data) - len(shown))} more (--show)"

    # --- for programs

    def _as_json(self, way: Way, item: Item, time: float | None) -> Iterator[str]:
        values: dict[str, Any] = {"position": item.position}
        if isinstance(item, Decoded):
            values |= {
                "prefix": arguments.show_prefix(self._prefix),
                "size": item.size,
                "msg_id": item.message.msg_id,
                "length": len(item.message.data),
            }
            values |= self._json_payload(item.message.data)
        elif isinstance(item, Discarded):
            values |= {"count": item.count, "reason": item.reason(), "head": item.head.hex()}
        elif isinstance(item, Cut):
            values |= {"count": item.count, "missing": item.missing, "reason": item.reason()}
        else:
            values |= {"count": item.count}
        yield _json_line(_KINDS[type(item)], way, time, values)

    def _json_payload(self, data: bytes) -> dict[str, Any]:
        if self._payload == "none":
            return {}
        values: dict[str, Any] = {"data": data.hex()}
        if is_text(data):
            values["text"] = data.decode("utf-8")
            value = _json_value(data)
            if value is not None:
                values["json"] = value
        return values


def _json_line(kind: str, way: Way, time: float | None, values: dict[str, Any]) -> str:
    line: dict[str, Any] = {"kind": kind}
    if time is not None:
        line["time"] = datetime.fromtimestamp(time, timezone.utc).isoformat()
    if way.connection:
        line |= {"connection": way.connection, "from": way.sender, "to": way.receiver}
    return json.dumps(line | values)


def _json_value(data: bytes) -> Any:
    """The JSON object or array in ``data``; None where there is none."""
    if data.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # no lone surrogates
    except (ValueError, RecursionError):
        return None
    return value


def _refuse(name: str) -> None:
    raise ValueError(name)  # NaN and its like are no JSON


def _as_characters(data: bytes) -> str:
    """Text that a terminal can show: everything else is escaped."""
    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n").rstrip("\n")
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def _when(time: float | None) -> str:
    if time is None:
        return ""
    return datetime.fromtimestamp(time).strftime("%H:%M:%S.%f")


def _who(way: Way) -> str:
    if not way.connection:
        return ""
    return f"#{way.connection}  {way.sender} > {way.receiver}"


def _bytes(count: int) -> str:
    return f"{count:,} byte" if count == 1 else f"{count:,} bytes"


def _joined(*parts: str) -> str:
    return "  ".join(part for part in parts if part)
