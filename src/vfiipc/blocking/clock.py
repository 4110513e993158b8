"""Python's time-outs, in seconds, as the time limits of the transports."""

from __future__ import annotations

import math

from ..exchange import timeout_of
from ..transport.deadline import FOREVER, Deadline

__all__ = ["deadline_of", "msec"]


def deadline_of(timeout: float | None) -> Deadline:
    """The moment at which so many seconds are over; None: never.

    Raises:
        TypeError, ValueError: ``timeout`` is no number, or negative.
    """
    seconds = timeout_of(timeout)
    return FOREVER if seconds is None else Deadline(seconds * 1000)


def msec(seconds: float | None) -> int:
    """Whole milliseconds, as ``IPC`` has them; -1 without end."""
    return -1 if seconds is None else math.ceil(seconds * 1000)
