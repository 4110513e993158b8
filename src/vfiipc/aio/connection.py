"""``aio.Connection``: sends and receives messages, and waits for answers, in tasks."""

from __future__ import annotations

from typing import Any

from ..codec import Buffer, Message, encode_header
from ..exchange import ConnectionClosed, same_error, timeout_of
from ..transport.logs import shown
from .protocol import MessageProtocol, name_of
from .receiving import Waiter
from .timeouts import expire_after

__all__ = ["Connection"]


class Connection:
    """One end of a connection, as created by ``connect`` and ``serve``.

    Any number of tasks of one loop may use it at once. Cancelling a task at any ``await`` loses no
    message and leaves the stream in step. Not thread safe. Rules: ``spec/connections.md``.
    """

    __slots__ = (
        "_exchange",
        "_local",
        "_loop",
        "_protocol",
        "_remote",
        "_send_buffer",
    )

    def __init__(self, protocol: MessageProtocol) -> None:
        self._protocol = protocol
        self._loop = protocol.loop
        self._exchange = protocol.exchange
        self._send_buffer = protocol.send_buffer
        self._local = self._remote = ""
        if protocol.transport is not None:
            self._local = name_of(protocol.transport.get_extra_info("sockname"))
            self._remote = name_of(protocol.transport.get_extra_info("peername"))

    def __repr__(self) -> str:
        state = "closed" if self._protocol.refusal is not None else "open"
        return f"<Connection {shown(self._local)} to {shown(self._remote)}, {state}>"

    # Sending

    async def send(self, data: Buffer, msg_id: int = 0, timeout: float | None = None) -> None:
        """Queues a message once there is room; it is sent at the end of the loop iteration.

        Args:
            data: any bytes-like object of at most 2**31-5 bytes.
            msg_id: ``-2**31..2**31-1``.
            timeout: seconds to wait for room; None sets no limit.

        Raises:
            TypeError, ValueError: an argument is invalid.
            TimeoutError: there was no room in time.
            ConnectionClosed: closed on this side, or by the peer.
            OSError: the connection is broken.

        After any exception, a cancellation included, nothing of the message has been sent (CON-C2).
        """
        if timeout is not None or self._send_buffer.busy:
            await self._send(data, msg_id, timeout)
        else:  # the common case, without a second coroutine
            self._send_buffer.put(msg_id, data)

    async def _send(self, data: Buffer, msg_id: int, timeout: float | None) -> None:
        buffer = self._send_buffer
        timeout = timeout_of(timeout)
        data = data if type(data) is bytes else bytes(memoryview(data))
        encode_header(buffer.prefix, msg_id, len(data))  # raises for invalid arguments
        self._raise_if_refused()
        try:
            if buffer.busy:
                await buffer.room(timeout)
                self._raise_if_refused()
            buffer.put(msg_id, data)
        except BaseException:
            buffer.wake_next()
            raise

    # Receiving

    async def recv(self, timeout: float | None = None) -> Message:
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
        if timeout is not None:
            timeout = timeout_of(timeout)
        exchange = self._exchange
        if exchange.inbox or exchange.end is not None:
            message = exchange.take()
            if message is not None:
                if self._protocol.paused:
                    self._protocol.message_taken()
                return message
        if not exchange.requests.pending:
            self._send_buffer.before_waiting()
        waiter: Waiter = self._loop.create_future()
        exchange.receivers.append(waiter)
        if timeout is not None:
            expire_after(timeout, waiter, "no message came")
        try:
            message = await waiter
        except BaseException:
            self._protocol.leave(waiter)
            raise
        return message if not exchange.returned else exchange.oldest(message)

    def __aiter__(self) -> Connection:
        return self

    async def __anext__(self) -> Message:
        """As ``recv``, but a clean end ends the iteration (CON-C6)."""
        try:
            return await self.recv()
        except ConnectionClosed as closed:
            if closed.rest:
                raise
        raise StopAsyncIteration

    # Requests

    async def request(self, data: Buffer, timeout: float | None = None) -> Message:
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
        exchange, buffer = self._exchange, self._send_buffer
        answer: Waiter = self._loop.create_future()
        if timeout is not None:
            timeout = timeout_of(timeout)
            if timeout is not None:
                expire_after(timeout, answer, "no answer came")
        msg_id, leave = None, exchange.withdraw
        try:
            if buffer.busy:
                await buffer.room(timeout)
                self._raise_if_refused()
            msg_id = exchange.open_request(answer)
            buffer.put(msg_id, data)
            leave = self._protocol.give_up
            if len(exchange.requests.pending) == 1:
                buffer.before_waiting()  # no other request is about to join the batch
            if self._protocol.paused:
                self._protocol.schedule_stall_check()
            return await answer
        except BaseException:
            if msg_id is not None:
                leave(msg_id, answer)
            buffer.wake_next()
            raise

    # State

    @property
    def local_address(self) -> str:
        """This end: ``ip:port``, ``[ipv6]:port``, or a path; empty if it has no name."""
        return self._local

    @property
    def remote_address(self) -> str:
        """The other end, as ``local_address``."""
        return self._remote

    @property
    def late_answers(self) -> int:
        """Answers to abandoned requests, which arrived late and were dropped."""
        return self._exchange.requests.late_answers

    @property
    def discarded(self) -> int:
        """Bytes discarded so far while searching for a header."""
        return self._protocol.framer.discarded

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more: closed on this side, or broken."""
        return self._protocol.refusal is not None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Asks asyncio's transport, while it exists, for ``"ssl_object"``, ``"socket"`` etc.

        See ``asyncio.BaseTransport.get_extra_info``.
        """
        transport = self._protocol.transport
        return default if transport is None else transport.get_extra_info(name, default)

    # The end

    def close(self) -> None:
        """Sends what is queued and closes; waiting tasks get ``ConnectionClosed``.

        Messages that were received but not taken are dropped. May be called again. ``wait_closed``
        waits for the end, which comes after ``close_timeout`` seconds at the latest, even if the
        peer reads nothing.
        """
        self._protocol.close()

    def abort(self) -> None:
        """Closes at once; queued messages may be lost."""
        self._protocol.abort()

    async def wait_closed(self) -> None:
        """Waits until the connection is gone; call it after ``close`` or ``abort``."""
        await self._protocol.wait_closed()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        try:
            await self.wait_closed()
        except BaseException:
            self.abort()
            raise

    def _raise_if_refused(self) -> None:
        if self._protocol.refusal is not None:
            raise same_error(self._protocol.refusal)
