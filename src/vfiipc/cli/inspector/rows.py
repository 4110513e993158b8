"""The rows of the table: pieces of text with the names of their styles."""

from __future__ import annotations

from typing import Final

from ...recording import Cut, Decoded, Discarded
from ..payload import is_text
from ..streams import one_line
from ..view import clock, counted
from .entries import DROPPED, EDITED, HELD, PASSED, SENT, Entry

__all__ = ["HEADING", "Styled", "duration", "row", "size", "what_happened"]

Styled = tuple[str, str]  #: text, and ``strong``, ``faint``, ``bad``, ``held``, ``#3`` or nothing

_MILLISECONDS: Final = len("000")  # of the microseconds that are left out
_SHOWN: Final = 300  # bytes of data that are examined for one row
_HEX: Final = 24
_LETTERS: Final = {PASSED: " ", HELD: "H", EDITED: "e", DROPPED: "x", SENT: "+"}

HEADING: Final = f"   {'time':12} {'conn':6} {'id':>7} {'size':>7} {'answered':>9}  message"


def row(entry: Entry, *, hidden: bool) -> list[Styled]:
    """One row, of any width; the table cuts off what does not fit.

    Args:
        entry: what the row is for.
        hidden: whether no data of messages are shown.
    """
    letter = _LETTERS[entry.state]
    mark = "*" if entry.marked else " "
    way = entry.way
    name = f"#{way.connection} {'>' if way.from_client else '<'}" if way.connection else ""
    message = entry.message
    numbers = f"{'':7} {'':7}"
    if message is not None:
        numbers = f"{message.msg_id:>7} {size(len(message.data)):>7}"
    latency = duration(entry.latency) if entry.latency is not None else ""
    return [
        (f"{mark}{letter} ", "held" if entry.state != PASSED else "strong"),
        (f"{clock(entry.time)[:-_MILLISECONDS]:12} ", "faint"),
        (f"{name:6} ", f"#{way.connection}"),
        (f"{numbers} ", ""),
        (f"{latency:>9}  ", "faint"),
        _summary(entry, hidden=hidden),
    ]


def _summary(entry: Entry, *, hidden: bool) -> Styled:
    message = entry.message
    if message is None:
        return what_happened(entry)
    if hidden:
        return "", ""
    data = message.data
    if is_text(data, min(len(data), _SHOWN)):
        return one_line(" ".join(data[:_SHOWN].decode("utf-8", "replace").split())), ""
    return data[:_HEX].hex(" ") + (" ..." if len(data) > _HEX else ""), "faint"


def what_happened(entry: Entry) -> Styled:
    """The text of an entry that is not a message."""
    item = entry.item
    if isinstance(item, Discarded):
        said = f"discarded {counted(item.count, 'byte')}: {item.reason()}"
    elif isinstance(item, Cut):
        said = item.reason()
    elif item is None:
        return one_line(entry.said), "faint"
    elif isinstance(item, Decoded):
        return "", ""
    else:
        said = f"not recorded: {counted(item.count, 'byte')}"
    return said, "bad"


def size(count: int) -> str:
    """A number of bytes in 7 characters."""
    if count < 1_000_000:
        return f"{count:,}"
    return f"{count / (1 << 20):,.1f}M"


def duration(seconds: float) -> str:
    """A latency in 9 characters."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 100_000 else "> 1 day"
