"""Counts the running calls of one connection, so that ``close`` can wake them before it closes.

``close`` may come from any thread, and from a signal handler that interrupts whatever its thread is
doing. So nothing here takes a lock: each step is one operation of a ``dict`` that the interpreter
does as a whole, and the order of the steps decides. A call records itself first and then looks
whether the connection has ended; ``end`` marks the end first and then looks for calls.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from . import system
from .calls import is_below, is_running
from .turn import Waiters

__all__ = ["Lifetime"]

# Seconds that close() waits for woken calls to leave; they need microseconds.
_PATIENCE: Final = 1.0
# Seconds between two looks for calls that have ended without leaving.
_LOOK: Final = 0.02
# Seconds until a wait that cannot be woken, for want of a descriptor, looks by itself.
_BLIND: Final = 0.02

# Watches to use again, which saves a third of a round trip. A call takes one out while it waits.
_SPARE: Final = 4
_spare: list[system.Watch] = []


def _forget_spare() -> None:
    while _spare:
        _spare.pop()


atexit.register(_forget_spare)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_spare)


class Lifetime:
    """The time from the attempt to open something until its end. Thread safe.

    A call enters with its own frame, works, and leaves. ``end`` lets none in any more, wakes those
    that wait, and has what is owned released when the last call has left.
    """

    __slots__ = (
        "_calls",
        "_closers",
        "_release",
        "_releasing",
        "_watches",
        "broken",
        "ended",
        "turns",
    )

    def __init__(self) -> None:
        #: Whether ``end`` was called.
        self.ended = False
        #: Set before a ``nudge``: nothing is worth waiting for any more.
        self.broken = False
        #: Others that sleep for the sake of this connection, and are woken with it.
        self.turns: list[Waiters] = []
        self._calls: dict[FrameType, None] = {}
        self._watches: dict[system.Watch, None] = {}
        self._closers = Waiters()
        self._release: Callable[[], None] | None = None
        self._releasing: dict[int, FrameType] = {}

    def own(self, release: Callable[[], None]) -> bool:
        """Has ``release`` called at the end, without waiting; at once if that has come already.

        Args:
            release: gives back what was opened. It does not wait, and may be called again.

        Returns:
            Whether it goes on: False means that ``close`` came first.
        """
        self._release = release
        if self.ended:
            self._let_go()
        return not self.ended

    def enter(self, frame: FrameType) -> bool:
        """Counts a call; False when it has ended. Each True needs a ``leave``."""
        self._calls[frame] = None
        if self.ended:
            self.leave(frame)
            return False
        return True

    def leave(self, frame: FrameType) -> None:
        self._calls.pop(frame, None)
        if self.ended and not self._calls:
            self._let_go()

    def end(self) -> None:
        """Ends it (IPC-Z1), and returns when all calls have left, at most a second later (IPC-Z4).

        It does not wait for the calls of its own thread. May be called again, from a signal handler
        as well, and does then whatever an exception has kept it from doing.
        """
        self.ended = True
        self.nudge()
        if self._is_idle():
            self._let_go()
            return
        if any(is_below(frame, sys._getframe()) for frame in list(self._calls)):  # IPC-H7
            return
        limit = time.monotonic() + _PATIENCE
        while self._calls and time.monotonic() < limit:
            self._closers.wait(lambda: not self._calls, _LOOK)
            if self._is_idle():
                self._let_go()

    def nudge(self) -> None:
        """Has all that wait look again."""
        for watch in list(self._watches):
            watch.signal.set()
        for waiters in self.turns:
            waiters.wake()

    def wait(
        self,
        interests: Sequence[tuple[int, int]],
        timeout: float | None,
        unless: Callable[[], bool] | None = None,
    ) -> list[tuple[int, int]]:
        """Waits until a descriptor is ready, the time is up, it has ended or broken, or was nudged.

        It may return early: the caller looks again. Where no descriptor is left to be woken by, it
        returns after 20 ms.

        Args:
            interests: as ``system.wait`` takes them.
            timeout: seconds; None waits for ever.
            unless: tells that there is no reason to wait any more. Whoever makes it true calls
                ``nudge`` afterwards, and is never missed.

        Returns:
            The descriptors that are ready, each with its events.
        """
        try:
            watch = _spare.pop()
        except IndexError:
            try:
                watch = system.Watch()
            except OSError:  # IPC-H8
                return system.wait(interests, _BLIND if timeout is None else min(timeout, _BLIND))
        # First in sight of those who wake, then the look whether they have been.
        self._watches[watch] = None
        ready: list[tuple[int, int]] = []
        try:
            if not (self.ended or self.broken or (unless is not None and unless())):
                if watch.interests != interests:
                    watch.watch(interests)
                ready = watch.poll(None if timeout is None else timeout * 1000)
                # The signal may have been set for the sake of an earlier wait with this watch.
                if watch.signalled in ready:
                    watch.signal.clear()
                    ready.remove(watch.signalled)
        finally:
            self._watches.pop(watch, None)
        # A watch that an exception keeps from coming here is closed with its last reference.
        if len(_spare) < _SPARE:
            _spare.append(watch)
        return ready

    def _is_idle(self) -> bool:
        """Whether no call is running any more; those that ended without leaving are forgotten."""
        for frame in list(self._calls):
            if not is_running(frame):
                self._calls.pop(frame, None)
        return not self._calls

    def _let_go(self) -> None:
        release, frame = self._release, sys._getframe()
        try:
            if release is not None and self._claim(frame):
                release()
                self._release = None  # and with it all that was open
                self._releasing.clear()
        finally:
            del frame
        self._closers.wake()

    def _claim(self, frame: FrameType) -> bool:
        """Whether no other call is about to release, but for one that an exception has ended."""
        holder = self._releasing.setdefault(0, frame)
        return holder is frame or not is_running(holder)
