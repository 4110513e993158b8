"""Connects to a host, trying every address within one deadline (RFC 8305)."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from typing import Any, Final

from .addresses import is_literal
from .deadline import Deadline
from .lifetime import Lifetime
from .racing import Candidate, Race
from .system import WRITE
from .waiters import Waiters

__all__ = ["begin_next", "dial", "is_winner", "look_up", "resolve"]

_UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)}


def look_up(host: str, port: int) -> list[Candidate]:
    """The addresses of a host, in the resolver's order; blocks, unless the host is a literal.

    Raises:
        OSError: the host is unknown.
    """
    flags = socket.AI_NUMERICHOST if is_literal(host) else 0
    try:
        return list(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags))
    except UnicodeError:
        raise OSError(errno.EINVAL, f"{host!r} is not a host name") from None


def resolve(host: str, port: int, lifetime: Lifetime, deadline: Deadline) -> list[Candidate]:
    """Like ``look_up``, but with a deadline.

    The resolver runs in a separate thread, because nothing can interrupt it. If no thread is
    available, it runs in the calling one, and may then outlast the deadline.

    Raises:
        OSError: the host is unknown, or the time is up (``TimeoutError``).
        InterruptedError: the lifetime has ended.
    """
    if is_literal(host):
        return look_up(host, port)
    found: list[Any] = []
    waiters = Waiters()

    def work() -> None:
        result: Any
        try:
            result = look_up(host, port)
        except OSError as cause:
            result = cause
        found.append(result)
        waiters.wake()

    lifetime.waiters.append(waiters)
    try:
        threading.Thread(target=work, name="vfiipc-resolver", daemon=True).start()
    except RuntimeError:
        work()  # no thread is available; nothing can interrupt it here (IPC-H8)
    try:
        while not (found or lifetime.ended or deadline.passed()):
            waiters.wait(lambda: found or lifetime.ended, deadline.remaining())
    finally:
        lifetime.waiters.remove(waiters)
    if lifetime.ended:
        raise InterruptedError
    if not found:
        raise TimeoutError(errno.ETIMEDOUT, f"the time was up before {host!r} was resolved")
    if isinstance(found[0], OSError):
        raise found[0]
    result: list[Candidate] = found[0]
    return result


def begin_next(race: Race, now: float) -> tuple[socket.socket, bool] | None:
    """Starts connecting to the next address that is due, without waiting; None if none is due.

    Returns:
        A non-blocking socket that is connecting, and whether it is already connected.
    """
    while (candidate := race.next(now)) is not None:
        try:
            return _begin(candidate)
        except OSError as cause:
            race.failed(cause)
    return None


def _begin(candidate: Candidate) -> tuple[socket.socket, bool]:
    family, kind, protocol, _, address = candidate
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        number = sock.connect_ex(address)
        if number not in _UNDER_WAY:
            raise OSError(number, os.strerror(number))
    except BaseException:
        sock.close()
        raise
    return sock, not number


def is_winner(race: Race, sock: socket.socket) -> bool:
    """Whether a finished attempt has succeeded; otherwise its socket is closed."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not number:
        return True
    sock.close()
    race.failed(OSError(number, os.strerror(number)))
    return False


class _Attempts:
    """The attempts in progress.

    Args:
        race: decides which address is tried when.
    """

    def __init__(self, race: Race) -> None:
        self._race = race
        self._running: dict[int, socket.socket] = {}

    def run(self, lifetime: Lifetime, deadline: Deadline) -> socket.socket:
        """The first socket that connects.

        Raises:
            OSError, InterruptedError: as ``dial``.
        """
        while True:
            winner = self._begin_those_due()
            if winner is not None:
                return winner
            self._race.check()
            pause = self._race.pause(time.monotonic())
            left = deadline.remaining() if pause is None else deadline.within(pause)
            interests = [(fileno, WRITE) for fileno in self._running]
            ready = {fileno for fileno, _ in lifetime.wait(interests, left)}
            if lifetime.ended:
                raise InterruptedError
            winner = self._look_at(ready)
            if winner is not None:
                return winner
            if deadline.passed():
                raise TimeoutError(errno.ETIMEDOUT, "the time was up before a connection came")

    def _begin_those_due(self) -> socket.socket | None:
        while (begun := begin_next(self._race, time.monotonic())) is not None:
            sock, connected = begun
            if connected:
                return sock
            self._running[sock.fileno()] = sock
        return None

    def _look_at(self, ready: set[int]) -> socket.socket | None:
        for fileno in ready:
            sock = self._running.pop(fileno)
            if is_winner(self._race, sock):
                return sock
        return None

    def close(self) -> None:
        for sock in self._running.values():
            sock.close()


def dial(host: str, port: int, lifetime: Lifetime, deadline: Deadline) -> socket.socket:
    """A connected, blocking socket.

    Args:
        host: a name, or an IP address.
        port: 1..65535.
        lifetime: ends when the caller's object is closed.
        deadline: for resolving and connecting together.

    Raises:
        OSError: the latest failure, if no address could be reached; ``TimeoutError`` on a
            time-out.
        InterruptedError: the lifetime has ended.
    """
    attempts = _Attempts(Race(resolve(host, port, lifetime, deadline)))
    try:
        sock = attempts.run(lifetime, deadline)
    finally:
        attempts.close()
    sock.setblocking(True)
    return sock
