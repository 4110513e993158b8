"""The state of a connection: its stream, lifetime and flags."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final
from weakref import WeakSet

from .byte_stream import ByteStream, Watchable
from .lifetime import Lifetime
from .logs import ConnectionLog
from .system import after_fork

__all__ = ["StreamState", "not_connected"]


def not_connected() -> OSError:
    """The error of reading and writing without a connection."""
    return OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))


_NO_STREAM: Final = Watchable()


class StreamState(Watchable):
    """The flags of one connection, its stream and its lifetime. Thread safe.

    No stream is attached at first: an object that is not open keeps its flags here, too.
    """

    def __init__(self) -> None:
        self.lifetime = Lifetime()
        # How to wait for an event, with the milliseconds as argument; made by the first wait.
        self._waits: dict[int, Callable[[float | None], object]] = {}
        self.stream: ByteStream | None = None
        self.eof = False
        self.log: ConnectionLog | None = None  # None if the logger has no handler
        self._causes: dict[int, BaseException] = {}  # what latched error(), under 0
        self._latest: BaseException | None = None
        self._misused = False  # it was read or written while it was not open

    def open(self, stream: ByteStream) -> bool:
        """Attaches the stream and takes ownership; False if ``close`` came first."""
        stream.on_ready = self.tell_ready
        self.stream = stream
        return self.lifetime.own(self._close_stream)

    def _close_stream(self) -> None:
        stream = self.stream
        if stream is not None:
            stream.close()
            stream.on_ready = None  # without it, both are freed with their last reference

    def _begin_waiting(self, event: int) -> Callable[[float | None], object]:
        stream = self.stream
        assert stream is not None
        _have_waited.add(self)
        wait = self._waits[event] = stream.waiting(event)
        return wait

    @property
    def error(self) -> bool:
        return bool(self._causes) or (self._misused and self.stream is None)

    @property
    def last_error(self) -> BaseException | None:
        # Without a connection, the latest failure counts (IPC-X3).
        latched = self._causes.get(0) if self.stream is not None else None
        return latched or self._latest

    def fail(self, cause: BaseException) -> None:
        """Latches ``error()`` of a connection; the first cause stays (IPC-X1, IPC-X3)."""
        first = self._causes.setdefault(0, cause) is cause
        self._latest = cause
        if first and self.log is not None:
            self.log.broken(cause)
        # Set before the nudge, so that no call begins to wait between the two (IPC-X7).
        self.lifetime.broken = True
        self.lifetime.nudge()
        self.tell_ready()

    def _fail_if_not_open(self) -> None:
        """Latches ``error()`` of an object without a connection (IPC-X6), until it gets one."""
        if self.stream is None:
            first, self._misused = not self._misused, True
            self._latest = not_connected()
            if first and self.log is not None:
                self.log.broken(self._latest)

    def note(self, cause: BaseException) -> None:
        """Keeps a failure that breaks nothing; one that recurs is logged once (IPC-L4)."""
        recurs = str(cause) == str(self._latest)
        self._latest = cause
        if self.log is not None and not recurs:
            self.log.failed(cause)

    # --- for callbacks

    def fileno(self) -> int:
        return (self.stream or _NO_STREAM).fileno()

    def is_spurious(self) -> bool:
        return (self.stream or _NO_STREAM).is_spurious()

    def recheck_at(self) -> float | None:
        return (self.stream or _NO_STREAM).recheck_at()


_have_waited: WeakSet[StreamState] = WeakSet()


@after_fork
def _forget_waiting() -> None:
    """A poll object stays busy in a forked child if a thread of the parent was inside (IPC-H4)."""
    for state in list(_have_waited):
        state._waits.clear()
