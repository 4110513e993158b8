"""The deadline of a call: computed once, checked as often as needed."""

from __future__ import annotations

import math
import time
from typing import Final

__all__ = ["FOREVER", "LONGEST_MSEC", "Deadline"]

#: Longer than any wait; poll and locks count milliseconds in a C int.
LONGEST_MSEC: Final = 2_000_000_000


class Deadline:
    """A moment on the monotonic clock, or never.

    Args:
        timeout_msec: milliseconds from now on; negative waits forever, 0 does not wait.

    Raises:
        TypeError: ``timeout_msec`` is not a number.
        ValueError: it is NaN.
    """

    __slots__ = ("moment",)

    def __init__(self, timeout_msec: float) -> None:
        if type(timeout_msec) is not int:
            _check(timeout_msec)
        #: By ``time.monotonic``; infinite if it never expires.
        self.moment = math.inf
        if 0 <= timeout_msec < LONGEST_MSEC:
            self.moment = time.monotonic() + timeout_msec / 1000  # IPC-T1

    def remaining(self) -> float | None:
        """Seconds left, 0.0 or more; None if it never expires."""
        left = self.moment - time.monotonic()
        return None if left == math.inf else max(0.0, left)

    def passed(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.moment

    def within(self, seconds: float) -> float:
        """Seconds left, at most ``seconds``."""
        left = self.remaining()
        return seconds if left is None else min(left, seconds)


def _check(timeout_msec: object) -> None:
    if not isinstance(timeout_msec, (int, float)):
        kind = type(timeout_msec).__name__
        raise TypeError(f"a time-out must be a number of milliseconds, not {kind}")
    if math.isnan(timeout_msec):
        raise ValueError("a time-out is nan, but must be a number of milliseconds")


FOREVER: Final = Deadline(-1)
