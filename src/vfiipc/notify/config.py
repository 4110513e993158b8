"""Reads the configuration file, and finds the addresses of the interfaces to listen on.

This module does the I/O; ``allow`` parses the text and judges notifications.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Final

from ..transport.addresses import Address
from .allow import AllowList, ConfigError, ResultCode, parse_allow_list
from .messages import PORT

__all__ = ["listening_addresses", "read_allow_list"]

_LOOPBACK: Final = "127.0.0.1"
_INET6: Final = Path("/proc/net/if_inet6")
_LINK_LOCAL: Final = "20"  # the scope of addresses that need an interface beside them


def read_allow_list(path: str | os.PathLike[str]) -> AllowList | None:
    """The allow list in a file; None if all of its lines are ignored (NFY-A2).

    Args:
        path: the file, in UTF-8.

    Raises:
        ConfigError: the file cannot be read, or has a wrong line (NFY-A9).
    """
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        text = f"cannot read {name}: {error.strerror or error}"
        raise ConfigError(text, ResultCode.NOTIFY_ERR_CONFIG_FILE) from None
    try:
        return parse_allow_list(data.decode(), name)
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        text = f"{name}, line {line}: not UTF-8"
        raise ConfigError(text, ResultCode.NOTIFY_ERR_CONFIG_SYNTAX, line) from None


def listening_addresses(allow: AllowList | None, port: int = PORT) -> list[str]:
    """Where the server listens for remote clients (NFY-A2, NFY-A8).

    Raises:
        OSError: an interface does not exist, or has no address.
    """
    if allow is not None and not allow.interfaces:
        return [str(Address("tcp", port=port))]
    found = [_LOOPBACK]
    for interface in allow.interfaces if allow is not None else ():
        found += _addresses_of(interface)
    return [str(Address("tcp", host, port)) for host in dict.fromkeys(found)]


def _addresses_of(interface: str) -> list[str]:
    try:
        return [str(ipaddress.ip_address(interface.strip("[]")))]
    except ValueError:
        pass
    names = [name for _, name in socket.if_nameindex()]
    if interface not in names:
        text = f"no interface is called {interface!r}; there are {', '.join(names)}"
        raise OSError(errno.ENODEV, text)
    found = [*_ipv4_of(interface), *_ipv6_of(interface)]
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, f"the interface {interface!r} has no address")
    return found


def _ipv4_of(interface: str) -> list[str]:
    if sys.platform != "linux":
        raise OSError(errno.ENOTSUP, f"name the address of {interface!r} instead: this system")
    import fcntl

    get_address = 0x8915  # SIOCGIFADDR, which takes and fills a struct ifreq
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            filled = fcntl.ioctl(sock, get_address, interface.encode().ljust(40, b"\0"))
        except OSError:
            return []  # it has none
    return [socket.inet_ntoa(filled[20:24])]


def _ipv6_of(interface: str) -> list[str]:
    try:
        lines = _INET6.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [
        str(ipaddress.ip_address(bytes.fromhex(digits)))
        for digits, _, _, scope, _, name in fields
        if name == interface and scope != _LINK_LOCAL
    ]
