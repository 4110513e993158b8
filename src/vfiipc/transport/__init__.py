"""Byte streams, and the classes ``IPC`` and ``TCP`` over them."""

from __future__ import annotations

from .ipc import IPC
from .peek import PeekResult
from .tcp import TCP

__all__ = ["IPC", "TCP", "PeekResult"]
