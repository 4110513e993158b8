"""``IPC``: what every transport offers its users, with the members of the original."""

from __future__ import annotations

import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from .._version import __version__
from ..codec import Message
from .callbacks import Callback, Registration, Source, register, wait_until_quiet
from .connection import Connection, not_connected
from .deadline import FOREVER, Deadline
from .lifetime import Lifetime
from .logs import connection_log
from .peek import PeekResult

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

__all__ = ["IPC", "AnyListener"]


class AnyListener(Protocol):
    """What ``IPC`` needs of a transport's listener, which is a ``Source`` as well."""

    local: str
    lifetime: Lifetime

    def fileno(self) -> int: ...


class IPC(ABC):
    """Messages and raw bytes over a connection, whatever the medium.

    No I/O condition raises: a member returns False, None or less than was asked for, and
    ``eof()``, ``error()`` and ``last_error`` tell why. Only a mistake of the caller raises:
    ``TypeError`` for a wrong type, ``ValueError`` for a value that cannot be.

    Time-outs are milliseconds; negative waits for ever, 0 does not wait. One reader, one writer and
    anyone who closes may run at the same time; several readers take turns, several writers too.
    Use it as a context manager, or call ``close``. Rules: ``spec/ipc.md``.
    """

    #: The logger of this class's connections.
    _logger: ClassVar[str] = "vfiipc"

    def __init__(self) -> None:
        #: Whether ``read_msg`` treats lost synchronisation as an error instead of searching on.
        self.strict = False
        self._connection = Connection(None)
        self._listener: AnyListener | None = None
        self._attempt: Lifetime | None = None
        self._registration: Registration | None = None
        self._state = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_state", None) is not None and self._in_use():
            try:
                warning = f"{self!r} was not closed"
                warnings.warn(warning, ResourceWarning, source=self, stacklevel=2)
            finally:
                self.close()

    def __repr__(self) -> str:
        if self._listener is not None:
            state = f"listening on {self._listener.local}"
        elif self._connection.stream is not None:
            state = f"{self.local_addr()} to {self.remote_addr()}"
        else:
            state = "not open"
        return f"<{type(self).__name__} {state}>"

    # --- what the object holds

    def _in_use(self) -> bool:
        return self._connection.stream is not None or self._listener is not None

    def _replace(
        self,
        connection: Connection,
        listener: AnyListener | None = None,
        attempt: Lifetime | None = None,
        *,
        how: str = "accepted",
    ) -> None:
        """Takes hold of something new, and ends what was held before; ``how`` is for the log."""
        with self._state:
            registration, self._registration = self._registration, None
            if registration is not None:
                registration.cancel()
            self._log_change(connection, listener, how)
            old = [self._connection.stream, self._listener]
            lifetimes = [held.lifetime for held in old if held is not None]
            if self._attempt is not None and self._attempt is not attempt:
                lifetimes.append(self._attempt)
            self._connection, self._listener = connection, listener
            self._attempt = attempt
        for lifetime in lifetimes:
            lifetime.end()

    def _log_change(self, connection: Connection, listener: AnyListener | None, how: str) -> None:
        old, stream = self._connection, connection.stream
        if old.log is not None and old is not connection:
            if old.stream is not None:
                old.log.event(f"closed, {old.framer.discarded} bytes discarded")
            elif self._listener is not None:
                old.log.event(f"listens no longer on {self._listener.local}")
        if connection is not old:
            kind = type(self).__name__
            log = connection_log(self._logger, kind, open_=stream is not None)
            connection.log_to(log)
            if log is not None and stream is not None:
                log.event(f"{how}: {stream.local or '?'} to {stream.remote or '?'}")
        if listener is not None and connection.log is not None:
            connection.log.event(f"listens on {listener.local}")

    def _install(self, connection: Connection, attempt: Lifetime) -> bool:
        """Takes hold of what ``attempt`` has reached, unless the object was closed meanwhile."""
        with self._state:
            if attempt.ended() or self._attempt is not attempt:
                return False
            self._replace(connection, how="connected")
            return True

    def _received(self) -> tuple[int, int]:
        """Changes with every byte that is received and belongs to no message given out."""
        framer = self._connection.framer
        return framer.pending, framer.discarded

    # --- life

    @abstractmethod
    def accept(self, timeout_msec: float = -1) -> IPC | None:
        """The next connection of a listening object, or None after ``timeout_msec`` or an error."""

    def close(self) -> None:
        """Closes all descriptors of the object; it may be used anew.

        Blocking members in other threads return at once, as if their time was up. Clears ``eof()``,
        ``error()`` and ``last_error``, and unregisters the callback without waiting for one that is
        running. Other holders of the connection (a forked child, a dup) keep it. Thread safe.
        """
        self._replace(Connection(None))

    # --- state

    def eof(self) -> bool:
        """Whether the peer has closed and a reading call has come to the end."""
        return self._connection.eof

    def error(self) -> bool:
        """Whether the connection is broken; stays until ``close`` or a new connection."""
        return self._connection.error

    @property
    def last_error(self) -> BaseException | None:
        """Why something failed: the cause of ``error()``, otherwise the latest failure."""
        return self._connection.last_error

    @property
    def discarded(self) -> int:
        """Bytes thrown away on this connection while looking for a header."""
        return self._connection.framer.discarded

    def is_server(self) -> bool:
        """Whether ``listen`` was called on this object."""
        return self._listener is not None

    def remote_addr(self) -> str:
        """The peer's address; empty where it is unknown."""
        stream = self._connection.stream
        return stream.remote if stream is not None else ""

    def local_addr(self) -> str:
        """The own address, also the way to learn the port after ``listen(0)``; may be empty."""
        held = self._listener or self._connection.stream
        return held.local if held is not None else ""

    def getFD(self) -> int:
        """The descriptor, to wait on; -1 when there is none.

        From now on the object takes no more from the kernel than each call needs. What was buffered
        before cannot go back: read until ``read_msg`` gives None first.
        """
        connection, listener = self._connection, self._listener
        if listener is not None:
            return listener.fileno()
        if connection.stream is None:
            return -1
        connection.exact = True
        return connection.stream.fileno()

    def fileno(self) -> int:
        """``getFD()``, for ``select`` and its relatives."""
        return self.getFD()

    # --- reading

    def read_msg(self, prefix: int, size_limit: int, timeout_msec: float = -1) -> Message | None:
        """The next message with this prefix.

        Args:
            prefix: 0..2**32-1; may be another one in each call.
            size_limit: the most bytes of data, 0..2**31-5.
            timeout_msec: for the whole message; when it passes, nothing is lost, and the next call
                goes on where this one stopped.

        Returns:
            The message; None when the time was up, at the end of the stream and after an error.

        Raises:
            TypeError, ValueError: an argument is of the wrong type, or out of its range.
        """
        connection = self._connection
        message = connection.read_msg(prefix, size_limit, self.strict, timeout_msec)
        if connection.log is not None and connection.log.messages and message is not None:
            connection.log.received([message])
        return message

    def read_msgs(self, prefix: int, size_limit: int, timeout_msec: float = -1) -> list[Message]:
        """The next message and all that came with it: several times the messages of ``read_msg``.

        Args:
            prefix: as for ``read_msg``.
            size_limit: as for ``read_msg``, for each message.
            timeout_msec: for the first message.

        Returns:
            Messages in the order of their arrival, as many as are there; an empty list where
            ``read_msg`` gives None. After ``getFD`` often just one.

        Raises:
            TypeError, ValueError: an argument is of the wrong type, or out of its range.
        """
        connection = self._connection
        messages = connection.read_msgs(prefix, size_limit, self.strict, Deadline(timeout_msec))
        if connection.log is not None and connection.log.messages:
            connection.log.received(messages)
        return messages

    def read(
        self, maxsize: int, timeout_msec: float = -1, timeout_msec2: float | None = None
    ) -> bytes:
        """Raw bytes, until ``maxsize`` of them are there.

        Args:
            maxsize: bytes wanted, 0 or more.
            timeout_msec: until the first byte.
            timeout_msec2: for all of the rest, from the first byte on; ``timeout_msec`` if None.

        Returns:
            The bytes; fewer than wanted at the end of the stream, after an error, or in time.

        Raises:
            TypeError, ValueError: an argument is of the wrong type, or out of its range.
        """
        rest = timeout_msec if timeout_msec2 is None else timeout_msec2
        Deadline(rest)
        return self._connection.read(_count(maxsize), Deadline(timeout_msec), rest)

    def readinto(
        self, buffer: Buffer, timeout_msec: float = -1, timeout_msec2: float | None = None
    ) -> int:
        """As ``read``, into a writable buffer, for as many bytes as it has.

        Returns:
            The number of bytes read.

        Raises:
            TypeError: ``buffer`` is not bytes-like or not writable.
        """
        with memoryview(buffer) as view:
            if view.readonly or not view.c_contiguous:
                raise TypeError("buffer must be writable and without gaps")
            data = self.read(view.nbytes, timeout_msec, timeout_msec2)
            if data:
                view.cast("B")[: len(data)] = data
            return len(data)

    def peek(self, maxsize: int, timeout_msec: float = -1) -> PeekResult:
        """What lies at the front, without removing it; waits until there is something.

        Args:
            maxsize: the most bytes to show, 1 or more.
            timeout_msec: until the first byte.

        Returns:
            ``PeekResult(n, data)``: n bytes; n = 0 at the end, -1 after an error, -2 in time.
            Never sets ``eof()`` or ``error()``.

        Raises:
            ValueError: ``maxsize`` is less than 1: 0 bytes would read as the end.
        """
        if _count(maxsize) == 0:
            raise ValueError("maxsize is 0, but must be 1 or more: 0 bytes would mean the end")
        return self._connection.peek(index(maxsize), Deadline(timeout_msec))

    def poll_in(self, timeout_msec: float = -1) -> bool:
        """Whether a reading call would find something, an end or an error included.

        Sets ``eof()`` or ``error()`` when nothing else is left to report. What ``read_msg`` has
        judged an incomplete message does not count until more arrives.
        """
        return self._connection.poll_in(Deadline(timeout_msec))

    # --- writing

    def write(self, data: Buffer, timeout_msec: float = -1) -> bool:
        """Writes all of ``data`` raw; False when that was not possible.

        When the time passes, or an exception strikes, after a part of it was written, ``error()``
        is latched: the peer could not tell where the next bytes belong.
        """
        return self._connection.write(data, Deadline(timeout_msec))

    def write_msg(self, prefix: int, msg_id: int, data: Buffer, timeout_msec: float = -1) -> bool:
        """Writes one message: header and data, in one call of the system.

        Args:
            prefix: 0..2**32-1.
            msg_id: -2**31..2**31-1.
            data: bytes-like, at most 2**31-5 bytes.
            timeout_msec: for the whole message, waiting for other writers included.

        Returns:
            Whether all of it was written; ``error()`` is latched when a part of it was.

        Raises:
            TypeError, ValueError: an argument is of the wrong type, or out of its range.
        """
        connection = self._connection
        written = connection.write_msg(
            prefix, msg_id, data, FOREVER if timeout_msec == -1 else Deadline(timeout_msec)
        )
        if connection.log is not None and connection.log.messages and written:
            connection.log.message("sent", msg_id, data)
        return written

    def write_msgs(
        self, prefix: int, messages: Iterable[tuple[int, Buffer]], timeout_msec: float = -1
    ) -> bool:
        """Writes many messages with few calls of the system.

        Args:
            prefix: 0..2**32-1, for all of them.
            messages: pairs of message ID and data. What it raises comes after the messages before
                it went out. Other writers may come between two messages.
            timeout_msec: for all of them.

        Returns:
            Whether all were written.
        """
        connection = self._connection
        if connection.log is not None and connection.log.messages:
            messages = connection.log.sending(messages)
        return connection.write_msgs(prefix, messages, Deadline(timeout_msec))

    # --- callbacks

    def set_callback(self, callback: Callback | None, data: Any = None) -> bool:
        """Has ``callback(data, ipc)`` called, in a thread of its own, when data is pending.

        After a callback none comes until a reading call was made (``accept`` on a listening
        object). ``None`` unregisters, and returns when no callback of this object is running.

        Returns:
            False when the object is not open: the callback will never come.

        Raises:
            TypeError: ``callback`` cannot be called.
        """
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, not {type(callback).__name__}")
        with self._state:
            former, self._registration = self._registration, None
            if former is not None:
                former.cancel()
            source = self._listener or self._connection
            if callback is not None:
                if not self._in_use() or not isinstance(source, Source):
                    self._connection.note(not_connected())
                    return False
                self._registration = register(self, source, callback, data)
        if callback is None:
            wait_until_quiet(self)
        return True

    @staticmethod
    def set_callback_stacksize(size: int = -1) -> None:
        """Deprecated, without any effect."""
        warnings.warn("set_callback_stacksize has no effect", DeprecationWarning, stacklevel=2)

    @staticmethod
    def getVersion() -> str:
        """The version, with what it belongs to."""
        return f"vfiipc {__version__} (Python)"

    @staticmethod
    def ipc_GetVersion() -> str:
        """The version as ``major.minor.patch-build``."""
        return f"{__version__}-0"


def _count(maxsize: int) -> int:
    try:
        number = index(maxsize)
    except TypeError:
        raise TypeError(f"maxsize must be an int, not {type(maxsize).__name__}") from None
    if number < 0:
        raise ValueError(f"maxsize is {number}, but must be 0 or more")
    return number
