"""Sleeping until something changes, without a lock that an exception can leave taken."""

from __future__ import annotations

from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import Final

__all__ = ["Waiters", "new_bell", "ring"]

# Seconds after which a sleeper checks by itself, at first and at most: a signal may have stopped
# the thread that should wake it between the change and the wake-up.
_FIRST_CHECK: Final = 0.01
_LAST_CHECK: Final = 0.25


class Waiters:
    """Threads that sleep until something changes. Thread safe; no call holds a lock.

    A thread makes its change first, and then calls ``wake``.
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
        """Sleeps until woken, until ``until()`` is true, or until the time is up.

        Args:
            until: the condition it waits for.
            timeout: seconds; None is forever.
            bell: a lock that the caller has acquired; ``ring`` wakes this sleeper alone.
        """
        pause = _FIRST_CHECK
        left = timeout
        bell = bell or new_bell()
        self.bells[bell] = None  # registered before the check, so no wake-up is missed
        try:
            while not until():
                if left is not None:
                    pause = min(pause, left)
                    left -= pause
                if pause <= 0 or bell.acquire(True, pause):
                    return
                pause = min(2 * pause, _LAST_CHECK)
        finally:
            self.bells.pop(bell, None)

    def wake(self) -> None:
        """Wakes all sleepers."""
        for bell in list(self.bells):
            ring(bell)

    def wake_first(self) -> None:
        """Wakes the sleeper that came first."""
        for bell in list(self.bells):
            if ring(bell):
                return


def new_bell() -> LockType:
    """A lock that one sleeper waits for; it stays acquired until ``ring``."""
    bell = allocate_lock()
    bell.acquire()
    return bell


def ring(bell: LockType) -> bool:
    """Wakes the sleeper; False if it was rung before and has not woken yet."""
    try:
        bell.release()
    except RuntimeError:  # it was rung before
        return False
    return True
