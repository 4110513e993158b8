"""The receive side of a connection: wakes the tasks that wait, and applies back-pressure."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Final, TypeAlias

from ..codec import Framer, Message, SyncLostError
from ..exchange import Exchange, same_error
from ..transport.logs import ConnectionLog

__all__ = ["ReceivingProtocol", "Waiter"]

#: What a task waits with: for the answer to its request, or for any other message.
Waiter: TypeAlias = "asyncio.Future[Message]"

#: Loop iterations after which a full inbox fails requests, if no task has taken a message.
_TURNS: Final = 2


class ReceivingProtocol(asyncio.Protocol):
    """Feeds the exchange of one connection with what its transport receives.

    While the inbox is full, reading is paused. It resumes when the inbox is half empty.

    A task waits with a future, which gets the message itself. A task that is cancelled in the same
    iteration of the loop puts it back. ``asyncio.wait_for`` is not used, because on Python 3.10 and
    3.11 it can lose a cancellation or a result when both arrive in the same iteration.

    Args:
        framer: turns bytes into messages.
        exchange: decides who gets each message.
    """

    __slots__ = (
        "_checking",
        "_taken",
        "exchange",
        "framer",
        "idle_timeout",
        "log",
        "loop",
        "paused",
        "received_at",
        "refusal",
        "transport",
    )

    def __init__(self, framer: Framer, exchange: Exchange[Waiter]) -> None:
        self.loop = asyncio.get_running_loop()
        self.framer = framer
        self.exchange = exchange
        #: The transport, from ``connection_made`` until it is gone.
        self.transport: asyncio.Transport | None = None
        #: The connection's log; None if the logger has no handler.
        self.log: ConnectionLog | None = None
        #: Whether reading is paused because the inbox was full.
        self.paused = False
        #: Why nothing can be sent and, after a close on this side, nothing received; or None.
        self.refusal: BaseException | None = None
        #: Seconds without a byte received after which the connection is closed; 0 for no limit.
        self.idle_timeout = 0.0
        self.received_at = 0.0
        self._checking = False
        self._taken = 0

    def data_received(self, data: bytes) -> None:
        """Takes in the next bytes of the stream. Called by the transport."""
        if self.idle_timeout:
            self.received_at = self.loop.time()
        if self.refusal is not None:
            return
        framer, arrived, fault = self.framer, self.exchange.arrived, None
        before = len(arrived)
        try:
            framer.receive_data(data)
            if (message := framer.next_message()) is not None:
                arrived.append(message)
                while (message := framer.next_message()) is not None:
                    arrived.append(message)
                    framer.drain(arrived)  # the fast way to take many
        except SyncLostError as error:
            fault = error
        if self.log is not None and self.log.messages:
            self.log.received(arrived[before:])
        if arrived and not self.paused:
            self._deliver()
            if self.exchange.inbox and self.exchange.full:
                self._pause()
        if fault is not None:
            self.fail(fault)  # CON-C5

    def _deliver(self) -> None:
        for waiter, message in self.exchange.deliver():
            waiter.set_result(message)

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Closes at once, because of an error in what was received."""

    # For tasks that receive

    def leave(self, waiter: Waiter) -> None:
        """Removes a task that receives no message after all."""
        if _has_message(waiter):
            for other, message in self.exchange.put_back(waiter.result()):  # CON-C3
                other.set_result(message)
        elif waiter in self.exchange.receivers:
            self.exchange.receivers.remove(waiter)

    def message_taken(self) -> None:
        """Resumes reading, if it is paused and there is enough room in the inbox."""
        self._taken += 1
        if not self.paused or not self.exchange.half_empty:
            return
        self._deliver()
        if self.exchange.full:
            self.schedule_stall_check()
            return
        self.paused = False
        if self.exchange.end is not None:
            self.finish(self.exchange.end)
        elif self.transport is not None:
            self.transport.resume_reading()

    def _pause(self) -> None:
        self.paused = True
        if self.transport is not None:
            self.transport.pause_reading()  # CON-U2
        self.schedule_stall_check()

    # For requests

    def give_up(self, msg_id: int, waiter: Waiter) -> None:
        """Abandons a request."""
        if _has_message(waiter):  # it came in the iteration in which the task was cancelled
            self.exchange.requests.late_answers += 1  # CON-R3
        else:
            self.exchange.give_up(msg_id, waiter)

    def schedule_stall_check(self) -> None:
        """Makes sure that requests do not wait forever while reading is paused.

        A full inbox blocks answers, too. Whether a task is about to take from it shows only after
        all tasks that are ready have run.
        """
        if self.paused and not self._checking and self.exchange.requests.pending:
            self._checking = True
            self.loop.call_soon(self._check, self._taken, _TURNS)

    def _check(self, taken: int, turns: int) -> None:
        if turns > 1 and self._taken == taken:
            self.loop.call_soon(self._check, taken, turns - 1)
            return
        self._checking = False
        if self.paused and self._taken == taken:
            _fail(self.exchange.requests.waiting(), self.exchange.refusal())  # CON-U3
        else:
            self.schedule_stall_check()

    # The end

    def finish(self, reason: BaseException) -> None:
        """Records why no more bytes will arrive, and wakes every task that waits for them."""
        _fail(self.exchange.finish(reason), self.exchange.end or reason)


def _has_message(waiter: Waiter) -> bool:
    # Asking for the exception marks it as retrieved, even if a cancellation followed.
    return waiter.done() and not waiter.cancelled() and waiter.exception() is None


def _fail(waiters: list[Waiter], error: BaseException) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(same_error(error))
