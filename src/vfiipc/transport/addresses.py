"""Addresses as text: ``ip:port``, ``[ipv6]:port``, ``name:port``."""

from __future__ import annotations

import ipaddress
from operator import index
from typing import Any, Final

__all__ = ["PortError", "address_text", "check_port", "check_text", "is_literal", "split_address"]

_HIGHEST_PORT: Final = 65535


class PortError(ValueError):
    """There is no port, there are two, or it is out of range."""


def check_port(port: int) -> int:
    """The port as an ``int``; ``TypeError`` or ``ValueError`` if it is invalid."""
    try:
        number = index(port)
    except TypeError:
        raise TypeError(f"port must be an int, not {type(port).__name__}") from None
    if not 0 <= number <= _HIGHEST_PORT:
        raise ValueError(f"port is {number}, but must be in 0..{_HIGHEST_PORT}")
    return number


def check_text(name: str, value: object) -> None:
    """Raises ``TypeError`` if ``value`` is not a ``str``."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")


def split_address(hostname: str, port: int) -> tuple[str, int]:
    """Host and port from the arguments of ``connect``.

    Raises:
        PortError: there is no port, there are two, or it is invalid.
        ValueError: there is no host, or it is invalid.
    """
    host, text = _split(hostname)
    if "\0" in host:
        raise ValueError(f"{hostname!r} is not a host name")
    if not host:
        raise ValueError(f"no host in {hostname!r}")
    if text is None:
        if not port:
            raise PortError(f"no port: {hostname!r} has none, and port is 0")
        return host, port
    if port:
        raise PortError(f"two ports: one in {hostname!r}, and port is {port}")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _HIGHEST_PORT):
        raise PortError(f"the port in {hostname!r} must be in 1..{_HIGHEST_PORT}")
    return host, int(text)


def _split(hostname: str) -> tuple[str, str | None]:
    if hostname.startswith("["):
        host, closed, rest = hostname[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"{hostname!r} is not an address: write [IPv6]:port")
        return host, rest[1:] if rest else None
    if hostname.count(":") > 1:
        if not is_literal(hostname):
            raise ValueError(f"{hostname!r} is not an address: write name:port or [IPv6]:port")
        return hostname, None
    host, colon, port = hostname.partition(":")
    return host, port if colon else None


def is_literal(host: str) -> bool:
    """Whether ``host`` is an IP address, which needs no resolver."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def address_text(address: Any) -> str:
    """A socket address as text for ``connect``; IPv4 stays IPv4 on dual-stack sockets."""
    host, port, *more = address
    if ":" not in host:
        return f"{host}:{port}"
    mapped = ipaddress.IPv6Address(host.partition("%")[0]).ipv4_mapped
    if mapped is not None:
        return f"{mapped}:{port}"
    scope = more[1] if len(more) > 1 else 0
    if scope and "%" not in host:
        host = f"{host}%{scope}"
    return f"[{host}]:{port}"
