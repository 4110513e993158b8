"""Time-outs as everywhere in Python: seconds, or None."""

from __future__ import annotations

import math

__all__ = ["check_serving_times", "check_timeout"]


def check_timeout(timeout: float | None, name: str = "timeout") -> float | None:
    """The time-out, if it can be one: seconds, 0 or more; None waits for ever.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, or not a number (NaN).
    """
    if timeout is None:
        return None
    try:
        acceptable = timeout >= 0 and not math.isnan(timeout)
    except TypeError:
        kind = type(timeout).__name__
        raise TypeError(f"{name} must be a number of seconds or None, not {kind}") from None
    if not acceptable:
        allowed = "0 or more seconds, or None to wait for ever"
        raise ValueError(f"{name} is {timeout}, but must be {allowed}")
    return timeout


def check_serving_times(idle_timeout: float | None, grace: float) -> None:
    """What ``serve`` takes: an idle time-out of more than nothing, if any, and a time of grace.

    Raises:
        TypeError, ValueError: one of them is no such time.
    """
    if check_timeout(idle_timeout, "idle_timeout") == 0:
        raise ValueError("idle_timeout is 0, but must be more, or None")
    if check_timeout(grace, "grace") is None:
        raise TypeError("grace must be a number of seconds, not None")
