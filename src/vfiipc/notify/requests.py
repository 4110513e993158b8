"""Unicasts that other servers were asked to deliver, until they reply."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from .actions import Forward
from .remembered import REMEMBERED, REMEMBERED_SIZE

__all__ = ["REPLY_TIMEOUT", "UnicastRequests"]

#: Seconds after which the outcome counts as unknown (NFY-G13).
REPLY_TIMEOUT: Final = 2.0


class UnicastRequests:
    """Pending unicasts, by the subject of the reply."""

    def __init__(self) -> None:
        self._waiting: dict[str, Forward] = {}
        self._deadlines: deque[tuple[float, str]] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, reply: str, forward: Forward, now: float) -> None:
        """Adds a pending unicast."""
        self._waiting[reply] = forward
        self._deadlines.append((now + REPLY_TIMEOUT, reply))
        self._size += len(forward.unicast.notify.parameter)

    def pop(self, reply: str) -> Forward | None:
        """Removes and returns a pending unicast; None if the reply is unknown or late."""
        forward = self._waiting.pop(reply, None)
        if forward is not None:
            self._size -= len(forward.unicast.notify.parameter)
        return forward

    def excuse(self, seconds: float) -> None:
        """Extends all deadlines, because this server could not receive for some time."""
        self._deadlines = deque((at + seconds, reply) for at, reply in self._deadlines)

    def overdue(self, now: float) -> Iterator[Forward]:
        """Removes and yields the overdue unicasts, and the oldest if there are too many."""
        deadlines = self._deadlines
        while deadlines and (
            deadlines[0][0] <= now
            or len(self._waiting) > REMEMBERED
            or self._size > REMEMBERED_SIZE
        ):
            forward = self.pop(deadlines.popleft()[1])
            if forward is not None:
                yield forward
