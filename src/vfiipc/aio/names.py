"""The two ends of a connection as texts."""

from __future__ import annotations

__all__ = ["name_of"]


def name_of(address: object) -> str:
    """What a socket is called: ``ip:port``, ``[ipv6]:port``, a path, or nothing.

    An IPv4 address that reached an IPv6 socket is written as what it is.
    """
    if isinstance(address, bytes):
        address = address.decode(errors="surrogateescape")
    if isinstance(address, str):
        return address.replace("\0", "@", 1)
    if not isinstance(address, tuple) or len(address) < 2:
        return ""
    host, port = str(address[0]).removeprefix("::ffff:"), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
