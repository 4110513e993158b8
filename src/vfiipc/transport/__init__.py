"""Byte streams, and the classes ``IPC``, ``TCP``, ``TLS``, ``Pipe`` and ``Loopback`` over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names as _lazy_names
from .ipc import IPC
from .message_stream import PeekResult
from .pipe import Pipe
from .tcp import TCP

__all__ = ["IPC", "TCP", "TLS", "Delivery", "Loopback", "PeekResult", "Pipe", "loopback_pair"]

# Imported at first use: `ssl` alone takes as long as everything else.
if TYPE_CHECKING:
    from .loopback import Delivery, Loopback, loopback_pair
    from .tls import TLS
else:
    _LAZY = {
        "Delivery": ".loopback",
        "Loopback": ".loopback",
        "TLS": ".tls",
        "loopback_pair": ".loopback",
    }
    __getattr__, __dir__ = _lazy_names(__name__, _LAZY)
