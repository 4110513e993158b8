"""``TLS``: the original's transport over TLS 1.2 and 1.3."""

from __future__ import annotations

from .ipc import TLS

__all__ = ["TLS"]
