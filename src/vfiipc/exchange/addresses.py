"""Addresses as text: ``tcp://host:port``, ``tls://host:port``, ``pipe:///path``, ``host:port``.

Rules: ``spec/connections.md``, section 1.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["Address", "parse", "where_to_listen"]

_HIGHEST_PORT: Final = 65535
_FORMS: Final = "use tcp://HOST:PORT, tls://HOST:PORT, pipe:///PATH or HOST:PORT"
_HOST_AND_PORT: Final = re.compile(r"(?:\[([^][/\s]*)\]|([^][/\s]*)):(\d+)", re.ASCII)
_WRONG_PORT: Final = re.compile(r"(?:\[[^][/\s]*\]|[^][:/\s]*):([^][:/\s]+)")
# Wildcard addresses, on which a server listens, and an address to connect to it.
_REACHABLE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_DESCRIPTOR: Final = re.compile(r"\d{1,9}", re.ASCII)


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
        raise ValueError(f"{text!r} is not an address: {_FORMS}")
    host, port = _host_and_port(text, rest if found else text)
    if not host and not listening:
        raise ValueError(f"{text!r} has no host: {_FORMS}")
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
        raise ValueError(f"{text!r}: fd:// takes the number of a descriptor, as in fd://3")
    return int(rest)


def _path(text: str, rest: str) -> str:
    if "\0" in rest:
        raise ValueError(f"{text!r}: a path holds no NUL; a name outside files is pipe://@NAME")
    if rest.startswith("@") and len(rest) > 1:
        return "\0" + rest[1:]
    if not rest.startswith("/") or len(rest) == 1:  # CON-A4
        raise ValueError(f"{text!r}: a pipe has an absolute path, as in pipe:///run/name")
    return rest


def _fault(rest: str) -> str:
    """Describes what is wrong with text that is not a host and a port."""
    if wrong := _WRONG_PORT.fullmatch(rest):
        return f"is not an address, for {wrong[1]!r} is not a port"
    return "has no port" if rest and not re.search(r":$|[/\s]", rest) else "is not an address"


def _host_and_port(text: str, rest: str) -> tuple[str, int]:
    match = _HOST_AND_PORT.fullmatch(rest)
    if match is None:
        raise ValueError(f"{text!r} {_fault(rest)}: {_FORMS}")
    bracketed, plain, port = match.groups()
    if plain and ":" in plain:  # CON-A2
        raise ValueError(f"{text!r}: an IPv6 address goes into brackets, as in [::1]:5500")
    return bracketed or plain or "", int(port[:6])
