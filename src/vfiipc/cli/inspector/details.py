"""The content of the pane below the table: lines of one entry, made on demand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ...codec import encode_header
from ...recording import Decoded, Discarded
from .. import arguments
from ..hexdump import PER_LINE, dump, dump_header
from ..payload import is_text, shown
from ..streams import one_line
from ..view import clock, counted
from .entries import PASSED, SENT, Entry
from .rows import duration, what_happened

__all__ = [
    "FORMS",
    "JsonObject",
    "Lines",
    "Raw",
    "fields",
    "form_of",
    "hex_lines",
    "parsed_json",
    "text_lines",
]

#: How data can be shown; ``auto`` takes the first that fits.
FORMS: Final = ("auto", "json", "text", "hex")

_LARGEST_TEXT: Final = 64 << 10  # bytes that are shown as text
_LARGEST_JSON: Final = 1 << 20


@dataclass(frozen=True)
class Lines:
    """Lines by number, so that only visible ones are made."""

    count: int
    width: int  #: of the longest, in characters
    at: Callable[[int], str]


class JsonObject(list[tuple[str, Any]]):
    """The members of a JSON object, in their order, also those of the same name."""


class Raw(str):
    """A number, as it was written."""

    __slots__ = ()


def fields(entry: Entry) -> list[str]:
    """A few short lines: the fields of a message by name, and other facts about the entry."""
    way = entry.way
    ends = f"{one_line(way.sender)} > {one_line(way.receiver)}" if way.connection else ""
    when = clock(entry.time)
    item = entry.item
    place = f"at {item.position:,}" if item is not None and entry.state != SENT else ""
    first = "  ".join(part for part in (f"{entry.number:,}.", when, ends, place) if part)
    lines = [first if entry.state == PASSED else f"{first}  ({entry.state})"]
    if isinstance(item, Decoded):
        msg_id, data = item.message
        prefix = f"prefix {arguments.show_prefix(entry.prefix)}"
        size = counted(len(data), "byte")
        lines.append(f"{prefix}  size {item.size}  msg_id {msg_id}  data: {size}")
        if entry.latency is not None:
            lines[-1] += f"  answers {entry.answers:,} after {duration(entry.latency)}"
        return lines
    lines.append(what_happened(entry)[0])
    if isinstance(item, Discarded):
        lines.append(f"the first bytes: {item.head.hex(' ')}")
        lines += [
            f"a prefix at {header.position:,}, but with size {header.size:,}"
            for header in item.false_headers
        ]
    return lines


def form_of(data: bytes, wanted: str) -> str:
    """The form in which data are shown: ``json``, ``text`` or ``hex``."""
    if wanted in ("auto", "json") and parsed_json(data) is not None:
        return "json"
    if wanted == "text" or (wanted != "hex" and data and is_text(data[:_LARGEST_TEXT])):
        return "text"
    return "hex"


def parsed_json(data: bytes) -> JsonObject | list[Any] | None:
    """The object or array that data are, with numbers as ``Raw``; None where they are not one."""
    if len(data) > _LARGEST_JSON or data.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=JsonObject,
            parse_int=Raw,
            parse_float=Raw,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def hex_lines(entry: Entry) -> Lines:
    """The header field by field, then the data in hex beside the characters."""
    message = entry.message
    assert message is not None
    data = message.data
    head = list(dump_header(encode_header(entry.prefix, message.msg_id, len(data))))
    head.append("")

    def line(number: int) -> str:
        if number < len(head):
            return head[number]
        start = (number - len(head)) * PER_LINE
        return next(dump(data, min(start + PER_LINE, len(data)), start))

    return Lines(len(head) + -(-len(data) // PER_LINE), 8 + 2 + 3 * PER_LINE + 1 + PER_LINE, line)


def text_lines(data: bytes) -> Lines:
    """Data as text, with escapes for what is not."""
    lines = "".join(shown(data, "text", _LARGEST_TEXT)).splitlines() or [""]
    lines = [line.expandtabs(4) for line in lines]
    return Lines(len(lines), max(map(len, lines)), lines.__getitem__)
