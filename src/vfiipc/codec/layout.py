"""Numbers and packers derived from the declaration in ``wire.py``.

construct declares. It is about a hundred times slower than ``struct``, so it never runs per
message. Everything here is computed once, at import, by walking the declaration.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from .buffer import Buffer
from .wire import HEADER

__all__ = [
    "HEADER_SIZE",
    "MAX_DATA_SIZE",
    "MAX_SIZE",
    "MIN_SIZE",
    "MSG_ID",
    "MSG_ID_SIZE",
    "PREFIX",
    "PREFIX_AND_SIZE",
    "SIZE",
    "Field",
    "HeaderStruct",
    "header_struct",
    "pack_header",
    "unpack_header",
]


class HeaderStruct(Protocol):
    """The two operations of ``struct.Struct`` that headers need."""

    def pack(self, *values: Any) -> bytes: ...
    def unpack_from(self, buffer: Buffer, offset: int = ...) -> tuple[Any, ...]: ...


class Field(NamedTuple):
    """One field of the header as declared: its place, its format and its range."""

    name: str
    offset: int  #: bytes from the beginning of the header
    packer: struct.Struct
    lowest: int  #: the lowest value that it can have
    highest: int  #: the highest one


class _FieldByField:
    """Packs a header with fields of different byte orders, which one ``struct`` cannot."""

    def __init__(self, formats: Sequence[str]) -> None:
        self._packers = [struct.Struct(text) for text in formats]

    def pack(self, *values: Any) -> bytes:
        return b"".join(map(struct.Struct.pack, self._packers, values))

    def unpack_from(self, buffer: Buffer, offset: int = 0) -> tuple[Any, ...]:
        values: list[Any] = []
        for packer in self._packers:
            values += packer.unpack_from(buffer, offset)
            offset += packer.size
        return tuple(values)


def header_struct(formats: Sequence[str]) -> HeaderStruct:
    """The fastest packer for fields with these ``struct`` formats, which include the byte order."""
    orders = {text[0] for text in formats}
    if len(orders) == 1:
        return struct.Struct(orders.pop() + "".join(text[1:] for text in formats))
    return _FieldByField(formats)


def _walk(header: Any) -> list[Field]:
    fields = []
    offset = 0
    for subcon in header.subcons:
        packer = struct.Struct(subcon.fmtstr)
        signed = packer.format.islower()
        count = 256**packer.size
        lowest = -count // 2 if signed else 0
        fields.append(Field(subcon.name, offset, packer, lowest, lowest + count - 1))
        offset += packer.size
    if [field.name for field in fields] != ["prefix", "size", "msg_id"]:
        raise ImportError("the receiver reads prefix, size and msg_id, in this order: see HEADER")
    return fields


PREFIX, SIZE, MSG_ID = _walk(HEADER)

HEADER_SIZE: Final[int] = HEADER.sizeof()
#: Bytes from which a receiver decides whether this is a header: prefix and size.
PREFIX_AND_SIZE: Final[int] = SIZE.offset + SIZE.packer.size
#: Bytes of the header that the size field counts.
MSG_ID_SIZE: Final[int] = HEADER_SIZE - PREFIX_AND_SIZE
MIN_SIZE: Final[int] = MSG_ID_SIZE
#: The original keeps the size in a signed int (spec/framing.md, size rules).
MAX_SIZE: Final[int] = 2**31 - 1
MAX_DATA_SIZE: Final[int] = MAX_SIZE - MSG_ID_SIZE

_header = header_struct([field.packer.format for field in (PREFIX, SIZE, MSG_ID)])
pack_header: Final = _header.pack
unpack_header: Final = _header.unpack_from
