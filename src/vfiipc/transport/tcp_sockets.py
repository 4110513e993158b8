"""TCP sockets: connecting to a host within a deadline (RFC 8305), and listening."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from typing import Final

from ..codec import check_integer
from .addresses import address_text, is_literal
from .deadline import FOREVER, Deadline
from .happy_eyeballs import Candidate, Race
from .lifetime import Lifetime
from .sockets import is_tls_socket
from .system import WRITE, closed_on_failure
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
    """The addresses of a host, in the resolver's order; blocks, unless the host is a literal."""
    flags = socket.AI_NUMERICHOST if is_literal(host) else 0
    try:
        return list(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags))
    except UnicodeError:
        raise OSError(errno.EINVAL, f"invalid host name: {host!r}") from None


def resolve(host: str, port: int, lifetime: Lifetime, deadline: Deadline) -> list[Candidate]:
    """Like ``look_up``, but with a deadline; ``InterruptedError`` if the lifetime ends first.

    The resolver runs in a separate thread, because nothing can interrupt it. If no thread is
    available, it runs in the calling one, and may then outlast the deadline.
    """
    if is_literal(host):
        return look_up(host, port)
    found: list[list[Candidate] | OSError] = []
    waiters = Waiters()

    def work() -> None:
        try:
            found.append(look_up(host, port))
        except OSError as cause:
            found.append(cause)
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
        raise TimeoutError(errno.ETIMEDOUT, f"timed out before {host!r} was resolved")
    result = found[0]
    if isinstance(result, OSError):
        raise result
    return result


def begin_next(race: Race, now: float) -> socket.socket | None:
    """A non-blocking socket that connects to the next address that is due; None if none is due.

    It becomes writable when it has connected or failed: ask ``is_winner``.
    """
    while (candidate := race.next(now)) is not None:
        try:
            return _begin(candidate)
        except OSError as cause:
            race.failed(cause)
    return None


def _begin(candidate: Candidate) -> socket.socket:
    family, kind, protocol, _, address = candidate
    with closed_on_failure(socket.socket(family, kind, protocol)) as sock:
        sock.setblocking(False)
        number = sock.connect_ex(address)
        if number not in _UNDER_WAY:
            raise OSError(number, os.strerror(number))
        return sock


def is_winner(race: Race, sock: socket.socket) -> bool:
    """Whether a finished attempt has succeeded; otherwise its socket is closed."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not number:
        return True
    sock.close()
    race.failed(OSError(number, os.strerror(number)))
    return False


def dial(host: str, port: int, lifetime: Lifetime, deadline: Deadline) -> socket.socket:
    """A connected, blocking socket. The deadline is for resolving and connecting together.

    Raises:
        OSError: the latest failure, if no address could be reached; ``TimeoutError`` on a time-out.
        InterruptedError: the lifetime has ended: the object was closed.
    """
    race = Race(resolve(host, port, lifetime, deadline))
    running: dict[int, socket.socket] = {}
    try:
        while True:
            while (begun := begin_next(race, time.monotonic())) is not None:
                running[begun.fileno()] = begun
            race.check()
            pause = race.pause(time.monotonic())
            left = deadline.remaining() if pause is None else deadline.within(pause)
            ready = lifetime.wait([(fileno, WRITE) for fileno in running], left)
            if lifetime.ended:
                raise InterruptedError
            for fileno, _ in ready:
                sock = running.pop(fileno)
                if is_winner(race, sock):
                    sock.setblocking(True)
                    return sock
            if deadline.passed():
                raise TimeoutError(errno.ETIMEDOUT, "timed out before a connection arrived")
    finally:
        for sock in running.values():
            sock.close()


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
        lifetime: its end interrupts the resolving of a name, with ``InterruptedError``.
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
    with closed_on_failure(socket.socket(family, socket.SOCK_STREAM)) as sock:
        # On Windows this option would let other programs take over the port.
        if sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(address)
        sock.listen(backlog)
        return sock


def inherited(descriptor: int, backlog: int, *, tls: bool) -> tuple[socket.socket, str]:
    """A listening socket that the process has inherited, and its address for ``parse`` (CON-A6).

    Raises:
        OSError: a server cannot listen on it. The descriptor then stays the caller's, unchanged.
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
    """The socket, if a server can listen on it: a bound stream socket, TCP or (without TLS) Unix.

    Raises:
        TypeError: it is not a socket, or one of TLS.
        ValueError: it is another kind of socket, or connected, or closed.
    """
    if not isinstance(sock, socket.socket) or is_tls_socket(sock):
        raise TypeError(f"sock must be a plain socket.socket, not {type(sock).__name__}")
    if sock.fileno() < 0:
        raise ValueError("sock is closed, but must be bound or listening")
    unix = getattr(socket, "AF_UNIX", None)
    families = {socket.AF_INET, socket.AF_INET6, unix}
    if sock.type != socket.SOCK_STREAM or sock.family not in families:
        raise ValueError(f"sock must be a stream socket of TCP or Unix, not {sock!r}")
    if tls and sock.family == unix:
        raise ValueError("sock is a Unix socket, but TLS needs one of TCP")
    try:
        sock.getpeername()
    except OSError:
        return sock
    raise ValueError("sock is connected, but must be bound or listening")


def listening_at(sock: socket.socket, backlog: int, *, tls: bool) -> str:
    """Listens, unless the socket already does; returns the address for ``parse``."""
    option = getattr(socket, "SO_ACCEPTCONN", None)
    if option is None or not sock.getsockopt(socket.SOL_SOCKET, option):
        sock.listen(backlog)
    name = sock.getsockname()
    if isinstance(name, tuple):
        return f"{'tls' if tls else 'tcp'}://{address_text(name)}"
    path = os.fsdecode(name)
    if path.startswith("\0"):
        return f"pipe://@{path[1:]}"
    return f"pipe://{os.path.join(os.getcwd(), path)}"
