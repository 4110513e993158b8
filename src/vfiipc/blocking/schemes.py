"""Maps the scheme of an address to an IPC object, and makes it connect or listen."""

from __future__ import annotations

import sys
from typing import Any, TypeAlias, TypeGuard

from .. import transport
from ..transport import TCP, Pipe
from ..transport.addresses import Address

__all__ = ["SchemeIPC", "connect_to", "is_tls", "listen_at", "object_for"]

SchemeIPC: TypeAlias = "transport.TCP | transport.TLS | transport.Pipe"


def object_for(scheme: str, tls: transport.TLS | None = None) -> SchemeIPC:
    """An object for addresses with this scheme; ``tls``, if given, for ``tls://``."""
    if scheme == "pipe":
        return Pipe()
    if scheme == "tcp":
        return TCP()
    if tls is not None:
        return tls
    return transport.TLS()


def is_tls(ipc: object) -> TypeGuard[transport.TLS]:
    """Whether it is a ``TLS``: nothing is one before its module was imported."""
    # Another thread may be importing it: then it has no such name yet.
    tls: Any = getattr(sys.modules.get("vfiipc.transport.tls"), "TLS", ())
    return isinstance(ipc, tls)


def connect_to(ipc: SchemeIPC, target: Address, timeout_msec: float) -> bool:
    """Connects; returns False on failure, with the reason in ``last_error``."""
    if isinstance(ipc, Pipe):
        return ipc.connect(target.path, timeout_msec)
    return ipc.connect(target.host, target.port, timeout_msec)


def listen_at(ipc: SchemeIPC, target: Address) -> bool:
    """Listens; returns False on failure, with the reason in ``last_error``."""
    if isinstance(ipc, Pipe):
        return ipc.listen(target.path)
    return ipc.listen(target.port, target.host or None)
