"""Sleeping until something changes, without a lock that an exception can leave taken."""

from __future__ import annotations

from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import Final

__all__ = ["Waiters", "new_bell", "ring"]

# Seconds after which a sleeper looks by itself, at first and at most: whoever should have woken it
# may have been stopped by a signal between the change and the wake-up.
_FIRST_LOOK: Final = 0.01
_LAST_LOOK: Final = 0.25


class Waiters:
    """Threads that sleep until something changes. Thread safe; no call holds a lock.

    Whoever changes something does that first and calls ``wake`` then.
    """

    __slots__ = ("bells",)

    def __init__(self) -> None:
        #: Each sleeper's lock, which is taken while it sleeps, in the order of their arrival.
        self.bells: dict[LockType, None] = {}

    def wait(
        self,
        until: Callable[[], object],
        timeout: float | None = None,
        bell: LockType | None = None,
    ) -> None:
        """Sleeps until it is woken, ``until()`` is true, or the time is up.

        Args:
            until: what it waits for.
            timeout: seconds; None is for ever.
            bell: a lock of the caller's, which is taken; ``ring`` wakes this sleeper alone.
        """
        pause = _FIRST_LOOK
        left = timeout
        bell = bell or new_bell()
        self.bells[bell] = None  # first in sight of who wakes, then the look: none is missed
        try:
            while not until():
                if left is not None:
                    pause = min(pause, left)
                    left -= pause
                if pause <= 0 or bell.acquire(True, pause):
                    return
                pause = min(2 * pause, _LAST_LOOK)
        finally:
            self.bells.pop(bell, None)

    def wake(self) -> None:
        """Wakes all that sleep."""
        for bell in list(self.bells):
            ring(bell)

    def wake_first(self) -> None:
        """Wakes the one that has slept longest."""
        for bell in list(self.bells):
            if ring(bell):
                return


def new_bell() -> LockType:
    """A lock that one sleeper waits for; it is taken until somebody rings."""
    bell = allocate_lock()
    bell.acquire()
    return bell


def ring(bell: LockType) -> bool:
    """Wakes the sleeper; False when it was rung before and has not woken yet."""
    try:
        bell.release()
    except RuntimeError:  # it was rung before
        return False
    return True
