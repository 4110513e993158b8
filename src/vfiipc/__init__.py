"""ADK IPC in Python: the framed-message protocol between payment terminals and applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import transport as _transport
from ._version import __version__
from .blocking import Connection, Server, connect, serve
from .codec import Message
from .exchange import ConnectionClosed
from .transport import IPC, TCP, PeekResult, Pipe

__all__ = [
    "IPC",
    "TCP",
    "TLS",
    "Connection",
    "ConnectionClosed",
    "Delivery",
    "Loopback",
    "Message",
    "PeekResult",
    "Pipe",
    "Server",
    "__version__",
    "connect",
    "loopback_pair",
    "serve",
]

# `transport` imports these when they are used first.
if TYPE_CHECKING:
    from .transport import TLS, Delivery, Loopback, loopback_pair
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(_transport, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
