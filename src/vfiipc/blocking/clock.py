"""Converts Python's time-outs, in seconds, for the transports."""

from __future__ import annotations

import math

from ..exchange import timeout_of
from ..transport.deadline import FOREVER, Deadline

__all__ = ["deadline_of", "msec"]


def deadline_of(timeout: float | None) -> Deadline:
    """The deadline for a time-out in seconds; None never expires.

    Raises:
        TypeError, ValueError: ``timeout`` is not a number, or negative.
    """
    seconds = timeout_of(timeout)
    return FOREVER if seconds is None else Deadline(seconds * 1000)


def msec(seconds: float | None) -> int:
    """Whole milliseconds, as ``IPC`` takes them; -1 for no limit."""
    return -1 if seconds is None else math.ceil(seconds * 1000)
