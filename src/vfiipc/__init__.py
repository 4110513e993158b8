"""ADK IPC in Python: the framed-message protocol between payment terminals and applications."""

from __future__ import annotations

from ._version import __version__
from .codec import Message
from .transport import IPC, TCP, TLS, Delivery, Loopback, PeekResult, Pipe, loopback_pair

__all__ = [
    "IPC",
    "TCP",
    "TLS",
    "Delivery",
    "Loopback",
    "Message",
    "PeekResult",
    "Pipe",
    "__version__",
    "loopback_pair",
]
