"""Addresses as text: ``ip:port``, ``[ipv6]:port``, ``name:port``, and with a scheme before it.

``split_address`` reads what the original's ``connect`` takes, ``parse`` what ``vfiipc.connect`` and
``serve`` take (``spec/connections.md``, section 1).
"""

from __future__ import annotations

import re
import socket
from typing import Any, Final, NamedTuple

from ..codec import check_integer

__all__ = [
    "Address",
    "PortError",
    "address_text",
    "check_port",
    "check_text",
    "is_literal",
    "parse",
    "split_address",
    "where_to_listen",
]

_HIGHEST_PORT: Final = 65535
_FORMS: Final = "use tcp://HOST:PORT, tls://HOST:PORT, pipe:///PATH or HOST:PORT"
_HOST_AND_PORT: Final = re.compile(r"(?:\[([^][/\s]*)\]|([^][/\s]*)):(\d+)", re.ASCII)
_WRONG_PORT: Final = re.compile(r"(?:\[[^][/\s]*\]|[^][:/\s]*):([^][:/\s]+)")
# Wildcard addresses, on which a server listens, and an address to connect to it.
_REACHABLE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
# What IPv6 addresses begin with that stand for one of IPv4: 80 bits of 0, 16 bits of 1.
_MAPPED: Final = bytes(10) + b"\xff\xff"
_DESCRIPTOR: Final = re.compile(r"\d{1,9}", re.ASCII)


class PortError(ValueError):
    """There is no port, there are two, or it is out of range."""


def check_port(port: int) -> int:
    """The port as an ``int``; ``TypeError`` or ``ValueError`` if it is invalid."""
    return check_integer("port", port, 0, _HIGHEST_PORT)


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
        raise ValueError(f"invalid host name: {hostname!r}")
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
            raise ValueError(f"invalid address: {hostname!r}; write [IPv6]:port")
        return host, rest[1:] if rest else None
    if hostname.count(":") > 1:
        if not is_literal(hostname):
            raise ValueError(f"invalid address: {hostname!r}; write name:port or [IPv6]:port")
        return hostname, None
    host, colon, port = hostname.partition(":")
    return host, port if colon else None


def is_literal(host: str) -> bool:
    """Whether ``host`` is an IP address, which needs no resolver."""
    address, percent, scope = host.partition("%")
    if percent and (not scope or "%" in scope):
        return False
    return _is_ip(socket.AF_INET6, address) or (not percent and _is_ip(socket.AF_INET, address))


def _is_ip(family: int, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):  # ValueError: a NUL, or a character that is not ASCII
        return False
    return True


def address_text(address: Any) -> str:
    """A socket address as text for ``connect``; IPv4 stays IPv4 on dual-stack sockets."""
    host, port, *more = address
    if ":" not in host:
        return f"{host}:{port}"
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if packed.startswith(_MAPPED):
        return f"{socket.inet_ntop(socket.AF_INET, packed.removeprefix(_MAPPED))}:{port}"
    scope = more[1] if len(more) > 1 else 0
    if scope and "%" not in host:
        host = f"{host}%{scope}"
    return f"[{host}]:{port}"


class Address(NamedTuple):
    """Where to connect, or to listen. ``str()`` returns text that ``parse`` accepts.

    Attributes:
        scheme: ``"tcp"``, ``"tls"``, ``"pipe"``, or ``"fd"``.
        host: a name or an IP address, without brackets; empty for a pipe, and for all interfaces.
        port: 1..65535; 0 to let the system choose when listening, and for a pipe.
        path: of a pipe: absolute, or a NUL and an abstract name (Linux).
        fd: the descriptor of a socket that the process inherited; -1 for any other scheme.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    fd: int = -1

    def __str__(self) -> str:
        if self.scheme == "fd":
            return f"fd://{self.fd}"
        if self.scheme == "pipe":
            return f"pipe://{self.path.replace(chr(0), '@', 1)}"
        return f"{self.scheme}://{self.host_and_port}"

    @property
    def host_and_port(self) -> str:
        """``host:port`` or ``[ipv6]:port``; what ``TCP().connect`` takes."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def reachable(self, port: int) -> Address:
        """The address to connect to, when this one listens and was given ``port`` (CON-A5)."""
        if self.scheme == "pipe":
            return self
        return self._replace(host=_REACHABLE.get(self.host, self.host), port=port)


def parse(text: str, *, listening: bool = False) -> Address:
    """Reads an address (CON-A1).

    Args:
        text: ``tcp://host:port``, ``tls://host:port``, ``pipe:///path``, ``pipe://@name`` (outside
            the file system, Linux), or a bare ``host:port`` for TCP. IPv6 is in brackets.
        listening: allow port 0, to let the system choose; no host, for all interfaces; and
            ``fd://3``, a socket that the process inherited.

    Raises:
        TypeError: ``text`` is not a ``str``.
        ValueError: it is not such an address; the text says what is allowed.
    """
    if not isinstance(text, str):
        raise TypeError(f"an address must be a str, not {type(text).__name__}")
    scheme, found, rest = text.partition("://")
    scheme = scheme.lower() if found else "tcp"
    if scheme == "pipe":
        return Address(scheme, path=_path(text, rest))
    if scheme == "fd":
        return Address(scheme, fd=_descriptor(text, rest, listening=listening))
    if scheme not in ("tcp", "tls"):
        raise ValueError(f"invalid address: {text!r}; {_FORMS}")
    host, port = _host_and_port(text, rest if found else text)
    if not host and not listening:
        raise ValueError(f"no host in {text!r}; {_FORMS}")
    lowest = 0 if listening else 1  # CON-A3
    if not lowest <= port <= _HIGHEST_PORT:
        raise ValueError(f"{text!r}: the port must be in {lowest}..{_HIGHEST_PORT}")
    return Address(scheme, host, port)


def where_to_listen(address: str | None, sock: object) -> Address | None:
    """The address that ``serve`` was given; None for an existing socket (CON-A6).

    Raises:
        TypeError: neither was given, or ``address`` is not a ``str``.
        ValueError: both were given, or ``address`` is not an address.
    """
    if address is None:
        if sock is None:
            raise TypeError("serve needs an address, or sock=")
        return None
    if sock is not None:
        raise ValueError(f"serve takes an address or sock=, not both; the address is {address!r}")
    return parse(address, listening=True)


def _descriptor(text: str, rest: str, *, listening: bool) -> int:
    if not listening:
        raise ValueError(f"{text!r}: only a server can be given a descriptor; {_FORMS}")
    if not _DESCRIPTOR.fullmatch(rest):
        raise ValueError(f"{text!r}: fd:// needs the number of a descriptor, as in fd://3")
    return int(rest)


def _path(text: str, rest: str) -> str:
    if "\0" in rest:
        raise ValueError(f"{text!r}: a path must not contain NUL; an abstract name is pipe://@NAME")
    if rest.startswith("@") and len(rest) > 1:
        return "\0" + rest[1:]
    if not rest.startswith("/") or len(rest) == 1:  # CON-A4
        raise ValueError(f"{text!r}: a pipe needs an absolute path, as in pipe:///run/name")
    return rest


def _host_and_port(text: str, rest: str) -> tuple[str, int]:
    match = _HOST_AND_PORT.fullmatch(rest)
    if match is None:
        raise ValueError(f"{_fault(text, rest)}; {_FORMS}")
    bracketed, plain, port = match.groups()
    if plain and ":" in plain:  # CON-A2
        raise ValueError(f"{text!r}: an IPv6 address must be in brackets, as in [::1]:5500")
    return bracketed or plain or "", int(port[:6])


def _fault(text: str, rest: str) -> str:
    """Describes what is wrong with text that is not a host and a port."""
    if wrong := _WRONG_PORT.fullmatch(rest):
        return f"invalid address: {text!r}; {wrong[1]!r} is not a port"
    without_port = rest and not re.search(r":$|[/\s]", rest)
    return f"no port in {text!r}" if without_port else f"invalid address: {text!r}"
