"""Connections for asyncio: same API as the blocking ones, with ``await`` and ``async with``."""

from __future__ import annotations

from .connect import connect
from .connection import Connection
from .server import Server, serve

__all__ = ["Connection", "Server", "connect", "serve"]
