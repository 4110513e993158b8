"""TCP sockets: connecting to a host within a deadline (RFC 8305), and listening."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from ..codec import check_integer
from .addresses import address_text, is_literal
from .deadline import FOREVER, Deadline
from .lifetime import Lifetime
from .racing import Candidate, Race
from .system import WRITE
from .waiters import Waiters

__all__ = [
    "begin_next",
    "check_backlog",
    "check_listener",
    "dial",
    "inherited",
    "is_winner",
    "listening_at",
    "listening_socket",
    "look_up",
    "resolve",
]

# The system takes what it can of this.
_HIGHEST_BACKLOG: Final = 65535
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


class _Dialling:
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
    attempts = _Dialling(Race(resolve(host, port, lifetime, deadline)))
    try:
        sock = attempts.run(lifetime, deadline)
    finally:
        attempts.close()
    sock.setblocking(True)
    return sock


# --- listening


def check_backlog(backlog: int) -> int:
    """The backlog, capped at what systems accept; ``TypeError`` or ``ValueError`` if invalid."""
    return min(check_integer("backlog", backlog, 0), _HIGHEST_BACKLOG)


def listening_socket(
    port: int, address: str | None, backlog: int, lifetime: Lifetime | None = None
) -> socket.socket:
    """A listening TCP socket.

    Args:
        port: 0..65535; 0 lets the system choose.
        address: the interface's address; None for all interfaces, IPv4 and IPv6.
        backlog: connections that may wait, as returned by ``check_backlog``.
        lifetime: of the attempt; its end interrupts the resolving of a name. None if it has none.

    Raises:
        OSError: it cannot listen there.
        InterruptedError: the lifetime has ended.
    """
    if address is None:
        if socket.has_ipv6:
            try:
                return _bind(socket.AF_INET6, ("::", port), backlog, dual=True)
            except OSError as cause:
                if cause.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
        return _bind(socket.AF_INET, ("", port), backlog)
    family, _, _, _, bound = resolve(address, port, lifetime or Lifetime(), FOREVER)[0]
    return _bind(family, bound, backlog)


def _bind(
    family: int, address: tuple[object, ...], backlog: int, *, dual: bool = False
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # On Windows this option would let other programs take over the port.
        if sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def inherited(descriptor: int, backlog: int, *, tls: bool) -> tuple[socket.socket, str]:
    """The socket that the process got with this number, by socket activation (CON-A6).

    Args:
        descriptor: the descriptor, which this owns from now on.
        backlog: connections that may wait, if it is not listening yet.
        tls: whether it is for TLS.

    Returns:
        The socket, which listens, and its address as ``listening_at`` gives it.

    Raises:
        OSError: a server cannot listen on it; it is unchanged, and stays the caller's.
    """
    sock = socket.socket(fileno=descriptor)
    try:
        check_listener(sock, tls=tls)
        address = listening_at(sock, backlog, tls=tls)
        sock.set_inheritable(False)
    except BaseException as cause:
        sock.detach()
        if isinstance(cause, ValueError):
            raise OSError(errno.EINVAL, str(cause)) from None
        raise
    return sock, address


def check_listener(sock: object, *, tls: bool) -> socket.socket:
    """The socket, if a server can listen on it: a bound TCP or Unix stream socket.

    Args:
        sock: what the caller gave.
        tls: whether it is for TLS, which requires TCP.

    Raises:
        TypeError: it is not a socket, or one of TLS.
        ValueError: it is another kind of socket, or connected, or closed.
    """
    if not isinstance(sock, socket.socket) or isinstance(sock, ssl.SSLSocket):
        raise TypeError(f"sock must be a plain socket.socket, not {type(sock).__name__}")
    if sock.fileno() < 0:
        raise ValueError("sock is closed, but must be bound or listening")
    unix = getattr(socket, "AF_UNIX", None)
    if sock.type != socket.SOCK_STREAM or sock.family not in {
        socket.AF_INET,
        socket.AF_INET6,
        unix,
    }:
        raise ValueError(f"sock must be a stream socket of TCP or Unix, not {sock!r}")
    if tls and sock.family == unix:
        raise ValueError("sock is a Unix socket, but TLS needs one of TCP")
    try:
        sock.getpeername()
    except OSError:
        return sock
    raise ValueError("sock is connected, but must be bound or listening")


def listening_at(sock: socket.socket, backlog: int, *, tls: bool) -> str:
    """Listens, unless the socket already does; returns the address for ``parse``.

    Raises:
        OSError: it cannot listen.
    """
    option = getattr(socket, "SO_ACCEPTCONN", None)
    if option is None or not sock.getsockopt(socket.SOL_SOCKET, option):
        sock.listen(backlog)
    name = sock.getsockname()
    if isinstance(name, tuple):
        return f"{'tls' if tls else 'tcp'}://{address_text(name)}"
    path = os.fsdecode(name)
    return f"pipe://@{path[1:]}" if path[:1] == "\0" else f"pipe://{Path(path).absolute()}"
