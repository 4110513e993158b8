"""What blocking and asyncio connections share, independent of how bytes move.

Exceptions, request IDs, and unclaimed messages. No I/O, no clock, no locks: each side
brings its own.
"""

from __future__ import annotations

from .errors import ConnectionClosed, cut_or_ended, same_error
from .inbox import Inbox
from .requests import REQUEST_IDS, Requests
from .routing import MAX_UNCLAIMED, MAX_UNCLAIMED_SIZE, Routing
from .seconds import check_timeout, duration_of, serving_times, timeout_of
from .settings import Settings

__all__ = [
    "MAX_UNCLAIMED",
    "MAX_UNCLAIMED_SIZE",
    "REQUEST_IDS",
    "ConnectionClosed",
    "Inbox",
    "Requests",
    "Routing",
    "Settings",
    "check_timeout",
    "cut_or_ended",
    "duration_of",
    "same_error",
    "serving_times",
    "timeout_of",
]
