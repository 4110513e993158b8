"""The TLS transport: its configuration, two engines without I/O, its stream, and ``TLS``."""

from __future__ import annotations

from .ipc import TLS

__all__ = ["TLS"]
