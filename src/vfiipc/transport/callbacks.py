"""The callback thread, one per process, which reports when there is something to read.

Only this thread decides what it watches, what is due, and what stays silent until a reading call.
Other threads notify it with ``notify``, which takes no lock, so that signal handlers and finalizers
may call it. Rules: ``spec/ipc.md``, callbacks.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final

from . import system
from .byte_stream import Watchable
from .system import Poller
from .waiters import Waiters

__all__ = ["CallbackRegistration", "register", "wait_until_quiet"]

_log = logging.getLogger("vfiipc")

# Seconds. The longest wait differs between systems, and a source may name a moment far away.
_LONGEST_PAUSE: Final = 3600.0


class _Readiness(Enum):
    """The state of a registration; only the callback thread changes it."""

    SILENT = "its callback was called, and no reading call has been made since"
    ARMED = "it is called as soon as there is something to report"
    DUE = "it is called in the next round"


class CallbackRegistration:
    """The callback of one object.

    Args:
        dispatcher: the thread that makes the calls.
        owner: stays alive with the registration.
        source: reports whether there is something to read.
        call: the callback with its arguments.
    """

    def __init__(
        self,
        dispatcher: _Dispatcher,
        owner: object,
        source: Watchable,
        call: Callable[[], object],
    ) -> None:
        self.dispatcher = dispatcher
        self.owner = owner
        self.source = source
        self.call = call
        self.active = True  #: cleared by ``cancel``; no callback starts afterwards
        self.was_read = False  #: a reading call was made, so it must be armed again
        self.notified = False  #: the thread was notified to check it
        self.state = _Readiness.ARMED
        self.watched = -1  #: the descriptor that the thread watches for it

    def on_read(self) -> None:
        """A reading call has ended: the source's ``on_read``."""
        self.was_read = True
        self.dispatcher.notify(self)

    def on_ready(self) -> None:
        """There may be something to report: the source's ``on_ready``."""
        self.dispatcher.notify(self)

    def cancel(self) -> None:
        """Ends it: no callback starts any more, but one may be running (IPC-C5).

        Must be called before the source's descriptor is closed. May be called again.
        """
        self.active = False
        source = self.source
        if source.on_read == self.on_read:  # not those of a registration that replaced it
            source.on_read = source.on_ready = None
        self.dispatcher.forget(self)


class _Dispatcher:
    """The thread, what it watches, and what is due.

    Raises:
        OSError: no descriptor is available.
        RuntimeError: no thread is available.
    """

    def __init__(self) -> None:
        self._poller = Poller()
        self._notified: deque[CallbackRegistration] = deque()
        self._due: deque[CallbackRegistration] = deque()
        self._watched: dict[int, CallbackRegistration] = {}
        self._timed: dict[CallbackRegistration, float] = {}  # armed ones, and when to check again
        self._registered: dict[
            CallbackRegistration, None
        ] = {}  # keeps their objects alive (IPC-C7)
        self._running: CallbackRegistration | None = None
        self._quiet = Waiters()
        self._forked = False  # True in a forked child, which has no such thread
        self._thread = threading.Thread(target=self._run, name="vfiipc-callbacks", daemon=True)
        self._thread.start()

    # --- for other threads

    def add(self, registration: CallbackRegistration) -> None:
        self._registered[registration] = None
        self.notify(registration)

    def notify(self, registration: CallbackRegistration) -> None:
        """Notifies the thread to check a registration."""
        if not registration.notified and not self._forked:
            registration.notified = True
            self._notified.append(registration)
            self._poller.set()

    def forget(self, registration: CallbackRegistration) -> None:
        """Drops a cancelled registration, before its descriptor is closed and reused."""
        self._registered.pop(registration, None)
        if self._forked:
            return
        # The thread adds a descriptor, and then checks `active`. Either this or that check comes
        # last, and removes it.
        watched = registration.watched
        if watched >= 0:
            self._poller.discard(watched)
        self.notify(registration)

    def wait_until_quiet(self, owner: object) -> None:
        if threading.get_ident() == self._thread.ident:  # IPC-H3, IPC-C5
            return
        while self._is_running(owner):
            self._quiet.wait(lambda: not self._is_running(owner), 1.0)

    def _is_running(self, owner: object) -> bool:
        running = self._running
        return running is not None and running.owner is owner and not self._forked

    def abandon(self) -> None:
        """Disables this dispatcher in a forked child, which does not have its thread."""
        self._forked = True
        self._poller.close()

    # --- the thread

    def _run(self) -> None:
        while True:
            try:
                self._make_round()
            except Exception:  # noqa: BLE001  (one source at fault must not end the others)
                _log.exception("error in the callback thread, which continues")

    def _make_round(self) -> None:
        """Serves each due object once, and then polls the system again."""
        for fd in self._poller.wait(self._pause()):
            self._became_readable(fd)
        for _ in range(len(self._notified)):
            registration = self._notified.popleft()
            registration.notified = False
            self._update(registration)
        self._check_timed()
        for _ in range(len(self._due)):  # one after another (IPC-C9)
            self._call(self._due.popleft())

    def _pause(self) -> float | None:
        """Seconds until a source must be checked; None if only events count."""
        if self._notified or not self._timed:
            return 0 if self._notified else None
        return min(max(0.0, min(self._timed.values()) - time.monotonic()), _LONGEST_PAUSE)

    def _became_readable(self, fd: int) -> None:
        registration = self._watched.get(fd)
        # Only this thread adds descriptors, and only after it has handled these events: the number
        # has not been reused since.
        if registration is None or not registration.active:
            self._poller.discard(fd)
        elif not registration.source.is_spurious():
            self._make_due(registration)

    def _update(self, registration: CallbackRegistration) -> None:
        source = registration.source
        if not registration.active:
            self._disarm(registration)
            return
        if registration.state is _Readiness.SILENT and registration.was_read:
            registration.was_read = False
            if source.is_finished():  # IPC-C4
                return
            registration.state = _Readiness.ARMED
        if registration.state is not _Readiness.ARMED:
            return
        if source.has_pending():  # also what was there before the registration (IPC-C1)
            self._make_due(registration)
            return
        moment = source.recheck_at()
        if moment is not None:
            self._timed[registration] = moment
        else:
            self._timed.pop(registration, None)
        if registration.watched < 0:
            self._watch(registration)

    def _watch(self, registration: CallbackRegistration) -> None:
        lifetime, frame = registration.source.lifetime, sys._getframe()
        fd = registration.source.fileno()
        # Inside the lifetime, so that the number cannot be reused meanwhile.
        try:
            if fd < 0 or not lifetime.enter(frame):
                return
            registration.watched = fd
            self._watched[fd] = registration
            self._poller.add(fd)
            if not registration.active:  # `forget` may have come before `add`
                self._poller.discard(fd)
                self._disarm(registration)
        finally:
            lifetime.leave(frame)
            del frame

    def _make_due(self, registration: CallbackRegistration) -> None:
        self._disarm(registration)
        registration.state = _Readiness.DUE
        self._due.append(registration)

    def _disarm(self, registration: CallbackRegistration) -> None:
        self._timed.pop(registration, None)
        fd, registration.watched = registration.watched, -1
        holder = self._watched.get(fd)
        if holder is registration:
            del self._watched[fd]
            if registration.active:  # else `forget` has done it, and the number may be reused
                self._poller.discard(fd)
        elif holder is not None and holder.active:
            self._poller.add(fd)  # `forget` has removed it, but another registration uses it

    def _check_timed(self) -> None:
        now = time.monotonic()
        for registration in [one for one, moment in self._timed.items() if moment <= now]:
            del self._timed[registration]
            self._update(registration)

    def _call(self, registration: CallbackRegistration) -> None:
        # Set before `active` is checked: `cancel` and `wait_until_quiet` use the other order.
        self._running = registration
        try:
            if registration.active:
                registration.state = _Readiness.SILENT  # IPC-C2
                registration.was_read = False
                registration.call()
        except BaseException:  # noqa: BLE001  (other objects go on: IPC-C8)
            _log.exception("a callback raised an exception")
        finally:
            self._running = None
            self._quiet.wake()


_dispatcher: _Dispatcher | None = None


def register(owner: object, source: Watchable, call: Callable[[], object]) -> CallbackRegistration:
    """Registers a callback; the first one starts the thread. Thread safe.

    Raises:
        OSError: no descriptor is available.
        RuntimeError: no thread is available.
    """
    global _dispatcher
    with system.exchanging:
        if _dispatcher is None:
            _dispatcher = _Dispatcher()
        dispatcher = _dispatcher
    registration = CallbackRegistration(dispatcher, owner, source, call)
    source.on_read, source.on_ready = registration.on_read, registration.on_ready
    dispatcher.add(registration)
    return registration


def wait_until_quiet(owner: object) -> None:
    """Returns when no callback of this object is running; at once, from inside one."""
    dispatcher = _dispatcher
    if dispatcher is not None:
        dispatcher.wait_until_quiet(owner)


@system.after_fork
def _forget_dispatcher() -> None:
    """A forked child has no such thread: its first registration starts its own (IPC-C10)."""
    global _dispatcher
    if _dispatcher is not None:
        _dispatcher.abandon()
    _dispatcher = None
