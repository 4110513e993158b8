"""What differs between platforms: non-blocking sends and receives, waiting, and forks.

Linux has ``MSG_DONTWAIT`` and ``poll``, and the blocking mode of a descriptor stays as it is.
Elsewhere, or if ``portable`` is set, sockets are made non-blocking, and ``select`` waits. So it is
if sockets were replaced by cooperative ones, as by gevent: those ignore ``MSG_DONTWAIT``.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import MethodDescriptorType
from typing import Final

from ..codec import Buffer

__all__ = [
    "READ",
    "RESET_ON_CLOSE",
    "WRITE",
    "Poller",
    "Signal",
    "Watch",
    "adopt",
    "after_fork",
    "closed_on_failure",
    "exchanging",
    "flags",
    "portable",
    "send_many",
    "wait",
]

READ: Final = 1
WRITE: Final = 4

#: For ``SO_LINGER``: closing resets the connection. The fields have the widths of the system.
RESET_ON_CLOSE: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)

_REPLACED: Final = not isinstance(socket.socket.recv, MethodDescriptorType)

#: Whether the fallback is used; may be set, for tests, before any connection is made.
portable: bool = _REPLACED or not (sys.platform == "linux" and hasattr(select, "poll"))

_AT_ONCE: Final[int] = getattr(socket, "MSG_DONTWAIT", 0)
_QUIET: Final[int] = getattr(socket, "MSG_NOSIGNAL", 0)
# Vectors of one sendmsg; the least that POSIX promises is 16, Linux takes 1024.
_MOST_BUFFERS: Final = 16


def after_fork(work: Callable[[], None]) -> Callable[[], None]:
    """Decorates a function that every forked child calls first."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=work)
    return work


#: Guards the exchange of a few attributes, for no longer than that takes. Re-entrant, because a
#: signal handler may come here while its own thread is inside. A forked child has its own (IPC-H4),
#: so this must be looked up for each use.
exchanging = threading.RLock()


@after_fork
def _renew_lock() -> None:
    global exchanging
    exchanging = threading.RLock()


@contextlib.contextmanager
def closed_on_failure(sock: socket.socket) -> Iterator[socket.socket]:
    """Closes the socket if the block fails."""
    try:
        yield sock
    except BaseException:
        sock.close()
        raise


def adopt(sock: socket.socket, *, own: bool) -> None:
    """Prepares a connected socket; if nothing else shares it, its blocking mode may change."""
    if portable:
        sock.setblocking(False)
    elif own and sock.gettimeout() is not None:
        sock.setblocking(True)


def flags() -> tuple[int, int]:
    """The flags that make a receive, and a send, non-blocking."""
    at_once = 0 if portable else _AT_ONCE
    return at_once, at_once | _QUIET


def send_many(sock: socket.socket, buffers: Sequence[Buffer]) -> int:
    """Sends what the system accepts at once; ``BlockingIOError`` if that is nothing."""
    if hasattr(sock, "sendmsg"):
        return sock.sendmsg(buffers[:_MOST_BUFFERS], [], flags()[1])
    return sock.send(buffers[0], flags()[1])


class Signal:
    """A wake-up descriptor, which a thread waits for beside its sockets. Thread safe.

    It is closed with its last reference, so that no thread sets a reused number. ``OSError`` if no
    descriptor is available.
    """

    __slots__ = ("_event", "_pair")

    def __init__(self) -> None:
        self._event = -1
        self._pair: tuple[socket.socket, socket.socket] | None = None
        if not portable and hasattr(os, "eventfd"):
            self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            _events[self._event] = None
        else:
            self._pair = _nonblocking_pair()
            _pairs[self._pair] = None

    def fileno(self) -> int:
        return self._pair[0].fileno() if self._pair else self._event

    def set(self) -> None:
        """Wakes the current and any later wait, until ``clear``."""
        with contextlib.suppress(OSError):
            if self._pair:
                self._pair[1].send(b"\0")
            else:
                os.eventfd_write(self._event, 1)

    def clear(self) -> None:
        """Resets it, so that the next wait blocks."""
        with contextlib.suppress(OSError):
            if self._pair:
                self._pair[0].recv(4096)
            else:
                os.eventfd_read(self._event)

    def __del__(self) -> None:
        # Removed first, because the fork hook must never touch a reused number.
        pair, event = getattr(self, "_pair", None), getattr(self, "_event", -1)
        if pair and _pairs.pop(pair, self) is None:
            for end in pair:
                end.close()
        if event >= 0 and _events.pop(event, self) is None:
            os.close(event)


# The descriptors of all signals, for the fork hook.
_events: dict[int, None] = {}
_pairs: dict[tuple[socket.socket, socket.socket], None] = {}


def _nonblocking_pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    for end in pair:
        end.setblocking(False)
    return pair


@after_fork
def _replace_signals() -> None:
    """Gives a forked child its own signals, under the same numbers.

    Otherwise it would wake its parent, and be woken by it (IPC-H4).
    """
    with contextlib.suppress(OSError):  # no descriptor is available: they stay shared
        for event in list(_events):
            fresh = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            os.dup2(fresh, event, inheritable=False)
            os.close(fresh)
        for pair in list(_pairs):
            for end, own in zip(pair, _nonblocking_pair()):
                os.dup2(own.fileno(), end.fileno(), inheritable=False)
                own.close()


def wait(interests: Sequence[tuple[int, int]], timeout: float | None) -> list[tuple[int, int]]:
    """Waits until one of the descriptors is ready, or has failed; returns those, with their events.

    Args:
        interests: descriptors, each with ``READ``, ``WRITE`` or both (``READ | WRITE``).
        timeout: seconds; None waits forever.
    """
    return _poll_of(interests)(None if timeout is None else timeout * 1000)


# Waits for a number of milliseconds, or forever, and returns the descriptors that are ready.
_Poll = Callable[["float | None"], "list[tuple[int, int]]"]


def _poll_of(interests: Sequence[tuple[int, int]]) -> _Poll:
    if portable or not hasattr(select, "poll"):
        return lambda msec: _select(interests, None if msec is None else msec / 1000)
    poller = select.poll()
    for fd, event in interests:
        poller.register(fd, event)
    return poller.poll


def _select(interests: Sequence[tuple[int, int]], timeout: float | None) -> list[tuple[int, int]]:
    if not interests:  # select(2) of Windows refuses to wait for nothing
        time.sleep(timeout or 0)
        return []
    reading = [fd for fd, event in interests if event & READ]
    writing = [fd for fd, event in interests if event & WRITE]
    # Windows reports a failed connect as an exceptional condition.
    readable, writable, failed = select.select(reading, writing, writing, timeout)
    return [*((fd, READ) for fd in readable), *((fd, WRITE) for fd in {*writable, *failed})]


class Watch:
    """Waits for descriptors, and for a signal that other threads set. For one thread at a time.

    It keeps its poll object, so waiting again for the same descriptors is cheaper than ``wait``.
    ``OSError`` if no descriptor is available.
    """

    __slots__ = ("interests", "poll", "signal", "signalled")

    def __init__(self, interests: Sequence[tuple[int, int]]) -> None:
        self.signal = Signal()
        #: Part of the result of ``poll`` if the signal was set.
        self.signalled = (self.signal.fileno(), READ)
        self.watch(interests)

    def watch(self, interests: Sequence[tuple[int, int]]) -> None:
        """Makes ``poll`` wait for these, as ``wait`` takes them, and for the signal."""
        #: What it waits for beside the signal.
        self.interests = interests
        #: Waits for a number of milliseconds, or forever; returns descriptors and events.
        self.poll = _poll_of([*interests, self.signalled])


class Poller:
    """Waits for many descriptors to become readable. One thread waits; ``set`` wakes it.

    Any thread may call ``discard``, and must do so before the descriptor is closed. ``OSError`` if
    no descriptor is available.
    """

    def __init__(self) -> None:
        self._signal = Signal()
        self.set = self._signal.set
        self._watched: dict[int, None] = {}
        self._epoll: select.epoll | None = None
        if not portable and hasattr(select, "epoll"):
            self._epoll = select.epoll()
            self._epoll.register(self._signal.fileno(), select.EPOLLIN)

    def add(self, fd: int) -> None:
        """Makes ``wait`` report ``fd`` when it is readable, or has failed, until ``discard``."""
        self._watched[fd] = None
        if self._epoll is not None:
            with contextlib.suppress(FileExistsError):
                self._epoll.register(fd, select.EPOLLIN)

    def discard(self, fd: int) -> None:
        self._watched.pop(fd, None)
        if self._epoll is not None:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)

    def wait(self, timeout: float | None) -> list[int]:
        """The descriptors that are ready; none when the time is up, or after ``set``."""
        signal = self._signal.fileno()
        try:
            if self._epoll is not None:
                ready = [fd for fd, _ in self._epoll.poll(timeout)]
            else:
                interests = [(fd, READ) for fd in [signal, *self._watched]]
                ready = [fd for fd, _ in wait(interests, timeout)]
        except (OSError, ValueError):
            return []  # select(2) met a descriptor that was closed meanwhile
        if signal in ready:
            self._signal.clear()
            ready.remove(signal)
        return ready

    def close(self) -> None:
        """Releases its resources; in a forked child, without effect on the parent's."""
        if self._epoll is not None:
            self._epoll.close()
