"""Byte streams, and the classes ``IPC``, ``TCP``, ``TLS``, ``Pipe`` and ``Loopback`` over them."""

from __future__ import annotations

from .ipc import IPC
from .loopback import Delivery, Loopback, loopback_pair
from .message_stream import PeekResult
from .pipe import Pipe
from .tcp import TCP
from .tls import TLS

__all__ = ["IPC", "TCP", "TLS", "Delivery", "Loopback", "PeekResult", "Pipe", "loopback_pair"]
