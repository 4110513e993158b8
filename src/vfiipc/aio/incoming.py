"""What arrives: messages for requests, for whoever receives, and no more than there is room for."""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias

from ..codec import Framer, Message
from ..exchange import Routing, same_error
from ..transport.logs import ConnectionLog
from .line import Line

__all__ = ["Answer", "Incoming"]

#: What a request waits for.
Answer: TypeAlias = "asyncio.Future[Message]"

#: Turns of the loop after which a full inbox, from which nobody has taken, fails requests.
_TURNS: Final = 2


class Incoming:
    """The messages of one connection, from the bytes of the transport to whoever takes them.

    While the inbox is full, reading is stopped, and what the last piece of the stream held beyond
    that waits behind the inbox. Reading goes on when the inbox is half empty.

    Args:
        loop: the loop of the connection.
        framer: what turns bytes into messages.
        routing: where they go.
    """

    __slots__ = (
        "_at",
        "_behind",
        "_checking",
        "_framer",
        "_inbox",
        "_log",
        "_loop",
        "_requests",
        "_routing",
        "_taken",
        "_transport",
        "end",
        "line",
        "stopped",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, framer: Framer, routing: Routing[Answer]
    ) -> None:
        self._loop = loop
        self._framer = framer
        self._routing = routing
        self._inbox = routing.inbox
        self._requests = routing.requests
        self._transport: asyncio.ReadTransport | None = None
        self._log: ConnectionLog | None = None  # where each message is logged
        self._behind: list[Message] = []  # from _at on, what waits behind the full inbox
        self._at = 0
        self._checking = False
        self._taken = 0
        #: Why no more messages can come; what has arrived is taken first.
        self.end: BaseException | None = None
        #: Whether the inbox has been full, and reading is stopped.
        self.stopped = False
        #: The tasks that wait for a message that answers no request.
        self.line = Line(lambda: len(self._inbox) > 0 or self.end is not None)

    def begin(self, transport: asyncio.ReadTransport, log: ConnectionLog | None) -> None:
        """The connection is there; ``log`` is told what arrives."""
        self._transport = transport
        self._log = log if log is not None and log.messages else None

    def feed(self, data: bytes) -> None:
        """Takes in the next bytes of the stream.

        Raises:
            SyncLostError: the framer is strict; messages before the fault have been delivered.
        """
        framer = self._framer
        framer.receive_data(data)
        messages = framer.drain()
        while messages:
            self._arrived(messages)
            # A fault is told by the call after the one that gave the messages before it.
            messages = framer.drain() if framer.strict else []

    def take(self) -> Message:
        """The oldest message that answers no request.

        Raises:
            IndexError: there is none.
        """
        message = self._inbox.take()
        if self.stopped:
            self._taken += 1
            inbox = self._inbox
            if len(inbox) <= inbox.max_count // 2 and inbox.size <= inbox.max_size // 2:
                self._go_on()
        return message

    def finish(self, end: BaseException) -> None:
        """No more bytes will come, and why; everybody who waits in vain learns it."""
        if self.end is None:
            self.end = end
            if self._at == len(self._behind):
                self._fail_requests()
            self.line.call_all()

    def drop(self) -> None:
        """Forgets what has arrived, when this side closes (CON-C7)."""
        self._behind, self._at = [], 0
        while self._inbox:
            self._inbox.take()
        self._fail_requests()

    def _arrived(self, messages: list[Message]) -> None:
        if self._log is not None:
            self._log.received(messages)
        if self.stopped:
            self._behind = self._behind[self._at :] + messages
            self._at = 0
            return
        at = self._deliver(messages, 0)
        if self._inbox:
            self.line.call_first()
        if at < len(messages) or self._inbox.full:
            self._behind, self._at = messages, at
            self.stopped = True
            if self._transport is not None:
                self._transport.pause_reading()  # CON-U2
            self.expect_no_standstill()

    def _deliver(self, messages: list[Message], at: int) -> int:
        """Delivers messages from ``at`` on until the inbox is full; where it stopped."""
        requests, inbox = self._requests, self._inbox
        # One message for who waits for nothing else: the round trip takes 0.95 of the time.
        if at == 0 and len(messages) == 1 and not inbox and not requests.expecting:
            inbox.put(messages[0])
            return 1
        while at < len(messages) and not inbox.full:
            if not requests.expecting:
                return inbox.put_many(messages, at)
            message = messages[at]
            at += 1
            answer = self._routing.route(message)
            if answer is None:
                continue
            if answer.done():  # given up in this turn of the loop by a task that has not run since
                requests.late_answers += 1
            else:
                answer.set_result(message)
        return at

    def _go_on(self) -> None:
        """There is room in the inbox: first for what waits behind it, then for more."""
        self._at = self._deliver(self._behind, self._at)
        if self._at < len(self._behind) or self._inbox.full:
            self.expect_no_standstill()
            return
        self._behind, self._at = [], 0
        self.stopped = False
        if self.end is not None:
            self._fail_requests()
        elif self._transport is not None:
            self._transport.resume_reading()

    def _fail_requests(self) -> None:
        if self.end is not None:
            self._refuse(self.end)

    def _refuse(self, error: BaseException) -> None:
        for answer in self._requests.waiting():
            if not answer.done():
                answer.set_exception(same_error(error))

    # A full inbox lets no answer through. Whether somebody is about to take from it shows only when
    # the tasks that can run now have run.

    def expect_no_standstill(self) -> None:
        """While reading is stopped, sees to it that requests do not wait in vain."""
        if self.stopped and not self._checking and len(self._requests):
            self._checking = True
            self._loop.call_soon(self._check, self._taken, _TURNS)

    def _check(self, taken: int, turns: int) -> None:
        if turns > 1 and self._taken == taken:
            self._loop.call_soon(self._check, taken, turns - 1)
            return
        self._checking = False
        if self.stopped and self._taken == taken:
            self._refuse(self._routing.refusal())  # CON-U3
        else:
            self.expect_no_standstill()
