"""The two ends of a connection as texts."""

from __future__ import annotations

from ..transport.addresses import address_text

__all__ = ["name_of"]


def name_of(address: object) -> str:
    """What a socket is called: ``ip:port``, ``[ipv6]:port``, a path, or nothing.

    An IPv4 address that reached an IPv6 socket is written as what it is.
    """
    if isinstance(address, bytes):
        address = address.decode(errors="surrogateescape")
    if isinstance(address, str):
        return address.replace("\0", "@", 1)
    if not isinstance(address, tuple) or not isinstance(address[0], str):
        return ""
    return address_text(address)
