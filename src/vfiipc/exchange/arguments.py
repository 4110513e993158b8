"""Arguments that blocking and asyncio connections share, and their checks."""

from __future__ import annotations

from typing import Any, Final

from ..codec import Framer, check_integer
from .exchange import Exchange

__all__ = [
    "Settings",
    "check_callable",
    "check_timeout",
    "connection_limit",
    "duration_of",
    "serving_times",
    "timeout_of",
]

# 23 days. Anything longer waits forever: system calls count milliseconds in a C int.
_LONGEST: Final = 2_000_000.0


class Settings:
    """The keywords that ``connect`` and ``serve`` share; validated on creation.

    Raises:
        TypeError, ValueError: a value is of the wrong type, or out of range.
    """

    def __init__(
        self,
        prefix: int,
        size_limit: int,
        strict: bool,
        request_ids: range,
        max_unclaimed: int,
        max_unclaimed_size: int,
    ) -> None:
        self.prefix = prefix
        self.size_limit = size_limit
        self.strict = strict
        self.request_ids = request_ids
        self.max_unclaimed = max_unclaimed
        self.max_unclaimed_size = max_unclaimed_size
        self.framer()
        self.exchange()

    def framer(self) -> Framer:
        """A framer for a new connection."""
        return Framer(self.prefix, self.size_limit, strict=self.strict)

    def exchange(self) -> Exchange[Any]:
        """Requests and unclaimed messages for a new connection."""
        return Exchange(self.request_ids, self.max_unclaimed, self.max_unclaimed_size)


def connection_limit(max_connections: int) -> int:
    """How many connections a server may have at once, as an ``int`` (CON-S3).

    Raises:
        TypeError, ValueError: it is not an integer, or less than 1.
    """
    return check_integer("max_connections", max_connections, 1)


def check_callable(handler: object) -> None:
    """Checks the handler of a server.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(handler):
        raise TypeError(f"handler must be callable, not {type(handler).__name__}")


def check_timeout(timeout: float | None, name: str = "timeout") -> float | None:
    """The time-out, validated: seconds, 0 or more; None waits forever.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative, or NaN.
    """
    if timeout is not None:
        _check_seconds(timeout, name, " or None", ", or None to wait forever")
    return timeout


def _check_seconds(seconds: float, name: str, or_none: str = "", or_forever: str = "") -> None:
    try:
        acceptable = seconds >= 0  # which is False for NaN
    except TypeError:
        kind = type(seconds).__name__
        raise TypeError(f"{name} must be a number of seconds{or_none}, not {kind}") from None
    if not acceptable:
        value = seconds if seconds > -_LONGEST or seconds != seconds else "far below 0"
        raise ValueError(f"{name} is {value}, but must be 0 or more seconds{or_forever}")


def timeout_of(timeout: float | None, name: str = "timeout") -> float | None:
    """The time-out as a float; None, and 2,000,000 seconds or more, wait forever.

    Raises:
        TypeError, ValueError: it is not a time-out, see ``check_timeout``.
    """
    timeout = check_timeout(timeout, name)
    # The comparison comes first: an int may be too large for a float.
    return None if timeout is None or timeout >= _LONGEST else float(timeout)


def duration_of(seconds: float, name: str) -> float:
    """A finite time in seconds: 0 or more, capped at 2,000,000.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative, or NaN.
    """
    _check_seconds(seconds, name)
    return float(min(seconds, _LONGEST))


def serving_times(idle_timeout: float | None, grace: float) -> tuple[float | None, float]:
    """The times of ``serve``, validated: an idle time-out above 0 or None, and the grace period.

    Raises:
        TypeError, ValueError: one of them is invalid.
    """
    idle_timeout = timeout_of(idle_timeout, "idle_timeout")
    if idle_timeout == 0:
        raise ValueError("idle_timeout is 0, but must be above 0 seconds, or None for no limit")
    return idle_timeout, duration_of(grace, "grace")
