"""Reaching a host: every address it has, within one deadline (after RFC 8305)."""

from __future__ import annotations

import errno
import os
import socket
import threading
from typing import Any, Final

from .addresses import is_literal
from .deadline import Deadline
from .lifetime import Lifetime
from .system import WRITE
from .turn import Waiters

__all__ = ["dial", "resolve"]

# Seconds after which the next address is tried beside those under way (RFC 8305, 5).
_NEXT_AFTER: Final = 0.25
_UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)}

_Candidate = tuple[int, int, int, str, Any]


def resolve(host: str, port: int, lifetime: Lifetime, deadline: Deadline) -> list[_Candidate]:
    """The addresses of a host, in the resolver's order, families in turn.

    The resolver runs in a thread of its own, for nothing can wake it; in the calling thread where
    there is none to be had, and may then outlast the deadline. Literals never reach it.

    Raises:
        OSError: there is no such host, or the time is up (``TimeoutError``).
        InterruptedError: the lifetime has ended.
    """
    if is_literal(host):
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        return list(found)
    outcome: list[Any] = []
    waiters = Waiters()

    def work() -> None:
        result: Any
        try:
            result = list(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as cause:
            result = cause
        outcome.append(result)
        waiters.wake()

    lifetime.turns.append(waiters)
    try:
        threading.Thread(target=work, name="vfiipc-resolver", daemon=True).start()
    except RuntimeError:
        work()  # no thread is to be had; nothing can end it early here
    try:
        while not (outcome or lifetime.ended or deadline.passed()):
            waiters.wait(lambda: outcome or lifetime.ended, deadline.remaining())
    finally:
        lifetime.turns.remove(waiters)
    if lifetime.ended:
        raise InterruptedError
    if not outcome:
        raise TimeoutError(errno.ETIMEDOUT, f"the time was up before {host!r} was resolved")
    if isinstance(outcome[0], UnicodeError):
        raise OSError(errno.EINVAL, f"{host!r} is no host name")
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return _in_turn(outcome[0])


def _in_turn(found: list[_Candidate]) -> list[_Candidate]:
    """Families in turn, beginning with the resolver's first choice."""
    first = [candidate for candidate in found if candidate[0] == found[0][0]]
    others = [candidate for candidate in found if candidate[0] != found[0][0]]
    ordered = []
    while first or others:
        ordered += first[:1] + others[:1]
        first, others = first[1:], others[1:]
    return ordered


class _Race:
    """Connection attempts under way, of which the first to succeed is taken."""

    def __init__(self, candidates: list[_Candidate]) -> None:
        self._candidates = candidates
        self._running: dict[int, socket.socket] = {}
        self.failure: OSError | None = None

    def start_next(self) -> socket.socket | None:
        """Begins with the next address; the socket if it is connected at once."""
        family, kind, protocol, _, address = self._candidates.pop(0)
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            number = sock.connect_ex(address)
            if number not in _UNDER_WAY:
                raise OSError(number, os.strerror(number))
        except OSError as cause:
            self.failure = cause
            if sock is not None:
                sock.close()
            return None
        if not number:
            return sock
        self._running[sock.fileno()] = sock
        return None

    def check(self, ready: set[int]) -> socket.socket | None:
        """The first of those that are ready which is connected; the others have failed."""
        for fileno in ready:
            sock = self._running.pop(fileno)
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not number:
                return sock
            self.failure = OSError(number, os.strerror(number))
            sock.close()
        return None

    def run(self, lifetime: Lifetime, deadline: Deadline) -> socket.socket:
        while True:
            winner = self.start_next() if self._candidates else None
            while winner is None and self._running:
                left = deadline.remaining()
                if self._candidates:
                    left = deadline.within(_NEXT_AFTER)
                interests = [(fileno, WRITE) for fileno in self._running]
                ready = {fileno for fileno, _ in lifetime.wait(interests, left)}
                if lifetime.ended:
                    raise InterruptedError
                winner = self.check(ready)
                if winner is None and deadline.passed():
                    raise TimeoutError(errno.ETIMEDOUT, "the time was up before a connection came")
                if self._candidates:
                    break
            if winner is not None:
                return winner
            if not self._candidates and not self._running:
                raise self.failure or OSError(errno.EADDRNOTAVAIL, "the host has no address")

    def clean_up(self) -> None:
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
        OSError: why no address could be reached: that of the last failure, ``TimeoutError`` when
            the time was up.
        InterruptedError: the lifetime has ended.
    """
    race = _Race(resolve(host, port, lifetime, deadline))
    try:
        sock = race.run(lifetime, deadline)
    finally:
        race.clean_up()
    sock.setblocking(True)
    return sock
