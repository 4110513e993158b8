"""Counts the running calls of one connection, so that ``close`` can wake them before it closes.

``close`` may be called from any thread, and from a signal handler that interrupts its thread at any
point. So nothing here takes a lock. Each step is one atomic ``dict`` operation, and correctness
depends on their order: a call first records itself and then checks for the end; ``end`` first marks
the end and then looks for calls.
"""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from . import system
from .running_calls import is_below, is_running
from .waiters import Waiters

__all__ = ["Lifetime"]

# Seconds that close() waits for woken calls to leave; they need microseconds.
_CLOSE_TIMEOUT: Final = 1.0
# Seconds between two checks for calls that have ended without leaving.
_CHECK_EVERY: Final = 0.02
# Seconds after which a wait that cannot be woken, for lack of a descriptor, checks by itself.
_WITHOUT_SIGNAL: Final = 0.02

# Watches for reuse, because creating one is expensive. A call takes one out while it waits.
_MOST_SPARE: Final = 4
_spare: list[system.Watch] = []


@system.after_fork
def _forget_spare() -> None:
    while _spare:
        _spare.pop()


atexit.register(_forget_spare)


class Lifetime:
    """The time from the attempt to open something until its end. Thread safe.

    A call enters with its own frame, works, and leaves; or it takes a turn, which counts as well.
    ``end`` keeps further calls out, wakes those that wait, and releases what is owned when the last
    call has left.
    """

    def __init__(self) -> None:
        #: Whether ``end`` was called.
        self.ended = False
        #: Set before a ``nudge``: waiting has become pointless.
        self.broken = False
        #: Of each turn, who has it: a running call as well.
        self.holders: list[dict[int, FrameType]] = []
        #: Further sleepers of this connection, which are woken with it.
        self.waiters: list[Waiters] = []
        self._calls: dict[FrameType, None] = {}
        self._watches: dict[system.Watch, None] = {}
        self._closers = Waiters()
        self._release: Callable[[], None] | None = None
        self._releasing: dict[int, FrameType] = {}

    def own(self, release: Callable[[], None]) -> bool:
        """Registers ``release`` for the end. If that has come, calls it at once: False.

        ``release`` must not wait, and may be called again.
        """
        self._release = release
        if self.ended:
            self._release_owned()
        return not self.ended

    def enter(self, frame: FrameType) -> bool:
        """Records a call; False if the lifetime has ended. Each True needs a ``leave``."""
        self._calls[frame] = None
        if self.ended:
            self.leave(frame)
            return False
        return True

    def leave(self, frame: FrameType) -> None:
        self._calls.pop(frame, None)
        if self.ended:
            self.settle()

    def settle(self) -> None:
        """Releases what is owned if it has ended and no call is running."""
        if self.ended and not self._running():
            self._release_owned()

    def end(self) -> None:
        """Ends it (IPC-Z1), and returns when all calls have left, at most a second later (IPC-Z4).

        It does not wait for calls of its own thread. It may be called again, even from a signal
        handler, and then completes whatever an exception has interrupted.
        """
        self.ended = True
        self.nudge()
        limit = time.monotonic() + _CLOSE_TIMEOUT
        while running := self._running():
            if any(is_below(frame, sys._getframe()) for frame in running):  # IPC-H7
                return
            if time.monotonic() >= limit:
                return
            self._closers.wait(lambda: not self._running(), _CHECK_EVERY)
        self._release_owned()

    def nudge(self) -> None:
        """Wakes all waiting calls, so that they check again."""
        for watch in list(self._watches):
            watch.signal.set()
        for waiters in self.waiters:
            waiters.wake()

    def watch(self, interests: Sequence[tuple[int, int]]) -> system.Watch:
        """A watch of these descriptors that a ``nudge`` wakes for good, for as long as this lasts.

        So it is for calls that end with the lifetime or a break, and are nudged for nothing else.
        It spares them what ``wait`` does each time. ``OSError`` if no descriptor is available.
        """
        watch = system.Watch(interests)
        self._watches[watch] = None
        if self.ended or self.broken:  # the nudge may have come before
            watch.signal.set()
        return watch

    def wait(
        self,
        interests: Sequence[tuple[int, int]],
        timeout: float | None,
        unless: Callable[[], bool] | None = None,
    ) -> list[tuple[int, int]]:
        """Waits for a ready descriptor, the time-out, the end, a break, or a ``nudge``.

        It may return early: the caller checks again. If no descriptor is left to wake it, it
        returns after 20 ms.

        Args:
            interests: as ``system.wait`` takes them.
            timeout: seconds; None waits forever.
            unless: whether waiting is pointless. The thread that makes it true calls ``nudge``
                afterwards, which is never missed.

        Returns:
            The descriptors that are ready, each with its events.
        """
        try:
            watch = _spare.pop()
        except IndexError:
            try:
                watch = system.Watch(interests)
            except OSError:  # IPC-H8
                return system.wait(
                    interests, _WITHOUT_SIGNAL if timeout is None else min(timeout, _WITHOUT_SIGNAL)
                )
        # Registered before the check, so that no wake-up is missed.
        self._watches[watch] = None
        ready: list[tuple[int, int]] = []
        try:
            if not (self.ended or self.broken or (unless is not None and unless())):
                if watch.interests != interests:
                    watch.watch(interests)
                ready = watch.poll(None if timeout is None else timeout * 1000)
                # The signal may have been meant for an earlier wait with this watch.
                if watch.signalled in ready:
                    watch.signal.clear()
                    ready.remove(watch.signalled)
        finally:
            self._watches.pop(watch, None)
        # If an exception skips this, the watch is closed with its last reference.
        if len(_spare) < _MOST_SPARE:
            _spare.append(watch)
        return ready

    def _running(self) -> list[FrameType]:
        """The calls that are running; those that ended without leaving are forgotten."""
        for frame in list(self._calls):
            if not is_running(frame):
                self._calls.pop(frame, None)
        turns = [frame for holders in self.holders for frame in list(holders.values())]
        return [*self._calls, *filter(is_running, turns)]

    def _release_owned(self) -> None:
        release, frame = self._release, sys._getframe()
        try:
            if release is not None and self._claim(frame):
                release()
                self._release = None  # and with it the references to what was open
                self._watches.clear()
                self._releasing.clear()
        finally:
            del frame
        self._closers.wake()

    def _claim(self, frame: FrameType) -> bool:
        """Whether this call may release: no other running call is doing so."""
        holder = self._releasing.setdefault(0, frame)
        return holder is frame or not is_running(holder)
