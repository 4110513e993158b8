"""Maps the scheme of an address to an IPC object, and makes it connect or listen."""

from __future__ import annotations

from typing import TypeAlias

from ..transport.addresses import Address
from ..transport.pipe import Pipe
from ..transport.tcp import TCP
from ..transport.tls import TLS

__all__ = ["SchemeIPC", "connect_to", "listen_at", "object_for"]

SchemeIPC: TypeAlias = "TCP | TLS | Pipe"


def object_for(scheme: str, tls: TLS | None = None) -> SchemeIPC:
    """An object for addresses with this scheme; ``tls``, if given, for ``tls://``."""
    if scheme == "pipe":
        return Pipe()
    if scheme == "tcp":
        return TCP()
    return TLS() if tls is None else tls


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
