"""From open to closed: who is inside, what wakes them, and when the descriptor may go."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

from .system import Signal, Watch

__all__ = ["Lifetime"]

# How long close() waits for woken calls to leave; they need microseconds.
_PATIENCE = 1.0

# Watches to use again, instead of a new one for each wait: a third of a round trip. No more are
# kept than one reader and one writer need.
_SPARE = 2
_spare: list[Watch] = []


def _forget_spare() -> None:
    """A forked child shares these with its parent, and must not wake it."""
    while _spare:
        _spare.pop().signal.close()


atexit.register(_forget_spare)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_spare)


class Lifetime:
    """Lets any thread end what others are using, without a descriptor closed under them.

    A call enters, works and leaves. ``end`` wakes all that wait, lets nobody in any more, and has
    ``release`` called once the last one has left. Thread safe.

    Args:
        release: gives back what the object holds; called once, by whoever is last.
        wake: wakes those that wait on something other than descriptors.
    """

    def __init__(self, release: Callable[[], None], wake: Callable[[], None] | None = None) -> None:
        self._release = release
        self._wake = wake
        self._changed = threading.Condition(threading.Lock())
        self._inside: list[int] = []
        self._signals: set[Signal] = set()
        self._released = False
        self._ended = False

    def ended(self) -> bool:
        """Whether ``end`` was called."""
        return self._ended

    def enter(self) -> bool:
        """Comes in; False when it has ended. Each True needs one ``leave``."""
        # Come in first, then look: `end` does it the other way round, so that one of the two sees
        # the other. Appending and removing need no lock, which saves a tenth of a small message.
        self._inside.append(threading.get_ident())
        if self._ended:
            self.leave()
            return False
        return True

    def leave(self) -> None:
        self._inside.remove(threading.get_ident())
        if self._ended:
            with self._changed:
                if not self._inside and not self._released:
                    self._let_go()

    def end(self) -> None:
        """Ends it, and returns when everybody has left (or at once, from inside)."""
        with self._changed:
            if self._ended:
                return
            self._ended = True
            self._set_signals()
            # A forked child has inherited the names of threads, but not the threads.
            alive = {thread.ident for thread in threading.enumerate()}
            for ident in set(self._inside) - alive:
                self._inside.remove(ident)
            if not self._inside and not self._released:
                self._let_go()
        if self._wake is not None:
            self._wake()
        with self._changed:
            if threading.get_ident() not in self._inside:
                self._changed.wait_for(lambda: self._released, _PATIENCE)

    def nudge(self) -> None:
        """Has those that wait look again."""
        with self._changed:
            self._set_signals()
        if self._wake is not None:
            self._wake()

    def _set_signals(self) -> None:
        while self._signals:
            self._signals.pop().set()

    def wait(
        self,
        interests: list[tuple[int, int]],
        timeout: float | None,
        unless: Callable[[], bool] | None = None,
    ) -> list[int]:
        """The descriptors that got ready; none when the time is up or it has ended.

        Args:
            interests: as ``system.wait`` takes them.
            timeout: seconds; None waits for ever.
            unless: tells that there is no reason to wait any more. Whoever makes it true calls
                ``nudge`` afterwards, and is never missed.
        """
        try:
            watch = _spare.pop()
        except IndexError:
            watch = Watch()
        signal, signals = watch.signal, self._signals
        ready: list[int] = []
        # First in sight of those who wake, then the look whether they have been: no lock is needed.
        signals.add(signal)
        try:
            if not self._ended and (unless is None or not unless()):
                ready = watch.wait(interests, timeout)
        finally:
            if self._withdrawn(signal) and len(_spare) < _SPARE:
                _spare.append(watch)
            else:
                with self._changed:  # whoever sets it has done so then
                    signal.close()
        return [] if self._ended else [fd for fd, _ in interests if fd in ready]

    def _withdrawn(self, signal: Signal) -> bool:
        """Whether nobody has set the signal, and nobody will."""
        try:
            self._signals.remove(signal)
        except KeyError:
            return False
        return True

    def _let_go(self) -> None:
        self._released = True
        self._release()
        self._changed.notify_all()
