"""Extracts the TCP segment from a captured frame.

Supported below TCP: Ethernet with VLAN tags, Linux "cooked" captures, loopback and raw IP; IPv4 and
IPv6 with extension headers.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

__all__ = ["ACK", "FIN", "LINK_TYPES", "RST", "SYN", "Segment", "Skipped", "dissect"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

_IPV4, _IPV6 = 0x0800, 0x86DD
_VLAN_TAGS = {0x8100, 0x88A8, 0x9100}
_TCP = 6
_FRAGMENT = 44
_AUTHENTICATION = 51
# Hop by hop, routing, destination options, mobility, host identity, Shim6: all have one format.
_EXTENSIONS = {0, 43, 60, 135, 139, 140}

_IPV4_HEADER = struct.Struct("!BxHxxHxBxx4s4s")
_IPV6_HEADER = struct.Struct("!4xHBx16s16s")
_TCP_HEADER = struct.Struct("!HHIIBB")
_SHORTEST_TCP = 20
_SHORT = struct.Struct("!H")
_EXTENSION_HEADER = struct.Struct("!BBH")


class Skipped(Exception):
    """The frame contains no usable TCP segment. The message says what it contains."""


class Segment(NamedTuple):
    """One TCP segment, as far as it was captured."""

    source: str  #: ``address:port``, an IPv6 address in brackets
    target: str
    sequence: int
    acknowledged: int
    flags: int  #: FIN, SYN, RST, ACK and others
    data: bytes
    missing: int = 0  #: number of bytes after ``data`` that the capture lacks


def dissect(link_type: int, frame: bytes) -> Segment:
    """Returns the TCP segment in a frame.

    Args:
        link_type: the type of the link-layer header, one of ``LINK_TYPES``.
        frame: the captured bytes; the end of the frame may be missing.

    Raises:
        Skipped: there is none, or it cannot be decoded.
    """
    try:
        return _LINKS[link_type](frame)
    except KeyError:
        raise Skipped(f"unsupported link type {link_type}") from None
    except struct.error:
        raise Skipped("truncated headers") from None


# --- link layer -----------------------------------------------------------------------------------


def _ethernet(frame: bytes) -> Segment:
    return _after_type(frame, 12)


def _cooked(frame: bytes) -> Segment:
    return _after_type(frame, 14)


def _cooked_2(frame: bytes) -> Segment:
    return _network(frame, 20, _SHORT.unpack_from(frame)[0])


def _after_type(frame: bytes, at: int) -> Segment:
    (kind,) = _SHORT.unpack_from(frame, at)
    while kind in _VLAN_TAGS:
        at += 4
        (kind,) = _SHORT.unpack_from(frame, at)
    return _network(frame, at + 2, kind)


def _loopback(frame: bytes) -> Segment:
    # The value of the address family depends on the system; the IP version does not.
    return _raw(frame[4:])


def _raw(frame: bytes) -> Segment:
    version = frame[0] >> 4 if frame else 0
    return _network(frame, 0, {4: _IPV4, 6: _IPV6}.get(version, 0))


_LINKS: dict[int, Callable[[bytes], Segment]] = {
    0: _loopback,  # BSD loopback
    1: _ethernet,
    12: _raw,  # raw IP has several values
    14: _raw,
    101: _raw,
    108: _loopback,  # OpenBSD loopback
    113: _cooked,
    228: _raw,
    229: _raw,
    276: _cooked_2,
}

#: The supported link types, by the numbers of libpcap.
LINK_TYPES = frozenset(_LINKS)


# --- network layer --------------------------------------------------------------------------------


def _network(frame: bytes, at: int, kind: int) -> Segment:
    if kind == _IPV4:
        return _ipv4(frame, at)
    if kind == _IPV6:
        return _ipv6(frame, at)
    raise Skipped("not IP")


def _ipv4(frame: bytes, at: int) -> Segment:
    version, length, fragment, protocol, source, target = _IPV4_HEADER.unpack_from(frame, at)
    start = at + 4 * (version & 0x0F)
    if protocol != _TCP:
        start = _skip_extensions(frame, start, protocol)
    if fragment & 0x3FFF:  # more fragments follow, or this is not the first
        raise Skipped("fragment of an IP packet")
    # The length is 0 if the network card segments large packets (TSO).
    end = at + length if length else len(frame)
    return _tcp(frame, start, end, source, target)


def _ipv6(frame: bytes, at: int) -> Segment:
    length, protocol, source, target = _IPV6_HEADER.unpack_from(frame, at)
    start = at + _IPV6_HEADER.size
    end = start + length if length else len(frame)
    if protocol != _TCP:
        start = _skip_extensions(frame, start, protocol)
    return _tcp(frame, start, end, source, target)


def _skip_extensions(frame: bytes, at: int, protocol: int) -> int:
    """The offset of the TCP header."""
    while protocol != _TCP:
        following, length, fragment = _EXTENSION_HEADER.unpack_from(frame, at)
        if protocol == _FRAGMENT:
            if fragment & ~0x0006:  # not the first fragment, or not the last
                raise Skipped("fragment of an IP packet")
            at += 8
        elif protocol == _AUTHENTICATION:
            at += 4 * (length + 2)
        elif protocol in _EXTENSIONS:
            at += 8 * (length + 1)
        else:
            raise Skipped("not TCP")
        protocol = following
    return at


def _tcp(frame: bytes, at: int, end: int, source: bytes, target: bytes) -> Segment:
    header = _TCP_HEADER.unpack_from(frame, at)
    source_port, target_port, sequence, acknowledged, offset, flags = header
    start = at + 4 * (offset >> 4)
    if start < at + _SHORTEST_TCP or start > end:
        raise Skipped("damaged headers")
    # Ethernet pads short packets, so bytes after the end of the packet are ignored.
    data = frame[start:end]
    return Segment(
        _endpoint(source, source_port),
        _endpoint(target, target_port),
        sequence,
        acknowledged,
        flags,
        data,
        end - start - len(data),
    )


@lru_cache(maxsize=4096)
def _endpoint(address: bytes, port: int) -> str:
    if len(address) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, address)}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, address)}]:{port}"
