"""The receive side: delivers messages to requests and receivers, and applies back-pressure."""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias

from ..codec import Framer, Message
from ..exchange import Routing, same_error
from ..transport.logs import ConnectionLog
from .waiter_queue import WaiterQueue

__all__ = ["Answer", "Incoming"]

#: What a request waits for.
Answer: TypeAlias = "asyncio.Future[Message]"

#: Loop iterations after which a full inbox fails requests, if no task has taken a message.
_TURNS: Final = 2


class Incoming:
    """The messages of one connection, from the transport's bytes to the tasks that take them.

    While the inbox is full, reading is paused, and surplus messages of the last piece of the stream
    wait behind the inbox. Reading resumes when the inbox is half empty.

    Args:
        loop: the loop of the connection.
        framer: turns bytes into messages.
        routing: decides where each message goes.
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
        "receivers",
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
        self._behind: list[Message] = []  # from _at on, messages waiting behind the full inbox
        self._at = 0
        self._checking = False
        self._taken = 0
        #: Why no more messages can arrive; those that have arrived are delivered first.
        self.end: BaseException | None = None
        #: Whether reading is paused because the inbox was full.
        self.stopped = False
        #: The tasks that wait for a message that answers no request.
        self.receivers = WaiterQueue(lambda: len(self._inbox) > 0 or self.end is not None)

    def begin(self, transport: asyncio.ReadTransport, log: ConnectionLog | None) -> None:
        """Starts with the connection's transport; ``log`` records arriving messages."""
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
            # The framer reports a fault one call after it has returned the messages before it.
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
        """Records why no more bytes will arrive, and wakes every call that waits for them."""
        if self.end is None:
            self.end = end
            if self._at == len(self._behind):
                self._fail_requests()
            self.receivers.wake_all()

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
            self.receivers.wake_first()
        if at < len(messages) or self._inbox.full:
            self._behind, self._at = messages, at
            self.stopped = True
            if self._transport is not None:
                self._transport.pause_reading()  # CON-U2
            self.schedule_stall_check()

    def _deliver(self, messages: list[Message], at: int) -> int:
        """Delivers messages from ``at`` on until the inbox is full; returns where it stopped."""
        requests, inbox = self._requests, self._inbox
        # The common case of a round trip: one message, and no request that it could answer.
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
            if answer.done():  # abandoned in this loop iteration; its task has not run yet
                requests.late_answers += 1
            else:
                answer.set_result(message)
        return at

    def _go_on(self) -> None:
        """Refills the inbox from the messages behind it, then resumes reading."""
        self._at = self._deliver(self._behind, self._at)
        if self._at < len(self._behind) or self._inbox.full:
            self.schedule_stall_check()
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

    # A full inbox blocks answers, too. Whether a task is about to take from it shows only after all
    # tasks that are ready have run.

    def schedule_stall_check(self) -> None:
        """Makes sure that requests do not wait for ever while reading is paused."""
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
            self.schedule_stall_check()
