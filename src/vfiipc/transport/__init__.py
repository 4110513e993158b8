"""Byte streams, and the classes ``IPC``, ``TCP``, ``TLS``, ``Pipe`` and ``Loopback`` over them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .ipc import IPC
from .message_stream import PeekResult
from .pipe import Pipe
from .tcp import TCP

__all__ = ["IPC", "TCP", "TLS", "Delivery", "Loopback", "PeekResult", "Pipe", "loopback_pair"]

# What most programs do without is imported when it is used first: `ssl` alone takes as long as all
# the rest.
if TYPE_CHECKING:
    from .loopback import Delivery, Loopback, loopback_pair
    from .tls import TLS
else:
    _LATER = {
        "Delivery": ".loopback",
        "Loopback": ".loopback",
        "TLS": ".tls",
        "loopback_pair": ".loopback",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LATER[name], __name__), name)
