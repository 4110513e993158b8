"""Pythonic connections for threads: exceptions, seconds, iteration.

The same API as ``vfiipc.aio``, over any connected ``IPC`` object. Rules:
``spec/connections.md``.
"""

from __future__ import annotations

from .connect import connect
from .connection import Connection
from .server import Server, serve

__all__ = ["Connection", "Server", "connect", "serve"]
