"""Turns, and sleeping until something changes. An exception leaves nothing taken."""

from __future__ import annotations

import os
import threading
from _thread import LockType, allocate_lock
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Final

from .calls import is_below, is_running

if TYPE_CHECKING:
    from .deadline import Deadline

__all__ = ["Turn", "Waiters", "new_bell", "ring"]

# Seconds after which a sleeper checks by itself, at first and at most: a signal may have stopped
# the thread that should wake it between the change and the wake-up.
_FIRST_LOOK: Final = 0.01
_LAST_LOOK: Final = 0.25

# Guards the moment in which a lost turn changes hands. Re-entrant, for a signal handler may come
# here while its own thread is inside; and replaced in a forked child (IPC-H4).
_takeover = threading.RLock()


def _renew_lock() -> None:
    global _takeover
    _takeover = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


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
            timeout: seconds; None is for ever.
            bell: a lock that the caller has acquired; ``ring`` wakes this sleeper alone.
        """
        pause = _FIRST_LOOK
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
                pause = min(2 * pause, _LAST_LOOK)
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


class Turn:
    """The right to read, or to write, which one call has at a time (IPC-H1).

    A call takes it with ``holders.setdefault(0, frame) is frame``, or else with ``wait``, where
    ``frame`` is the call's own. A single C call both takes the turn and records the holder, so a
    taken turn always has a known holder. A turn whose holder has ended without ``give`` is taken
    over (IPC-H6).
    """

    __slots__ = ("holders", "waiters")

    def __init__(self) -> None:
        self.holders: dict[int, FrameType] = {}
        #: The calls that wait for it.
        self.waiters = Waiters()

    def wait(
        self,
        frame: FrameType,
        deadline: Deadline,
        over: Callable[[], bool],
        bell: LockType | None = None,
    ) -> bool:
        """Waits for the turn and takes it; False if the time is up first.

        A call that a signal handler makes inside the holder's call never gets it: it would
        deadlock.

        Args:
            frame: of the call that will ``give`` it.
            deadline: until when to wait.
            over: whether waiting has become pointless. The thread that makes it true wakes
                ``waiters``, or rings the bell.
            bell: see ``Waiters.wait``.
        """
        holders = self.holders
        while True:
            holder = holders.setdefault(0, frame)
            if holder is frame or self._inherit(holder, frame):
                return True
            if holders.get(0) is not holder:
                continue  # given back meanwhile
            left = deadline.remaining()
            if left == 0.0 or over() or is_below(holder, frame):  # IPC-T2, IPC-Z1, IPC-H7
                return False
            self.waiters.wait(partial(self._is_free_of, holder, over), _sooner(left), bell)

    def _is_free_of(self, holder: FrameType, over: Callable[[], bool]) -> bool:
        return self.holders.get(0) is not holder or over()

    def _inherit(self, holder: FrameType, frame: FrameType) -> bool:
        """Takes the turn over from a holder that has ended; False if it is still running."""
        if is_running(holder):
            return False
        with _takeover:
            if self.holders.get(0) is not holder:
                return False
            self.holders[0] = frame
        return True

    def give(self, frame: FrameType) -> None:
        """Gives the turn back, and wakes the next."""
        if self.holders.get(0) is frame:
            del self.holders[0]
            if self.waiters.bells:
                self.waiters.wake_first()


def _sooner(left: float | None) -> float:
    return _LAST_LOOK if left is None else min(left, _LAST_LOOK)
