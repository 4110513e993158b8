"""Connecting: ``with connect(...) as connection``."""

from __future__ import annotations

import math

from .. import transport
from ..exchange import (
    MAX_UNCLAIMED,
    MAX_UNCLAIMED_SIZE,
    REQUEST_IDS,
    Settings,
    explained,
    timeout_of,
)
from ..transport.addresses import Address, parse
from .connection import Connection
from .schemes import connect_to, is_tls, object_for

__all__ = ["check_tls", "connect"]


def connect(
    address: str,
    *,
    prefix: int,
    size_limit: int,
    timeout: float | None = None,
    tls: transport.TLS | None = None,
    strict: bool = False,
    request_ids: range = REQUEST_IDS,
    max_unclaimed: int = MAX_UNCLAIMED,
    max_unclaimed_size: int = MAX_UNCLAIMED_SIZE,
) -> Connection:
    """Connects.

    Args:
        address: ``tcp://host:port``, ``tls://host:port``, ``pipe:///path``, or ``host:port``.
        prefix: the synchronisation mark of both ends, 0..2**32-1.
        size_limit: maximum data size of a received message, in bytes, 0..2**31-5.
        timeout: seconds for connecting, including the TLS handshake; None sets no limit.
        tls: for ``tls://``: a ``TLS`` object that is not open, with the certificates it needs; the
            connection owns it. By default, one that trusts the system's authorities.
        strict: end the connection at the first byte that does not belong to a message.
        request_ids: the message IDs that ``request`` uses, an ascending range.
        max_unclaimed: messages that may wait to be received before reading stops, 1 or more.
        max_unclaimed_size: bytes of data in them before reading stops, 1 or more.

    Raises:
        TypeError, ValueError: an argument is invalid.
        TimeoutError: no connection in time.
        OSError: no connection; the text names the address.

    Rules: ``spec/connections.md``.
    """
    target = parse(address)
    settings = Settings(prefix, size_limit, strict, request_ids, max_unclaimed, max_unclaimed_size)
    seconds = timeout_of(timeout)
    check_tls(target, tls)
    ipc = object_for(target.scheme, tls)
    if tls is None and is_tls(ipc):
        ipc.addDefaultCA()  # CON-T1
    try:
        if not connect_to(ipc, target, -1 if seconds is None else math.ceil(seconds * 1000)):
            raise explained(ipc.last_error, f"not connected to {target}")
        return Connection(ipc, **vars(settings))
    except BaseException:  # CON-A8
        ipc.close()
        raise


def check_tls(target: Address | None, tls: transport.TLS | None) -> None:
    """Checks that ``tls`` fits the address (CON-T1); None stands for an existing socket.

    Raises:
        TypeError: it is not a ``TLS``.
        ValueError: the scheme of the address is not ``tls://``.
    """
    if tls is None:
        return
    if not is_tls(tls):
        raise TypeError(f"tls must be a TLS object, not {type(tls).__name__}")
    if target is not None and target.scheme not in ("tls", "fd"):
        raise ValueError(f"tls= is for tls://HOST:PORT, but the address is {target}")
