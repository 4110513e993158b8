"""Moments at which waiting ends, and what is left until then."""

from __future__ import annotations

import math
import time

from ..exchange import check_timeout

__all__ = ["end_of", "left_msec", "left_seconds"]

# Nothing that blocks takes more than this; what is longer is as good as for ever.
_LONGEST = 1_000_000.0


def end_of(timeout: float | None) -> float | None:
    """The moment on the monotonic clock at which so many seconds are over; None: never.

    Raises:
        TypeError, ValueError: ``timeout`` is no number, or negative.
    """
    if timeout is None:
        return None
    check_timeout(timeout)
    return time.monotonic() + timeout if timeout < _LONGEST else None


def left_seconds(end: float | None) -> float:
    """Seconds until ``end``, 0 at least; -1 where it never comes, as locks have it."""
    return -1 if end is None else max(0.0, end - time.monotonic())


def left_msec(end: float | None) -> int:
    """As ``left_seconds``, in whole milliseconds, as ``IPC`` has it."""
    return -1 if end is None else max(0, math.ceil((end - time.monotonic()) * 1000))
