"""Writes captures of TCP connections, in the pcap format, without capturing anything."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_MAGIC = 0xA1B2C3D4
_ETHERNET = 1
_SYN, _ACK, _PUSH = 0x02, 0x10, 0x08
_TCP = 6
_MICROSECONDS = 1_000_000


class Segment(NamedTuple):
    """One packet with data. ``at`` is where its data begin in their direction of the connection."""

    is_answer: bool
    at: int
    data: bytes


def pcap(packets: Iterable[bytes], snap_length: int = 65535) -> bytes:
    """The content of a capture file with these packets, one a millisecond."""
    parts = [struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, snap_length, _ETHERNET)]
    for index, packet in enumerate(packets):
        time = index * 1000
        kept = packet[:snap_length]
        seconds = divmod(time, _MICROSECONDS)
        parts += [struct.pack("<IIII", *seconds, len(kept), len(packet)), kept]
    return b"".join(parts)


def in_order(pieces: Iterable[bytes], *, is_answer: bool = False) -> list[Segment]:
    """A segment for each piece that is not empty."""
    segments, at = [], 0
    for piece in pieces:
        if piece:
            segments.append(Segment(is_answer, at, piece))
        at += len(piece)
    return segments


def connection(client: int, server: int, segments: Sequence[Segment]) -> list[bytes]:
    """The packets of one connection between two ports: its beginning, then the segments."""
    first = {False: 1000 + client, True: 700_000 + client}
    packets = [
        _packet(client, server, first[False] - 1, 0, b"", _SYN),
        _packet(server, client, first[True] - 1, first[False], b"", _SYN | _ACK),
        _packet(client, server, first[False], first[True], b"", _ACK),
    ]
    reached = {False: 0, True: 0}
    for way, at, data in segments:
        ports = (server, client) if way else (client, server)
        sequence, acknowledged = first[way] + at, first[not way] + reached[not way]
        packets.append(_packet(*ports, sequence, acknowledged, data, _PUSH | _ACK))
        reached[way] = max(reached[way], at + len(data))
    return packets


def _packet(source: int, target: int, sequence: int, ack: int, data: bytes, flags: int) -> bytes:
    modulus = 1 << 32
    header_words = 5 << 4
    tcp = struct.pack(
        ">HHIIBBHHH", source, target, sequence % modulus, ack % modulus, header_words, flags,
        65535, 0, 0,
    )  # fmt: skip
    ends = [bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])]
    if source < target:
        ends.reverse()
    size = 20 + len(tcp) + len(data)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, _TCP, 0) + b"".join(ends)
    return bytes(12) + b"\x08\x00" + ip + tcp + data
