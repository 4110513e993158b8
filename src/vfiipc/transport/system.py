"""What differs between platforms: sending and receiving without waiting, and waiting.

Linux has ``MSG_DONTWAIT`` and ``poll``: the descriptor is used in whatever blocking state it comes,
and left so. Elsewhere, or where ``portable`` is set, the socket is made non-blocking once and
``select`` waits. So it is done, too, where somebody has replaced the sockets by cooperative ones,
as gevent does: they take no notice of ``MSG_DONTWAIT``, and wait.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
from collections.abc import Sequence
from types import MethodDescriptorType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "READ",
    "WRITE",
    "Signal",
    "Watch",
    "adopt",
    "flags",
    "peek_now",
    "portable",
    "send_now",
    "wait",
]

READ: Final = 1
WRITE: Final = 4

_REPLACED: Final = not isinstance(socket.socket.recv, MethodDescriptorType)

#: Whether the fallback is used; may be set, for tests, before any connection is made.
portable: bool = _REPLACED or not (sys.platform == "linux" and hasattr(select, "poll"))

_AT_ONCE: Final[int] = getattr(socket, "MSG_DONTWAIT", 0)
_QUIET: Final[int] = getattr(socket, "MSG_NOSIGNAL", 0)
# Vectors of one sendmsg; the least that POSIX promises is 16, Linux takes 1024.
_MOST_BUFFERS: Final = 16


def adopt(sock: socket.socket, *, own: bool) -> None:
    """Prepares a connected socket for the functions below.

    Args:
        sock: the socket.
        own: whether nobody else can share it, so that its blocking state may change.
    """
    if portable:
        sock.setblocking(False)
    elif own and sock.gettimeout() is not None:
        sock.setblocking(True)


def flags() -> tuple[int, int]:
    """What keeps a receive, and a send, from waiting."""
    at_once = 0 if portable else _AT_ONCE
    return at_once, at_once | _QUIET


def peek_now(sock: socket.socket, limit: int) -> bytes | None:
    """Up to ``limit`` bytes, left where they are; None when there are none, ``b""`` at the end."""
    try:
        return sock.recv(limit, flags()[0] | socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return None


def send_now(sock: socket.socket, buffers: Sequence[Buffer]) -> int:
    """Sends what the system takes at once, in one call; the number of bytes, 0 when it is full."""
    try:
        if len(buffers) == 1:
            return sock.send(buffers[0], flags()[1])
        if hasattr(sock, "sendmsg"):
            return sock.sendmsg(buffers[:_MOST_BUFFERS], [], flags()[1])
        return sock.send(buffers[0], flags()[1])
    except (BlockingIOError, InterruptedError):
        return 0


class Signal:
    """What one thread waits on, beside its sockets, so that another can wake it."""

    __slots__ = ("_event", "_pair", "_process")

    def __init__(self) -> None:
        self._process = os.getpid()
        self._event = -1
        self._pair: tuple[socket.socket, socket.socket] | None = None
        if not portable and hasattr(os, "eventfd"):
            self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            self._pair = socket.socketpair()
            for end in self._pair:
                end.setblocking(False)

    def fileno(self) -> int:
        return self._pair[0].fileno() if self._pair else self._event

    def set(self) -> None:
        """Wakes whoever waits, now or later, until ``clear``; in this process, not its parent."""
        if self._process != os.getpid():
            self.close()
            return
        with contextlib.suppress(OSError):
            if self._pair:
                self._pair[1].send(b"\0")
            else:
                os.eventfd_write(self._event, 1)

    def clear(self) -> None:
        """Makes the next wait wait again."""
        with contextlib.suppress(OSError):
            if self._pair:
                self._pair[0].recv(4096)
            else:
                os.eventfd_read(self._event)

    def close(self) -> None:
        if self._pair:
            for end in self._pair:
                end.close()
        elif self._event >= 0:
            os.close(self._event)
            self._event = -1


def wait(interests: Sequence[tuple[int, int]], timeout: float | None) -> list[int]:
    """Waits until one of the descriptors is ready, or has failed.

    Args:
        interests: descriptors, each with ``READ``, ``WRITE`` or both (``READ | WRITE``).
        timeout: seconds; None waits for ever.

    Returns:
        The descriptors that are ready; none when the time is up.
    """
    if portable or not hasattr(select, "poll"):
        reading = [fd for fd, event in interests if event & READ]
        writing = [fd for fd, event in interests if event & WRITE]
        # Windows reports a failed connect as an exceptional condition.
        readable, writable, failed = select.select(reading, writing, writing, timeout)
        return list({*readable, *writable, *failed})
    poller = select.poll()
    for fd, event in interests:
        poller.register(fd, event)
    return [fd for fd, _ in poller.poll(None if timeout is None else timeout * 1000)]


class Watch:
    """Waits for descriptors, and for a signal that other threads set.

    Waiting for the same descriptor again costs less than half of ``wait``: what the system has to
    look at is kept.
    """

    __slots__ = ("_interests", "_poller", "signal")

    def __init__(self) -> None:
        self.signal = Signal()
        self._interests: list[tuple[int, int]] = []
        self._poller: select.poll | None = None

    def wait(self, interests: list[tuple[int, int]], timeout: float | None) -> list[int]:
        """As the function ``wait``; the signal's descriptor may be among the results."""
        if portable or not hasattr(select, "poll"):
            return wait([*interests, (self.signal.fileno(), READ)], timeout)
        poller = self._poller
        if poller is None or interests != self._interests:
            poller = self._poller = select.poll()
            for fd, event in [*interests, (self.signal.fileno(), READ)]:
                poller.register(fd, event)
            self._interests = interests
        return [fd for fd, _ in poller.poll(None if timeout is None else timeout * 1000)]
