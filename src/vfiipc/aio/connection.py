"""``aio.Connection``: sends and receives messages, and waits for answers, in tasks."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ..codec import Message, encode, encode_header
from ..exchange import ConnectionClosed, same_error, timeout_of
from ..transport.logs import shown
from .incoming import Answer
from .names import name_of
from .outgoing import LARGE
from .protocol import MessageProtocol
from .waiter_queue import expire

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Connection"]

_LATE: Final = "no answer came"


class Connection:
    """One end of a connection, as created by ``connect`` and ``serve``.

    Any number of tasks of one loop may use it at once. Cancelling a task at any ``await`` loses no
    message and leaves the stream in step. Not thread safe. Rules: ``spec/connections.md``.
    """

    __slots__ = (
        "_inbox",
        "_incoming",
        "_local",
        "_log",
        "_outgoing",
        "_prefix",
        "_protocol",
        "_remote",
    )

    def __init__(self, protocol: MessageProtocol) -> None:
        self._protocol = protocol
        log = protocol.log
        self._log = log if log is not None and log.messages else None  # of each message
        self._prefix = protocol.framer.prefix
        self._incoming = protocol.incoming
        self._outgoing = protocol.outgoing
        self._inbox = protocol.routing.inbox
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
            msg_id: -2**31..2**31-1.
            timeout: seconds to wait for room; None sets no limit.

        Raises:
            TypeError, ValueError: an argument is wrong.
            TimeoutError: there was no room in time.
            ConnectionClosed: closed on this side, or by the peer.
            OSError: the connection is broken.

        After any exception, a cancellation included, nothing of the message has been sent (CON-C2).
        """
        # The common case avoids a second coroutine.
        if timeout is None and not self._outgoing.busy:
            self._put(data, msg_id)
        else:
            await self._send(data, msg_id, timeout)

    async def _send(self, data: Buffer, msg_id: int, timeout: float | None) -> None:
        timeout = timeout_of(timeout)
        data = data if type(data) is bytes else bytes(memoryview(data))
        encode_header(self._prefix, msg_id, len(data))  # raises for invalid arguments
        self._raise_if_refused()
        outgoing = self._outgoing
        try:
            if outgoing.busy:
                await outgoing.room(timeout)
                self._raise_if_refused()
            self._put(data, msg_id)
        finally:
            outgoing.wake_next()

    def _put(self, data: Buffer, msg_id: int) -> None:
        if self._log is not None:
            self._log.message("sent", msg_id, data)
        if type(data) is bytes and len(data) >= LARGE:
            header = encode_header(self._prefix, msg_id, len(data))
            self._outgoing.put_large(header, data)
        else:
            self._outgoing.put(encode(self._prefix, msg_id, data))

    # Receiving

    async def recv(self, timeout: float | None = None) -> Message:
        """The next message that answers no request.

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
        incoming = self._incoming
        waiters = incoming.receivers.waiters
        if waiters or not self._inbox:
            await self._wait_for_message(timeout)
        message = incoming.take()
        if waiters:
            incoming.receivers.wake_next()
        return message

    async def _wait_for_message(self, timeout: float | None) -> None:
        incoming = self._incoming
        if not self._inbox and incoming.end is not None:
            self._raise(incoming.end)
        if not self._protocol.routing.requests:
            self._outgoing.before_waiting()
        await incoming.receivers.wait(timeout, "no message came")
        if not self._inbox:
            # A task that joined after the end was announced still has to be woken.
            incoming.receivers.wake_next()
            assert incoming.end is not None
            self._raise(incoming.end)

    def __aiter__(self) -> Connection:
        return self

    async def __anext__(self) -> Message:
        """As ``recv``, but a clean end ends the iteration (CON-C6)."""
        incoming = self._incoming
        waiters = incoming.receivers.waiters
        if waiters or not self._inbox:
            try:
                await self._wait_for_message(None)
            except ConnectionClosed as closed:
                if closed.rest:
                    raise
                raise StopAsyncIteration from None
        message = incoming.take()
        if waiters:
            incoming.receivers.wake_next()
        return message

    # Requests

    async def request(self, data: Buffer, timeout: float | None = None) -> Message:
        """Sends a message with a free ID, and waits for the one that comes back with that ID.

        Args:
            data: any bytes-like object of at most 2**31-5 bytes.
            timeout: seconds for sending and the answer together; None sets no limit.

        Raises:
            TypeError, ValueError: an argument is wrong.
            TimeoutError: no answer arrived in time. A late answer is dropped and counted.
            BufferError: unclaimed messages have stopped reading, or every ID is in use.
            ConnectionClosed, SyncLostError, OSError: as in ``send`` and ``recv``.
        """
        timeout = timeout_of(timeout)
        loop = asyncio.get_running_loop()
        requests, outgoing = self._protocol.routing.requests, self._outgoing
        answer: Answer = loop.create_future()
        timer = (
            None if timeout is None else loop.call_later(timeout, expire, answer, _LATE, timeout)
        )
        msg_id = None
        try:
            try:
                if outgoing.busy:
                    await outgoing.room(timeout)
                self._raise_if_ended()
                msg_id = requests.open(answer)  # CON-R1
                self._put_request(data, msg_id)
            finally:
                outgoing.wake_next()  # the next sender must not wait for this request's answer
            if len(requests) == 1:
                outgoing.before_waiting()  # no other request is about to join the batch
            return await answer
        except BaseException:
            self._give_up(answer, msg_id)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _put_request(self, data: Buffer, msg_id: int) -> None:
        try:
            self._put(data, msg_id)
        except BaseException:
            self._protocol.routing.requests.withdraw(msg_id)
            raise
        self._incoming.schedule_stall_check()

    def _give_up(self, answer: Answer, msg_id: int | None) -> None:
        requests = self._protocol.routing.requests
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            # It came in the turn of the loop in which this task was cancelled (CON-R3).
            requests.late_answers += 1
        elif msg_id is not None:
            requests.give_up(msg_id)

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
        return self._protocol.routing.requests.late_answers

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
        await self._protocol.lost.wait()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        try:
            await self.wait_closed()
        except BaseException:
            self.abort()
            raise

    def _raise_if_refused(self) -> None:
        if self._protocol.refusal is not None:
            self._raise(self._protocol.refusal)

    def _raise_if_ended(self) -> None:
        error = self._protocol.refusal or self._incoming.end
        if error is not None:
            self._raise(error)

    @staticmethod
    def _raise(error: BaseException) -> NoReturn:
        raise same_error(error)
