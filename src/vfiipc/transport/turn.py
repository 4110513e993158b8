"""Turns, which no exception can leave taken."""

from __future__ import annotations

from _thread import LockType
from collections.abc import Callable
from functools import partial
from types import FrameType

from . import system
from .deadline import Deadline
from .lifetime import Lifetime
from .running_calls import is_below, is_running
from .waiters import Waiters

__all__ = ["Turn"]


class Turn(Waiters):
    """The right to read, or to write, which one call has at a time (IPC-H1).

    A call takes it with ``holders.setdefault(0, frame) is frame``, or else with ``take``, where
    ``frame`` is its own. One C call both takes the turn and records the holder, so the holder is
    always known. If it has ended without ``give``, the turn is taken over (IPC-H6).

    The holder counts as a running call of the lifetime. It checks whether the lifetime has ended
    before it uses anything.
    """

    __slots__ = ("_lifetime", "holders")

    def __init__(self, lifetime: Lifetime) -> None:
        super().__init__()  # the calls that wait for it
        self.holders: dict[int, FrameType] = {}
        self._lifetime = lifetime
        lifetime.holders.append(self.holders)
        lifetime.waiters.append(self)

    def take(
        self,
        frame: FrameType,
        deadline: Deadline,
        over: Callable[[], bool] | None = None,
        bell: LockType | None = None,
    ) -> bool:
        """Waits for the turn and takes it; False if the time is up first (IPC-T2).

        It does not wait once the lifetime has ended (IPC-Z1). Nor does a call that a signal handler
        makes inside the holder's call: it would deadlock (IPC-H7).

        Args:
            frame: of the call that will ``give`` it.
            deadline: until when to wait.
            over: whether waiting is pointless. The thread that makes it true rings.
            bell: see ``Waiters.wait``.
        """
        holders = self.holders
        while True:
            holder = holders.setdefault(0, frame)
            if holder is frame or self._take_over(holder, frame):
                return True
            if holders.get(0) is not holder:
                continue  # given back meanwhile
            left = deadline.remaining()
            if left == 0.0 or self._is_over(over) or is_below(holder, frame):
                return False
            self.wait(partial(self._is_free_of, holder, over), left, bell)

    def _is_over(self, over: Callable[[], bool] | None) -> bool:
        return self._lifetime.ended or (over is not None and over())

    def _is_free_of(self, holder: FrameType, over: Callable[[], bool] | None) -> bool:
        return self.holders.get(0) is not holder or self._is_over(over) or not is_running(holder)

    def _take_over(self, holder: FrameType, frame: FrameType) -> bool:
        """Takes the turn over from a holder that has ended; False if it is still running."""
        if is_running(holder):
            return False
        with system.exchanging:
            if self.holders.get(0) is not holder:
                return False
            self.holders[0] = frame
        return True

    def give(self, frame: FrameType) -> None:
        """Gives the turn back, and wakes the next; the last call of an ended lifetime closes."""
        if self.holders.get(0) is frame:
            del self.holders[0]
        if self.bells:
            self.wake_first()
        if self._lifetime.ended:
            self._lifetime.settle()
