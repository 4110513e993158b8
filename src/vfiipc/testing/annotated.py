"""Describes a stream: the fields of messages, and which bytes a receiver discards and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from ..codec import HEADER
from ..recording.annotate import Annotator, Cut, Decoded, Discarded, Item

__all__ = ["annotated", "items_of"]

_WIDTH = 16  # maximum number of bytes shown for a field
_MAX_LINES = 40


def annotated(prefix: int, size_limit: int, chunks: Sequence[bytes]) -> list[str]:
    """A line for each field and each run of garbage: offset, bytes, meaning."""
    stream = b"".join(chunks)
    items = items_of(prefix, size_limit, stream)
    lines = [line for item in items for line in _lines(item, stream)]
    if len(lines) > _MAX_LINES:
        lines[_MAX_LINES:] = [f"and {len(lines) - _MAX_LINES} more lines"]
    return [_chunks(chunks), *lines]


def items_of(prefix: int, size_limit: int, stream: bytes) -> Iterator[Item]:
    """The items that a receiver finds in a whole stream."""
    annotator = Annotator(prefix, size_limit)
    yield from annotator.feed(stream)
    yield from annotator.finish()


def _chunks(chunks: Sequence[bytes]) -> str:
    size = sum(map(len, chunks))
    if len(chunks) == 1:
        return f"{size} bytes in one chunk"
    if all(len(chunk) == 1 for chunk in chunks):
        return f"{size} bytes, one at a time"
    cuts = ", ".join(map(str, [*accumulate(map(len, chunks))][:-1][:_WIDTH]))
    return f"{size} bytes in {len(chunks)} chunks, split at {cuts}"


def _lines(item: Item, stream: bytes) -> Iterator[str]:
    if isinstance(item, Discarded):
        data = stream[item.position : item.position + item.count]
        yield _line(item.position, data, f"discarded: {item.reason()}")
    elif isinstance(item, Cut):
        yield from _fields(stream[item.position :], item.position, item.reason())
    elif isinstance(item, Decoded):
        stop = item.position + HEADER.sizeof() + len(item.message.data)
        yield from _fields(stream[item.position : stop], item.position, "data")


def _fields(frame: bytes, position: int, rest: str) -> Iterator[str]:
    """The complete fields of a header by their declared names, then the remaining bytes."""
    at = 0
    declared: Any
    for declared in HEADER.subcons:
        raw = frame[at : at + declared.sizeof()]
        if len(raw) < declared.sizeof():
            break
        yield _line(position + at, raw, f"{declared.name} {_value(declared, raw)}")
        at += len(raw)
    if at < len(frame) or rest != "data":
        yield _line(position + at, frame[at:], rest)


def _value(declared: Any, raw: bytes) -> str:
    value = declared.parse(raw)
    return f"{value:#010x}" if declared.name == "prefix" else str(value)


def _line(offset: int, data: bytes, meaning: str) -> str:
    more = f" .. ({len(data)} bytes)" if len(data) > _WIDTH else ""
    return f"{offset:6}  {data[:_WIDTH].hex(' ') + more:{3 * 8}}  {meaning}"
