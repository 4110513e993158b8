"""What blocking and asyncio connections share, independent of how bytes move.

Arguments, exceptions, and the ``Exchange``: who gets which message. No I/O, no clock, no locks:
each side brings its own.
"""

from __future__ import annotations

from .arguments import (
    Settings,
    check_callable,
    check_timeout,
    connection_limit,
    duration_of,
    serving_times,
    timeout_of,
)
from .errors import ConnectionClosed, cut_or_ended, explained, same_error
from .exchange import MAX_UNCLAIMED, MAX_UNCLAIMED_SIZE, Exchange
from .requests import REQUEST_IDS, Requests

__all__ = [
    "MAX_UNCLAIMED",
    "MAX_UNCLAIMED_SIZE",
    "REQUEST_IDS",
    "ConnectionClosed",
    "Exchange",
    "Requests",
    "Settings",
    "check_callable",
    "check_timeout",
    "connection_limit",
    "cut_or_ended",
    "duration_of",
    "explained",
    "same_error",
    "serving_times",
    "timeout_of",
]
