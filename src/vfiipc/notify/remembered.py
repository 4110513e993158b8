"""The delivered unicasts that their receivers can still send back."""

from __future__ import annotations

from collections import deque
from typing import Final

from .actions import Unicast

__all__ = ["REMEMBERED", "REMEMBERED_SIZE", "Remembered"]

#: Maximum number of remembered unicasts, and of bytes in their parameters (NFY-B5).
REMEMBERED: Final = 16384
REMEMBERED_SIZE: Final = 16 << 20


class Remembered:
    """Unicasts by reference. If there are too many, the oldest are dropped."""

    def __init__(self) -> None:
        self._unicasts: dict[int, Unicast] = {}
        self._order: deque[Unicast] = deque()
        self._size = 0

    def get(self, reference: int) -> Unicast | None:
        """The unicast with this reference; None if it is not remembered."""
        return self._unicasts.get(reference)

    def add(self, unicast: Unicast) -> None:
        """Remembers a unicast that was delivered."""
        if unicast.notify.reference in self._unicasts:
            return
        self._unicasts[unicast.notify.reference] = unicast
        self._order.append(unicast)
        self._size += len(unicast.notify.parameter)
        while len(self._order) > REMEMBERED or self._size > REMEMBERED_SIZE:
            oldest = self._order.popleft()
            self._size -= len(oldest.notify.parameter)
            self._unicasts.pop(oldest.notify.reference, None)

    def forget(self, unicast: Unicast) -> None:
        """Drops a unicast, so that it can no longer be sent back."""
        unicast.holder = 0
        self._unicasts.pop(unicast.notify.reference, None)
