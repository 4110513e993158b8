"""Hex dumps of bytes, and of messages field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..codec import HEADER, MESSAGE

__all__ = ["PER_LINE", "dump", "dump_header", "dump_message"]

PER_LINE = 16  #: bytes
_PER_FIELD_LINE = 8


class _DumpPart(NamedTuple):
    """One declared field in a message: its place, its bytes and its value."""

    name: str
    offset: int
    raw: bytes
    value: Any


def dump(data: bytes, stop: int | None = None, start: int = 0) -> Iterator[str]:
    """Yields lines with offset, hexadecimal bytes and ASCII of ``data[start:stop]``."""
    stop = len(data) if stop is None else stop
    for offset in range(start, stop, PER_LINE):
        piece = data[offset : min(offset + PER_LINE, stop)]
        yield f"{offset:08x}  {piece.hex(' '):{3 * PER_LINE - 1}}  {_as_ascii(piece)}"


def dump_message(frame: bytes) -> Iterator[str]:
    """Yields lines for one complete message: each declared field with offset, width and value."""
    yield from _fields(frame, MESSAGE)


def dump_header(header: bytes) -> Iterator[str]:
    """Yields the same lines for a header without data."""
    yield from _fields(header, HEADER)


def _fields(frame: bytes, declaration: Any) -> Iterator[str]:
    yield f"offset  width  {'field':8}  {'bytes':{3 * _PER_FIELD_LINE - 1}}  value"
    for part in _parts(frame, declaration):
        place = f"{part.offset:6}  {len(part.raw):5}  {part.name:8}"
        for piece in _pieces(part.raw):
            value = _as_ascii(piece) if isinstance(part.value, bytes) else _number(part)
            yield f"{place}  {piece.hex(' '):{3 * _PER_FIELD_LINE - 1}}  {value}".rstrip()
            place = " " * len(place)


def _number(part: _DumpPart) -> str:
    # Prefixes are shown in hexadecimal everywhere; the other fields are numbers.
    return f"{part.value:#0{2 + 2 * len(part.raw)}x}" if part.name == "prefix" else str(part.value)


def _parts(frame: bytes, declaration: Any) -> Iterator[_DumpPart]:
    fields = declaration.parse(frame)
    offset = 0
    for declared in declaration.subcons:
        width = declared.sizeof(**fields)
        raw = frame[offset : offset + width]
        yield _DumpPart(declared.name, offset, raw, fields[declared.name])
        offset += width


def _pieces(raw: bytes) -> list[bytes]:
    starts = range(0, len(raw), _PER_FIELD_LINE) or [0]
    return [raw[start : start + _PER_FIELD_LINE] for start in starts]


def _as_ascii(data: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)
