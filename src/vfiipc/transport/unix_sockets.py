"""The paths of Unix sockets: who may take one, also from a dead server, and who removes the file.

Rules, and why they are so: ``spec/ipc.md``, section 10.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

from .lifetime import Lifetime
from .system import closed_on_failure

if sys.platform != "win32":
    import fcntl

__all__ = [
    "SocketFile",
    "address_of",
    "attempts",
    "bound_socket",
    "new_socket",
    "path_text",
]

# Bytes in the system's address structure, where a path needs a final NUL and an abstract name none.
_ROOM: Final = 108 if sys.platform == "linux" else 104
_FULL: Final = {errno.EAGAIN, errno.EWOULDBLOCK}
# Seconds after which a full queue is retried, at first and at most.
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.02
# Seconds to wait for others that lock the same directory, and between two attempts.
_LOCK_TIMEOUT: Final = 1.0
_PAUSE: Final = 0.005
# The second attempt takes a path, unless others keep putting files there and removing them.
_ATTEMPTS: Final = 5


def path_text(path: str | os.PathLike[str]) -> str:
    """The path as text; ``TypeError`` if it is neither a ``str`` nor a path of one."""
    with suppress(TypeError):
        text: object = os.fspath(path)
        if isinstance(text, str):
            return text
    raise TypeError(f"path must be a str or an os.PathLike of one, not {type(path).__name__}")


def address_of(path: str) -> bytes:
    """The path, or the abstract name behind a NUL, as the system expects it.

    ``ValueError`` if it is malformed; ``OSError`` if this system cannot use it.
    """
    abstract = path.startswith("\0")  # IPC-U1
    address = os.fsencode(path)
    if not address.strip(b"\0"):
        raise ValueError(f"invalid path: {path!r} is empty")
    if abstract and sys.platform != "linux":
        raise OSError(errno.EAFNOSUPPORT, f"abstract names exist on Linux only: {path!r}")
    if not abstract and b"\0" in address:
        raise ValueError(f"invalid path: {path!r}; NUL may only begin an abstract name")
    longest = _ROOM if abstract else _ROOM - 1  # IPC-U2
    if len(address) > longest:
        counted = f"{path!r} has {len(address)} bytes"
        raise OSError(errno.ENAMETOOLONG, f"{counted}, but a socket's name at most {longest}")
    return address


def _named(cause: OSError, path: str) -> OSError:
    """The same error, with the path that it concerns."""
    if cause.errno is None or cause.filename is not None:
        return cause
    return OSError(cause.errno, cause.strerror or os.strerror(cause.errno), path)


@contextmanager
def new_socket(path: str) -> Iterator[socket.socket]:
    """A new Unix socket for this path. If the block fails, it is closed, and the error named."""
    with closed_on_failure(_unix_socket()) as sock:
        try:
            yield sock
        except OSError as cause:
            raise _named(cause, path) from None


def _unix_socket(kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A new Unix socket; ``OSError`` where the platform has none (IPC-U3)."""
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise OSError(errno.EAFNOSUPPORT, "this platform has no Unix sockets")
    return socket.socket(family, kind)


def attempts(sock: socket.socket, address: bytes) -> Iterator[float]:
    """Connects a non-blocking socket; yields the seconds to wait before each further attempt.

    While the listener's queue is full, it must try again: the system does not report when there is
    room.
    """
    pause = _FIRST_PAUSE
    while number := sock.connect_ex(address):
        if number not in _FULL:
            raise OSError(number, os.strerror(number))
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)


class SocketFile:
    """The file of a socket, known by device and inode. ``OSError`` if the path has no such file.

    The numbers cannot refer to another file while the socket is open, because it holds the inode.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.join(os.getcwd(), path)  # the process may change its directory
        found = os.lstat(self._path)
        if not stat.S_ISSOCK(found.st_mode):
            raise OSError(errno.EADDRINUSE, "the file there is not a socket", path)
        self._identity: tuple[int, int] | None = (found.st_dev, found.st_ino)
        self._process = os.getpid()

    def is_there(self) -> bool:
        """Whether the path still leads to this file."""
        with suppress(OSError):
            found = os.lstat(self._path)
            return (found.st_dev, found.st_ino) == self._identity
        return False

    def set_mode(self, mode: int) -> None:
        """Changes its permissions, without following a link put in its place."""
        if not hasattr(os, "O_PATH"):
            os.chmod(self._path, mode, follow_symlinks=False)
            return
        descriptor = os.open(self._path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino) != self._identity:
                raise OSError(errno.EADDRINUSE, "another file has taken its place", self._path)
            os.chmod(f"/proc/self/fd/{descriptor}", mode)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Removes it if it is still there, in the process that created it. May be called again.

        Must be called before the socket is closed: while it is open, nobody replaces its file.
        """
        if self._process == os.getpid() and self.is_there():  # IPC-U8, IPC-U7
            with suppress(OSError):
                os.unlink(self._path)
        # Only now: if an exception strikes earlier, this is called again. Later, the closed socket
        # frees the inode, so that another file may have its number.
        self._identity = None


def bound_socket(
    path: str, mode: int | None, backlog: int, lifetime: Lifetime
) -> tuple[socket.socket, SocketFile | None]:
    """A listening socket, and its file; None for an abstract name, which has none.

    Args:
        path: where to listen; ``ValueError`` if it is invalid.
        mode: the file's permissions; None for 0o777 as reduced by the umask.
        backlog: connections that may wait to be accepted.
        lifetime: its end interrupts the wait for others, with ``InterruptedError``.

    Raises:
        OSError: it cannot listen there; EADDRINUSE if a server does, or the file is not a socket.
    """
    address = address_of(path)
    abstract = path.startswith("\0")
    if abstract and mode is not None:
        raise OSError(errno.EINVAL, f"an abstract name has no file to give a mode to: {path!r}")
    with new_socket(path) as sock:
        if abstract:
            sock.bind(address)
            sock.listen(backlog)
            return sock, None
        with closing(_Lock(os.path.dirname(path) or os.curdir)) as lock:
            lock.acquire(lifetime)
            return sock, _listen(sock, path, mode, backlog)


def _listen(sock: socket.socket, path: str, mode: int | None, backlog: int) -> SocketFile:
    if mode is not None:
        # Nobody can connect before the socket listens (IPC-U4). But a client that the file let in
        # then may go on when the socket listens. On Linux, the file begins with the socket's mode.
        with suppress(OSError):
            os.fchmod(sock.fileno(), mode)
    file = _bound_file(sock, path)
    try:
        if mode is not None:  # the umask may have taken bits away
            file.set_mode(mode)
        sock.listen(backlog)
        if not file.is_there():
            raise OSError(errno.EADDRINUSE, "another server has taken the path")
    except BaseException:
        file.remove()
        raise
    return file


def _bound_file(sock: socket.socket, path: str) -> SocketFile:
    for _ in range(_ATTEMPTS):
        try:
            sock.bind(os.fsencode(path))
        except OSError as cause:
            if cause.errno != errno.EADDRINUSE:
                raise
            _remove_if_dead(path)
        else:
            return SocketFile(path)
    raise OSError(errno.EADDRINUSE, "other processes keep taking the path")


def _remove_if_dead(path: str) -> None:
    """Removes the file that a dead server left behind; ``OSError`` for anything else (IPC-U5)."""
    try:
        file = SocketFile(path)
    except FileNotFoundError:
        return
    if _is_alive(path):
        raise OSError(errno.EADDRINUSE, "the path is in use: a server listens there")
    if file.is_there():
        with suppress(FileNotFoundError):
            os.unlink(path)


def _is_alive(path: str) -> bool:
    """Whether a socket belongs to this file. The check is invisible to its owner.

    A datagram socket cannot connect to another type of socket (EPROTOTYPE). To one of its own type
    it connects, or is refused (EPERM), and sends nothing. ECONNREFUSED: the socket is gone.
    """
    with _unix_socket(socket.SOCK_DGRAM) as probe:
        number = probe.connect_ex(os.fsencode(path))
    if number == errno.EACCES:
        raise OSError(number, "no permission to find out whether a server listens there")
    return number not in (errno.ECONNREFUSED, errno.ENOENT)


class _Lock(list[int]):
    """Keeps out others of this library that take a path in a directory (IPC-U6).

    Otherwise, another server could replace the file of a dead server just before it is removed, and
    would lose its own. If the directory cannot be locked, or stays locked, this continues without:
    ``_listen`` checks once more. The items are the descriptors to close.
    """

    def __init__(self, directory: str) -> None:
        if sys.platform != "win32":
            with suppress(OSError):
                # One step: an exception from a signal handler cannot lose the descriptor.
                self.extend(map(os.open, (directory,), (os.O_RDONLY | os.O_CLOEXEC,)))

    def acquire(self, lifetime: Lifetime) -> None:
        end = time.monotonic() + _LOCK_TIMEOUT
        for descriptor in self:
            while not _locked(descriptor) and time.monotonic() < end:
                lifetime.wait([], _PAUSE)
                if lifetime.ended:
                    raise InterruptedError

    def close(self) -> None:
        while self:
            # Closing alone is not enough: a child forked meanwhile has the descriptor, too.
            with suppress(OSError):
                fcntl.flock(self[0], fcntl.LOCK_UN)
            os.close(self.pop())

    __del__ = close  # in case an exception has prevented the closing


def _locked(descriptor: int) -> bool:
    """Whether there is nothing to wait for: the lock is held, or locking is not supported."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        return not isinstance(cause, BlockingIOError)
    return True
