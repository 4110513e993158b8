"""ADK IPC in Python: the framed-message protocol between payment terminals and applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_names as _lazy_names
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

# Imported at first use; CONTRIBUTING.md says why.
if TYPE_CHECKING:
    from .transport import TLS, Delivery, Loopback, loopback_pair
else:
    _LAZY = ("TLS", "Delivery", "Loopback", "loopback_pair")
    __getattr__, __dir__ = _lazy_names(__name__, dict.fromkeys(_LAZY, ".transport"))
