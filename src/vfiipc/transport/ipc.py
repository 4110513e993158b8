"""``IPC``: the interface of every transport, with the members of the original."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .._version import __version__
from ..codec import Buffer, Message, check_integer
from .callbacks import register, wait_until_quiet
from .deadline import FOREVER, Deadline
from .holder import Holder
from .message_stream import PeekResult
from .stream_state import not_connected

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = TypeVar("Self")  # so that `typing.get_type_hints` resolves it

__all__ = ["IPC"]

Callback = Callable[[Any, "IPC"], object]


class IPC(Holder, ABC):
    """Messages and raw bytes over a connection, whatever the medium.

    No I/O condition raises: a member returns False, None or less than was asked for, and
    ``eof()``, ``error()`` and ``last_error`` tell why (IPC-G1). Only a caller's mistake raises:
    ``TypeError`` for a wrong type, ``ValueError`` for a value out of range (IPC-G2).

    Time-outs are milliseconds; negative waits forever, 0 does not wait. One reader, one writer and
    anyone who closes may run at the same time; several readers take turns, several writers too.
    Use it as a context manager, or call ``close``. Rules: ``spec/ipc.md``.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._listener is not None:
            state = f"listening on {self._listener.local}"
        elif self._messages.stream is not None:
            state = f"{self.local_addr()} to {self.remote_addr()}"
        else:
            state = "not open"
        return f"<{type(self).__name__} {state}>"

    # --- accepting and closing

    @abstractmethod
    def accept(self, timeout_msec: float = -1) -> IPC | None:
        """The next connection of a listening object.

        Args:
            timeout_msec: how long to wait for one.

        Returns:
            A new object, which the caller must close; None on a time-out, after ``close`` or an
            error (``last_error`` tells).
        """

    def close(self) -> None:
        """Closes all descriptors of the object, which may then be reused.

        Blocking members in other threads return at once, as if they had timed out. Clears
        ``eof()``, ``error()`` and ``last_error``, and unregisters the callback without waiting for
        a running one. Other holders of the connection (a forked child, a dup) keep it. Thread safe.
        """
        self._renew()

    # --- state

    def eof(self) -> bool:
        """Whether the peer has closed and a reading call has met the end."""
        return self._messages.eof

    def error(self) -> bool:
        """Whether the connection is broken; stays until ``close`` or a new connection."""
        return self._messages.error

    @property
    def last_error(self) -> BaseException | None:
        """Why something failed: the cause of ``error()``, otherwise the latest failure."""
        return self._messages.last_error

    @property
    def discarded(self) -> int:
        """Bytes of this connection that were discarded while searching for a header."""
        return self._messages.framer.discarded

    def _received(self) -> tuple[int, int]:
        """Changes with every received byte that was not returned in a message."""
        framer = self._messages.framer
        return framer.pending, framer.discarded

    def is_server(self) -> bool:
        """Whether the object is listening."""
        return self._listener is not None

    def remote_addr(self) -> str:
        """The peer's address; empty if unknown."""
        stream = self._messages.stream
        return stream.remote if stream is not None else ""

    def local_addr(self) -> str:
        """This side's address, with the chosen port after ``listen(0)``; may be empty."""
        held = self._listener or self._messages.stream
        return held.local if held is not None else ""

    def getFD(self) -> int:
        """The descriptor to wait on; -1 if there is none.

        From now on, each call receives no more from the system than it needs. What was buffered
        before cannot be put back: first read until ``read_msg`` returns None.
        """
        messages, listener = self._messages, self._listener
        if listener is not None:
            return listener.fileno()
        stream = messages.stream
        if stream is None:
            return -1
        messages.exact = True  # IPC-A2
        return stream.fileno()

    def fileno(self) -> int:
        """``getFD()``, for ``select`` and similar interfaces."""
        return self.getFD()

    # --- reading

    def read_msg(self, prefix: int, size_limit: int, timeout_msec: float = -1) -> Message | None:
        """The next message with this prefix.

        Args:
            prefix: 0..2**32-1; may change from call to call.
            size_limit: maximum data size of the message, in bytes, 0..2**31-5.
            timeout_msec: for the whole message. When it expires nothing is lost: the next call
                continues where this one stopped.

        Returns:
            The message; None on a time-out, at the end of the stream and after an error.
        """
        return self._messages.read_msg(prefix, size_limit, self.strict, timeout_msec)

    def read_msgs(self, prefix: int, size_limit: int, timeout_msec: float = -1) -> list[Message]:
        """The next message, and all complete messages that are buffered behind it.

        Args:
            prefix: as for ``read_msg``.
            size_limit: as for ``read_msg``.
            timeout_msec: for the first message.

        Returns:
            Messages in order of arrival; an empty list where ``read_msg`` returns None. After
            ``getFD``, often just one.
        """
        more: list[Message] = []
        first = self._messages.read_msg(prefix, size_limit, self.strict, timeout_msec, None, more)
        return [] if first is None else [first, *more]

    def read(
        self, maxsize: int, timeout_msec: float = -1, timeout_msec2: float | None = None
    ) -> bytes:
        """Reads raw bytes until it has ``maxsize`` of them.

        Args:
            maxsize: bytes wanted, 0 or more.
            timeout_msec: until the first byte.
            timeout_msec2: for all remaining bytes, from the first on; ``timeout_msec`` if None.

        Returns:
            The bytes; fewer than wanted at the end, after an error, or on a time-out.
        """
        rest = timeout_msec if timeout_msec2 is None else timeout_msec2
        Deadline(rest)  # a caller's mistake raises before anything is read (IPC-G2)
        maxsize = check_integer("maxsize", maxsize, 0)
        return self._messages.read(maxsize, Deadline(timeout_msec), rest)

    def readinto(
        self, buffer: Buffer, timeout_msec: float = -1, timeout_msec2: float | None = None
    ) -> int:
        """Like ``read``, but fills a buffer.

        Args:
            buffer: writable and contiguous; it is filled unless the stream ends or time runs out.
            timeout_msec: until the first byte.
            timeout_msec2: as for ``read``.

        Returns:
            The number of bytes read.
        """
        with memoryview(buffer) as view:
            if view.readonly or not view.c_contiguous:
                raise TypeError("buffer must be writable and without gaps")
            data = self.read(view.nbytes, timeout_msec, timeout_msec2)
            if data:
                view.cast("B")[: len(data)] = data
            return len(data)

    def peek(self, maxsize: int, timeout_msec: float = -1) -> PeekResult:
        """Bytes from the front, without removing them; waits until there are any.

        Args:
            maxsize: maximum number of bytes to show, 1 or more: 0 in the result means the end.
            timeout_msec: until the first byte.

        Returns:
            ``PeekResult(n, data)``: n bytes; n is 0 at the end, -1 after an error, -2 on a
            time-out. Never sets ``eof()`` or ``error()``.
        """
        maxsize = check_integer("maxsize", maxsize, 1)
        return self._messages.peek(maxsize, Deadline(timeout_msec))

    def poll_in(self, timeout_msec: float = -1) -> bool:
        """Whether a reading call would find something, including the end and an error.

        Sets ``eof()`` or ``error()`` if nothing else is left to report. What ``read_msg`` has found
        to be an incomplete message does not count until more arrives.

        Args:
            timeout_msec: how long to wait for something.

        Returns:
            False on a time-out.
        """
        return self._messages.poll_in(Deadline(timeout_msec))

    # --- writing

    def write(self, data: Buffer, timeout_msec: float = -1) -> bool:
        """Writes raw bytes, without a header.

        Args:
            data: bytes-like; wider items count as their bytes.
            timeout_msec: for all of it, including the wait for other writers.

        Returns:
            Whether all of it was written. If only a part was, ``error()`` is latched, because the
            peer could not tell where the next bytes belong.
        """
        return self._messages.write(data, Deadline(timeout_msec))

    def write_msg(self, prefix: int, msg_id: int, data: Buffer, timeout_msec: float = -1) -> bool:
        """Writes one message: header and data, in one system call.

        Args:
            prefix: 0..2**32-1.
            msg_id: ``-2**31..2**31-1``.
            data: bytes-like, at most 2**31-5 bytes.
            timeout_msec: for the whole message, including the wait for other writers.

        Returns:
            Whether all of it was written; ``error()`` is latched if only a part was.
        """
        deadline = FOREVER if timeout_msec == -1 else Deadline(timeout_msec)
        return self._messages.write_msg(prefix, msg_id, data, deadline)

    def write_msgs(
        self, prefix: int, messages: Iterable[tuple[int, Buffer]], timeout_msec: float = -1
    ) -> bool:
        """Writes many messages with few system calls.

        Args:
            prefix: 0..2**32-1, for all of them.
            messages: pairs of message ID and data. An exception from it is raised after the
                messages before it were sent. Other writers may come between two messages.
            timeout_msec: for all of them together.

        Returns:
            Whether all were written.
        """
        return self._messages.write_msgs(prefix, messages, Deadline(timeout_msec))

    # --- callbacks

    def set_callback(self, callback: Callback | None, data: Any = None) -> bool:
        """Registers ``callback(data, ipc)``, which the callback thread calls when data is pending.

        After a callback, none follows until a reading call is made (``accept`` on a listening
        object). A callback that takes long delays those of all other objects.

        Args:
            callback: the function; None unregisters, and returns when no callback of this object
                is running.
            data: passed to the callback unchanged.

        Returns:
            False if the object is neither open nor listening: the callback will never be called.
        """
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, not {type(callback).__name__}")
        messages, source = self._messages, self._listener or self._messages
        # The previous one goes first, because both would watch the same descriptor.
        self._register(messages, None)
        if callback is None:
            wait_until_quiet(self)  # IPC-C5
            return True
        if not self._in_use():
            messages.note(not_connected())
            return False
        try:
            registration = register(self, source, partial(callback, data, self))
        except (OSError, RuntimeError) as cause:  # no descriptor or thread is left (IPC-H8)
            messages.note(cause)
            return False
        return self._register(messages, registration)

    @staticmethod
    def set_callback_stacksize(size: int = -1) -> None:
        """Deprecated; ``size`` has no effect."""
        warnings.warn("set_callback_stacksize has no effect", DeprecationWarning, stacklevel=2)

    @staticmethod
    def getVersion() -> str:
        """The version, with the product's name."""
        return f"vfiipc {__version__} (Python)"

    @staticmethod
    def ipc_GetVersion() -> str:
        """The version as ``major.minor.patch-build``."""
        return f"{__version__}-0"
