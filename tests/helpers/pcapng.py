"""Writes captures in the pcapng format, block by block, in either byte order."""

from __future__ import annotations

import struct
from typing import NamedTuple

LITTLE, BIG = "<", ">"
ETHERNET, RAW_IP = 1, 101


class Writer(NamedTuple):
    """The blocks in one byte order."""

    order: str = LITTLE

    def block(self, kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        ends = self._pack("I", len(body) + 12)
        return self._pack("I", kind) + ends + body + ends

    def section(self, version: int = 1) -> bytes:
        return self.block(0x0A0D0D0A, self._pack("IHHq", 0x1A2B3C4D, version, 0, -1))

    def interface(
        self,
        link_type: int = ETHERNET,
        *,
        snap_length: int = 0,
        resolution: int | None = None,
        offset: int | None = None,
    ) -> bytes:
        options = b""
        if resolution is not None:
            options += self._pack("HHB3x", 9, 1, resolution)
        if offset is not None:
            options += self._pack("HHq", 14, 8, offset)
        return self.block(1, self._pack("HxxI", link_type, snap_length) + options + bytes(4))

    def packet(self, data: bytes, *, interface: int = 0, time: int = 0) -> bytes:
        lengths = len(data), len(data)
        return self.block(
            6, self._pack("IIIII", interface, *divmod(time, 1 << 32), *lengths) + data
        )

    def old_packet(self, data: bytes, *, interface: int = 0, time: int = 0) -> bytes:
        lengths = len(data), len(data)
        head = self._pack("HHIIII", interface, 0, *divmod(time, 1 << 32), *lengths)
        return self.block(2, head + data)

    def simple_packet(self, data: bytes, length: int) -> bytes:
        return self.block(3, self._pack("I", length) + data)

    def _pack(self, form: str, *values: int) -> bytes:
        return struct.pack(self.order + form, *values)
