"""The two ends of a connection as text."""

from __future__ import annotations

from ..transport.addresses import address_text

__all__ = ["name_of"]


def name_of(address: object) -> str:
    """A socket address as text: ``ip:port``, ``[ipv6]:port``, a path, or empty.

    An IPv4 peer of an IPv6 socket appears as plain IPv4.
    """
    if isinstance(address, bytes):
        address = address.decode(errors="surrogateescape")
    if isinstance(address, str):
        return address.replace("\0", "@", 1)
    if not isinstance(address, tuple) or not isinstance(address[0], str):
        return ""
    return address_text(address)
