"""The unicasts that can still be sent back."""

from __future__ import annotations

from collections import deque
from typing import Final

from .actions import Unicast

__all__ = ["REMEMBERED", "REMEMBERED_SIZE", "Remembered"]

#: Unicasts, and bytes of their parameters, that can still be sent back (NFY-B5).
REMEMBERED: Final = 16384
REMEMBERED_SIZE: Final = 16 << 20


class Remembered:
    """Unicasts by their references; the oldest are forgotten when there are too many."""

    def __init__(self) -> None:
        self._unicasts: dict[int, Unicast] = {}
        self._order: deque[Unicast] = deque()
        self._size = 0

    def get(self, reference: int) -> Unicast | None:
        """The unicast with a reference, if it is remembered."""
        return self._unicasts.get(reference)

    def add(self, unicast: Unicast) -> None:
        """A client has got it."""
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
        """It cannot be sent back any more."""
        unicast.holder = 0
        self._unicasts.pop(unicast.notify.reference, None)
