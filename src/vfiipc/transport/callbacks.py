"""One thread for the process that tells objects when there is something to read.

After a callback an object is silent until a reading call was made, so a registration is either
armed (its descriptor is in the selector, or the stream will say) or waits for that call. Rules:
``spec/ipc.md``, callbacks.
"""

from __future__ import annotations

import logging
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .system import Signal

if TYPE_CHECKING:
    from .ipc import IPC

__all__ = ["Callback", "Registration", "Source", "register", "wait_until_quiet"]

Callback = Callable[[Any, "IPC"], object]

_log = logging.getLogger("vfiipc")


class Source:
    """What can be watched: a connection, or a listener."""

    #: Called when something has changed: True after a reading call (or accept), False otherwise.
    on_change: Callable[[bool], None] | None = None
    #: Called by sources without a descriptor when something may have become readable.
    on_ready: Callable[[], None] | None = None

    def watched_fileno(self) -> int:
        """The descriptor whose readability counts; -1 where ``on_ready`` tells."""
        raise NotImplementedError

    def worth_a_call(self) -> bool:
        """Whether there is something to report, whatever the descriptor says."""
        raise NotImplementedError

    def only_seemed_ready(self) -> bool:
        """Whether a readable descriptor means nothing to the caller; never waits."""
        return False

    def look_again_at(self) -> float | None:
        """When ``worth_a_call`` has to be asked even if nothing comes (``time.monotonic``)."""
        return None

    def finished(self) -> bool:
        """Whether a reading call has met the end, so that there is nothing left to report."""
        return False


class Registration:
    """One object's callback."""

    def __init__(
        self, dispatcher: _Dispatcher, ipc: IPC, source: Source, callback: Callback, data: Any
    ) -> None:
        self.dispatcher = dispatcher
        self.ipc = ipc
        self.source = source
        self.callback = callback
        self.data = data
        self.active = True
        self.armed = False
        self.told_failure = False
        self._process = os.getpid()

    def changed(self, by_reading: bool) -> None:
        """The source's ``on_change``."""
        if self._process == os.getpid():
            self.dispatcher.changed(self, by_reading)

    def ready(self) -> None:
        """The source's ``on_ready``."""
        if self._process == os.getpid():
            self.dispatcher.fire(self)

    def cancel(self) -> None:
        """Ends it: none starts any more, but one may be running."""
        self.source.on_change = self.source.on_ready = None
        if self._process == os.getpid():
            self.dispatcher.cancel(self)


class _Dispatcher:
    """The thread, its selector, and what is due."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._selector = selectors.DefaultSelector()
        self._signal = Signal()
        self._selector.register(self._signal.fileno(), selectors.EVENT_READ, None)
        self._running: IPC | None = None  # the object whose callback is running
        self._due: deque[Registration] = deque()
        self._timed: dict[Registration, float] = {}  # armed ones, and when to look again
        self._registered: set[Registration] = set()  # keeps their objects alive
        self._thread = threading.Thread(target=self._run, name="vfiipc-callbacks", daemon=True)
        self._thread.start()

    def add(self, registration: Registration) -> None:
        with self._changed:
            self._registered.add(registration)
        self.arm(registration)

    def arm(self, registration: Registration) -> None:
        """Reports now what is there already, or as soon as something comes."""
        with self._changed:
            source = registration.source
            if not registration.active or registration.armed:
                return
            registration.armed = True
            if source.worth_a_call():
                self.fire(registration)
                return
            moment = source.look_again_at()
            if moment is not None:
                self._timed[registration] = moment
            if source.watched_fileno() >= 0:
                self._selector.register(source.watched_fileno(), selectors.EVENT_READ, registration)
                self._signal.set()

    def fire(self, registration: Registration) -> None:
        """Makes the callback due, if it is armed."""
        with self._changed:
            if registration.active and registration.armed:
                self._disarm(registration)
                self._due.append(registration)
                self._signal.set()

    def changed(self, registration: Registration, by_reading: bool) -> None:
        if by_reading:
            if not registration.source.finished():
                self.arm(registration)
        elif not registration.told_failure:
            registration.told_failure = True
            self.fire(registration)

    def cancel(self, registration: Registration) -> None:
        with self._changed:
            registration.active = False
            self._registered.discard(registration)
            self._disarm(registration)

    def wait_until_quiet(self, ipc: IPC) -> None:
        """Returns when no callback of this object is running; at once, from inside one."""
        if threading.current_thread() is not self._thread:
            with self._changed:
                self._changed.wait_for(lambda: self._running is not ipc)

    def _disarm(self, registration: Registration) -> None:
        registration.armed = False
        self._timed.pop(registration, None)
        fileno = registration.source.watched_fileno()
        # A closed descriptor may belong to another object by now: the registration itself decides.
        key = self._selector.get_map().get(fileno) if fileno >= 0 else None
        if key is not None and key.data is registration:
            self._selector.unregister(fileno)

    def _run(self) -> None:
        while True:
            try:
                events = self._selector.select(self._pause())
            except (OSError, ValueError):
                # Where select(2) is what waits, a descriptor may be closed under it: look again.
                continue
            for key, _ in events:
                if key.data is None:
                    self._signal.clear()
                elif not key.data.source.only_seemed_ready():
                    self.fire(key.data)
            self._look_again()
            while self._due:
                self._call(self._due.popleft())

    def _pause(self) -> float | None:
        """Seconds until a source has to be asked; None when only events count."""
        with self._changed:
            if not self._timed:
                return None
            return max(0.0, min(self._timed.values()) - time.monotonic())

    def _look_again(self) -> None:
        now = time.monotonic()
        with self._changed:
            due = [registration for registration, moment in self._timed.items() if moment <= now]
            for registration in due:
                del self._timed[registration]
                if registration.source.worth_a_call():
                    self.fire(registration)

    def _call(self, registration: Registration) -> None:
        with self._changed:
            if not registration.active:
                return
            self._running = registration.ipc
        try:
            registration.callback(registration.data, registration.ipc)
        except BaseException:  # noqa: BLE001  (whatever it was, other objects go on)
            _log.exception("a callback has failed")
        finally:
            with self._changed:
                self._running = None
                self._changed.notify_all()


_dispatcher: _Dispatcher | None = None
_starting = threading.Lock()


def register(ipc: IPC, source: Source, callback: Callback, data: Any) -> Registration:
    """Registers a callback; the first one starts the thread. Thread safe."""
    global _dispatcher
    with _starting:
        if _dispatcher is None:
            _dispatcher = _Dispatcher()
        dispatcher = _dispatcher
    registration = Registration(dispatcher, ipc, source, callback, data)
    source.on_change, source.on_ready = registration.changed, registration.ready
    dispatcher.add(registration)
    return registration


def wait_until_quiet(ipc: IPC) -> None:
    """Returns when no callback of this object is running; at once, from inside one."""
    if _dispatcher is not None:
        _dispatcher.wait_until_quiet(ipc)


def _forget() -> None:
    """A forked child has no such thread: its first registration starts its own."""
    global _dispatcher, _starting
    _dispatcher, _starting = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
