"""Reads pcapng, in which each interface has its own link type, resolution and snapshot length.

libpcap supports only one link type per file, and refuses files with several. Other libraries read
only the first interface, ignore damage, are far slower, or have an incompatible licence. Only four
types of blocks matter here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from .errors import CaptureError

__all__ = ["SECTION", "Frame", "read_frames"]

SECTION = b"\x0a\x0d\x0d\x0a"  #: the first bytes of a section, whatever its byte order

_INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 1, 2, 3, 6
_RESOLUTION, _OFFSET = 9, 14  # options of an interface
_ORDER_MARK = 0x1A2B3C4D
_VERSION = 1
_MAX_BLOCK = 64 << 20  # bytes, so that a damaged length cannot exhaust the memory

Frame = tuple[float, int, bytes]  #: seconds since 1970, link type, captured bytes


class _Interface(NamedTuple):
    link_type: int
    snap_length: int
    resolution: float  # in seconds
    offset: int  # in seconds


class _Order:
    """The structures of the format in one byte order."""

    def __init__(self, order: str) -> None:
        self.length = struct.Struct(order + "I")
        self.block = struct.Struct(order + "II")  # type, length
        self.section = struct.Struct(order + "IH")  # byte-order mark, version
        self.interface = struct.Struct(order + "HxxI")  # link type, snapshot length
        self.option = struct.Struct(order + "HH")  # code, length
        self.offset = struct.Struct(order + "q")
        # Interface, time in two halves, captured length.
        self.enhanced = struct.Struct(order + "IIIIxxxx")
        self.packet = struct.Struct(order + "HxxIIIxxxx")


_ORDERS = (_Order("<"), _Order(">"))
_HEAD = _ORDERS[0].block.size
_TAIL = _ORDERS[0].length.size  # every block ends with a copy of its length


class _Section:
    """A part of the file with one byte order and its own interfaces."""

    def __init__(self, order: _Order) -> None:
        self.order = order
        self._interfaces: list[_Interface] = []

    def frame(self, kind: int, body: bytes) -> Frame | None:
        """Returns the packet in a block, if it contains one; stores interface descriptions."""
        if kind in (_ENHANCED, _PACKET):
            head = self.order.enhanced if kind == _ENHANCED else self.order.packet
            number, high, low, size = head.unpack_from(body)
            link_type, _, resolution, offset = self._interface(number)
            time = (high << 32 | low) * resolution + offset
            return time, link_type, _captured(body, head.size, size)
        if kind == _SIMPLE:
            (size,) = self.order.length.unpack_from(body)
            interface = self._interface(0)
            size = min(size, interface.snap_length or size)
            return 0.0, interface.link_type, _captured(body, self.order.length.size, size)
        if kind == _INTERFACE:
            self._interfaces.append(self._parse_interface(body))
        return None

    def _interface(self, number: int) -> _Interface:
        if number >= len(self._interfaces):
            raise CaptureError(f"a packet on interface {number}, which has no description")
        return self._interfaces[number]

    def _parse_interface(self, body: bytes) -> _Interface:
        link_type, snap_length = self.order.interface.unpack_from(body)
        resolution, offset = 1e-6, 0
        at = self.order.interface.size
        while len(body) - at >= self.order.option.size:
            code, size = self.order.option.unpack_from(body, at)
            at += self.order.option.size
            if code == _RESOLUTION and size == 1 and at < len(body):
                base, power = (2.0, body[at] & 0x7F) if body[at] & 0x80 else (10.0, body[at])
                resolution = base**-power
            elif code == _OFFSET and size == self.order.offset.size and at + size <= len(body):
                (offset,) = self.order.offset.unpack_from(body, at)
            at += (size + 3) // 4 * 4
        return _Interface(link_type, snap_length, resolution, offset)


def read_frames(file: BinaryIO) -> Iterator[Frame]:
    """Yields all packets, in the order of the file.

    Raises:
        CaptureError: the file is damaged at this point.
    """
    section: _Section | None = None
    while head := file.read(_HEAD):
        if head.startswith(SECTION):
            section = _begin(file, head)
            continue
        if section is None:
            raise CaptureError("the file does not begin with a section")
        if len(head) < _HEAD:
            raise CaptureError("truncated in a block")
        kind, length = section.order.block.unpack(head)
        body = _rest(file, section.order, length, b"")
        try:
            frame = section.frame(kind, body)
        except struct.error:
            raise CaptureError(f"a block of type {kind} has only {length} bytes") from None
        if frame is not None:
            yield frame


def _begin(file: BinaryIO, head: bytes) -> _Section:
    start = file.read(_ORDERS[0].section.size)
    if len(head) < _HEAD or len(start) < _ORDERS[0].section.size:
        raise CaptureError("truncated in the header of a section")
    for order in _ORDERS:
        mark, version = order.section.unpack(start)
        if mark == _ORDER_MARK:
            break
    else:
        raise CaptureError("a section with an unknown byte order")
    if version != _VERSION:
        raise CaptureError(f"pcapng version {version}; only version {_VERSION} is supported")
    _, length = order.block.unpack(head)
    _rest(file, order, length, start)
    return _Section(order)


def _rest(file: BinaryIO, order: _Order, length: int, start: bytes) -> bytes:
    """The rest of the body of a block after ``start``, without the length at its end."""
    size = length - _HEAD - len(start)
    if size < _TAIL or length > _MAX_BLOCK:
        raise CaptureError(f"a block with an invalid length of {length:,} bytes")
    body = file.read(size)
    if len(body) < size:
        raise CaptureError("truncated in a block")
    if order.length.unpack_from(body, size - _TAIL) != (length,):
        raise CaptureError(f"a block of {length:,} bytes has a different length at its end")
    return body[:-_TAIL]


def _captured(body: bytes, start: int, size: int) -> bytes:
    data = body[start : start + size]
    if len(data) < size:
        raise CaptureError(f"a packet of {size:,} bytes in a block of {len(body):,}")
    return data
