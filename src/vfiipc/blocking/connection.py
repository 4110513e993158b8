"""``Connection``: a Pythonic interface to messages over any connected ``IPC`` object."""

from __future__ import annotations

from ..codec import Buffer, Message
from ..exchange import (
    MAX_UNCLAIMED,
    MAX_UNCLAIMED_SIZE,
    REQUEST_IDS,
    ConnectionClosed,
    Exchange,
    Settings,
    same_error,
    timeout_of,
)
from ..transport.deadline import FOREVER, Deadline
from ..transport.ipc import IPC
from .shared_reader import SENT_IN_PART, SharedReader, Waiter, broken_by

__all__ = ["Connection"]


class Connection:
    """Sends and receives messages, with exceptions, seconds and iteration. Thread safe.

    It owns ``ipc``: nothing else may read, write or close that object. Close the connection, or use
    it as a context manager. Rules: ``spec/connections.md``.

    Args:
        ipc: a connected object: a ``TCP``, ``Pipe``, ``TLS`` or ``Loopback``.
        prefix: the synchronisation mark of both ends, 0..2**32-1.
        size_limit: maximum data size of a received message, in bytes, 0..2**31-5.
        strict: end the connection at the first byte that does not belong to a message.
        request_ids: the message IDs that ``request`` uses, an ascending range.
        max_unclaimed: messages that may wait to be received before reading stops, 1 or more.
        max_unclaimed_size: bytes of data in them before reading stops, 1 or more.

    Raises:
        TypeError, ValueError: an argument is invalid.
    """

    def __init__(
        self,
        ipc: IPC,
        *,
        prefix: int,
        size_limit: int,
        strict: bool = False,
        request_ids: range = REQUEST_IDS,
        max_unclaimed: int = MAX_UNCLAIMED,
        max_unclaimed_size: int = MAX_UNCLAIMED_SIZE,
    ) -> None:
        if not isinstance(ipc, IPC):
            raise TypeError(f"a connection needs an IPC object, not {type(ipc).__name__}")
        settings = Settings(
            prefix, size_limit, strict, request_ids, max_unclaimed, max_unclaimed_size
        )
        exchange: Exchange[Waiter] = settings.exchange()
        ipc.strict = strict
        self._ipc = ipc
        self._prefix = prefix
        self._requests = exchange.requests
        self._reader = SharedReader(ipc, prefix, size_limit, exchange)
        self._reader.on_idle = self._end_idle
        self._refusal: BaseException | None = None  # why nothing can be sent any more
        self._discarded: int | None = None  # known at the end only
        self._local, self._remote = ipc.local_addr(), ipc.remote_addr()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self._local} to {self._remote}"
        return f"<vfiipc.Connection {state}>"

    # --- messages

    def send(self, data: Buffer, msg_id: int = 0, timeout: float | None = None) -> None:
        """Sends a message.

        Args:
            data: any bytes-like object of at most 2**31-5 bytes.
            msg_id: ``-2**31..2**31-1``.
            timeout: seconds to wait for a peer that does not read; None sets no limit.

        Raises:
            TypeError, ValueError: an argument is invalid.
            TimeoutError: it was not sent in time. If a part of it was, the connection is closed.
            ConnectionClosed: this side has closed.
            OSError: the connection is broken.
        """
        if not self._write(msg_id, data, _deadline(timeout)):  # CON-C1
            raise TimeoutError(f"not sent within {timeout:g} s")

    def recv(self, timeout: float | None = None) -> Message:
        """Returns the next message that is not an answer to a request.

        Args:
            timeout: seconds to wait; None sets no limit.

        Raises:
            TypeError, ValueError: ``timeout`` is not a number, or negative.
            TimeoutError: none arrived in time. Nothing is lost.
            ConnectionClosed: the peer or this side has closed. ``rest`` holds the bytes of a
                truncated message.
            SyncLostError: the connection is strict, and what arrived is not a message.
            OSError: the connection is broken.
        """
        message = self._reader.receive(_deadline(timeout))
        if message is None:
            raise TimeoutError(f"no message came within {timeout:g} s")
        return message

    def request(self, data: Buffer, timeout: float | None = None) -> Message:
        """Sends a message with an unused ID, and returns the answer: the message with the same ID.

        Args:
            data: any bytes-like object of at most 2**31-5 bytes.
            timeout: seconds for sending and the answer together; None sets no limit.

        Raises:
            TypeError, ValueError: an argument is invalid.
            TimeoutError: no answer arrived in time. A late answer is dropped and counted.
            BufferError: unclaimed messages have stopped reading, or every ID is in use.
            ConnectionClosed, SyncLostError, OSError: as in ``send`` and ``recv``.
        """
        end = _deadline(timeout)
        waiter = Waiter()
        try:
            sent = self._write(self._reader.open_request(waiter), data, end)
        except (TypeError, ValueError, BufferError):
            self._reader.withdraw(waiter)
            raise
        except BaseException:
            self._reader.give_up(waiter)
            raise
        if not sent:
            self._reader.withdraw(waiter)
            raise TimeoutError(f"not sent within {timeout:g} s")
        answer = self._reader.answer_to(waiter, end)
        if answer is None:
            raise TimeoutError(f"no answer came within {timeout:g} s")
        return answer

    def __iter__(self) -> Connection:
        return self

    def __next__(self) -> Message:
        """As ``recv``, but a clean end ends the iteration (CON-C6)."""
        try:
            return self.recv()
        except ConnectionClosed as closed:
            if closed.rest:
                raise
        raise StopIteration

    # --- sending

    def _write(self, msg_id: int, data: Buffer, end: Deadline) -> bool:
        """Whether it was sent; False if the time-out expired before any of it was."""
        if self._refusal is not None:
            raise same_error(self._refusal)
        ipc = self._ipc
        try:
            if ipc._messages.write_msg(self._prefix, msg_id, data, end):
                return True
        except (TypeError, ValueError):
            raise
        except BaseException as cause:
            # A signal that strikes as the system call returns hides how much was sent (CON-C2).
            self._end(SENT_IN_PART, cause)
            raise
        if self._refusal is not None:
            raise same_error(self._refusal)
        if not ipc.error():
            return False
        error = ipc.last_error
        assert error is not None
        if broken_by(error) is error:
            raise same_error(error)
        self._end(SENT_IN_PART, error)
        # Another thread may have stopped inside a message while this one was waiting.
        own = isinstance(error, TimeoutError) and end.passed()
        raise same_error(error) if own else ConnectionClosed(SENT_IN_PART)

    # --- state

    @property
    def local_address(self) -> str:
        """The address of this end, as ``IPC.local_addr`` returns it."""
        return self._local

    @property
    def remote_address(self) -> str:
        """The address of the peer, as ``IPC.remote_addr`` returns it."""
        return self._remote

    @property
    def late_answers(self) -> int:
        """Answers to abandoned requests, which arrived late and were dropped."""
        return self._requests.late_answers

    @property
    def discarded(self) -> int:
        """Bytes discarded so far while searching for a header."""
        return self._ipc.discarded if self._discarded is None else self._discarded

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more: closed on this side, or broken."""
        return self._refusal is not None or self._ipc.error()

    # --- the end

    def close(self) -> None:
        """Closes; calls that wait in other threads raise ``ConnectionClosed``. May be repeated.

        Messages that were received but not taken are dropped.
        """
        self._end("closed on this side")  # CON-C7

    def _end(self, reason: str, cause: BaseException | None = None) -> None:
        if self._refusal is None:
            self._refusal = ConnectionClosed(reason)
            self._refusal.__cause__ = cause
        self._reader.finish(self._refusal, drop=True)
        self._let_go()

    def _end_idle(self) -> None:
        self._refusal = self._refusal or self._reader.end
        self._let_go()

    def _let_go(self) -> None:
        if self._discarded is None:
            self._discarded = self._ipc.discarded
        self._ipc.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _deadline(timeout: float | None) -> Deadline:
    """The deadline for a time-out in seconds; None never expires.

    Raises:
        TypeError, ValueError: ``timeout`` is not a number, or negative.
    """
    seconds = timeout_of(timeout)
    return FOREVER if seconds is None else Deadline(seconds * 1000)
