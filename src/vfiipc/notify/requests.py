"""Unicasts that other servers have been asked to deliver, until they reply."""

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
    """By the subjects of the replies."""

    def __init__(self) -> None:
        self._waiting: dict[str, Forward] = {}
        self._deadlines: deque[tuple[float, str]] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, reply: str, forward: Forward, now: float) -> None:
        """A server has been asked."""
        self._waiting[reply] = forward
        self._deadlines.append((now + REPLY_TIMEOUT, reply))
        self._size += len(forward.unicast.notify.parameter)

    def pop(self, reply: str) -> Forward | None:
        """A server has replied; None if it was not asked, or has replied before, or too late."""
        forward = self._waiting.pop(reply, None)
        if forward is not None:
            self._size -= len(forward.unicast.notify.parameter)
        return forward

    def excuse(self, seconds: float) -> None:
        """This server could not listen for some time; replies may have arrived."""
        self._deadlines = deque((at + seconds, reply) for at, reply in self._deadlines)

    def overdue(self, now: float) -> Iterator[Forward]:
        """Removes those without a reply in time, and the oldest if there are too many."""
        deadlines = self._deadlines
        while deadlines and (
            deadlines[0][0] <= now
            or len(self._waiting) > REMEMBERED
            or self._size > REMEMBERED_SIZE
        ):
            forward = self.pop(deadlines.popleft()[1])
            if forward is not None:
                yield forward
