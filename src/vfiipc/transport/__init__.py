"""Byte streams, and the classes ``IPC``, ``TCP``, ``Pipe`` and ``Loopback`` over them."""

from __future__ import annotations

from .ipc import IPC
from .loopback import Delivery, Loopback, loopback_pair
from .peek import PeekResult
from .pipe import Pipe
from .tcp import TCP

__all__ = ["IPC", "TCP", "Delivery", "Loopback", "PeekResult", "Pipe", "loopback_pair"]
