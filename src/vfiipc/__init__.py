"""ADK IPC in Python: the framed-message protocol between payment terminals and applications."""

from __future__ import annotations

from ._version import __version__
from .blocking import Connection, Server, connect, serve
from .codec import Message
from .exchange import ConnectionClosed
from .transport import IPC, TCP, TLS, Delivery, Loopback, PeekResult, Pipe, loopback_pair

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
