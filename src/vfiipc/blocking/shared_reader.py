"""The receive side: one of the waiting threads reads for all, and hands over when it leaves.

An exception raised by a signal handler can end any of these calls between any two steps. So there
is no lock: the right to lead, and the right to change the exchange, are ``Turn`` objects, whose
holders are known by their frames. A message moves from one place to the next in one step, without
an intervening call; what an interrupted call has left unfinished, the next one finishes.
"""

from __future__ import annotations

import time
from _thread import LockType
from collections import deque
from collections.abc import Callable
from sys import _getframe
from types import FrameType
from typing import Final

from ..codec import FramingError, Message
from ..exchange import ConnectionClosed, Exchange, cut_or_ended, same_error
from ..transport.deadline import FOREVER, Deadline
from ..transport.ipc import IPC
from ..transport.lifetime import Lifetime
from ..transport.running_calls import is_running
from ..transport.turn import Turn
from ..transport.waiters import new_bell, ring

__all__ = ["SENT_IN_PART", "SharedReader", "Waiter", "broken_by"]

#: Why a connection was closed inside a message that it was sending.
SENT_IN_PART: Final = "closed, for a message was, or may have been, sent in part"

# The rest of a truncated message is fetched in pieces of this size.
_PIECE: Final = 1 << 16
_AT_ONCE: Final = Deadline(0)


def broken_by(cause: BaseException | None) -> BaseException:
    """What a thread learns of a broken connection (CON-C5): the cause, unless it is a sender's.

    A sender that stops inside a message, because of its time-out or a signal, breaks the connection
    for everyone.
    """
    if isinstance(cause, TimeoutError) and cause.errno is None:
        return ConnectionClosed(f"closed, for {cause}")
    if isinstance(cause, (OSError, FramingError)):
        return cause
    return ConnectionClosed(SENT_IN_PART)


class Waiter:
    """A call that waits for a message: for any, or for the answer to its request.

    Args:
        frame: of the call, if it takes any message; a call that has ended gets none.
    """

    __slots__ = ("bell", "error", "frame", "message", "msg_id")

    def __init__(self, frame: FrameType | None = None) -> None:
        self.frame = frame
        self.message: Message | None = None
        self.error: BaseException | None = None
        #: The ID of its request; None for one that takes any message.
        self.msg_id: int | None = None
        #: Rung when it has a result; None while it does not sleep.
        self.bell: LockType | None = None

    def done(self) -> bool:
        """Whether it has a result."""
        return self.message is not None or self.error is not None

    def is_gone(self) -> bool:
        """Whether its call, which takes any message, has ended without leaving."""
        return self.frame is None or not is_running(self.frame)


class SharedReader:
    """Delivers the messages of one connection to the threads that wait for them.

    No thread reads in the background. The first waiting call leads: it reads, and gives each
    message to the call that it belongs to. When it leaves, with or without a result, another call
    takes the lead (CON-R5). Rules: ``spec/connections.md``.

    Args:
        ipc: the connected object.
        prefix, size_limit: see ``IPC.read_msg``.
        exchange: who gets which message.
    """

    def __init__(self, ipc: IPC, prefix: int, size_limit: int, exchange: Exchange[Waiter]) -> None:
        #: Seconds without a received byte after which a waiting thread ends the connection.
        self.idle_timeout: float | None = None
        #: Called when the connection has been idle for too long.
        self.on_idle: Callable[[], None] = lambda: None
        self._ipc = ipc
        self._expected = ((prefix,), (size_limit,), (ipc.strict,), (-1,))  # as `map` takes them
        self._exchange = exchange
        # Delivered, but not yet known to their waiters. Whoever begins a change hands them over
        # first: their waiters are no longer in the exchange.
        self._granted: list[tuple[Waiter, Message]] = []
        self._ends: deque[tuple[BaseException, bool]] = deque()  # calls of ``finish`` to carry out
        lifetime = Lifetime()  # which never ends: `finish` tells those who wait
        self._leading = Turn(lifetime)
        self._changing = Turn(lifetime)  # the right to change any of these
        self._progress = (0, 0)
        self._heard = time.monotonic()

    # --- for waiting calls

    def receive(self, end: Deadline) -> Message | None:
        """The oldest unclaimed message; None when the time is up.

        Raises:
            ConnectionClosed, OSError, SyncLostError: no more can come.
        """
        waiter = Waiter(_getframe())
        try:
            return self._take_or_join(waiter) or self._wait(waiter, end)
        except BaseException:
            self._leave(waiter, cannot_return=True)
            raise
        finally:
            waiter.frame = None  # breaks a cycle: the frame refers to the waiter

    def _take_or_join(self, waiter: Waiter) -> Message | None:
        """The oldest unclaimed message; otherwise the waiter is queued for the next one."""
        # A turn is taken by a call that does nothing else: one that goes on after an interruption
        # would still count as its holder.
        frame = _getframe()
        try:
            self._begin_change(frame)
            message = self._exchange.take()
            if message is None:
                self._exchange.receivers.append(waiter)
            return message
        finally:
            self._end_change(frame)
            del frame

    def open_request(self, waiter: Waiter) -> int:
        """Gives a waiter a free ID.

        Raises:
            BufferError: unclaimed messages have stopped reading, or every ID is in use.
            ConnectionClosed, OSError, SyncLostError: no answer can come.
        """
        frame = _getframe()
        try:
            self._begin_change(frame)
            if self._exchange.full and self._exchange.end is None:
                raise self._exchange.refusal()  # CON-U3
            waiter.msg_id = self._exchange.open_request(waiter)
            return waiter.msg_id
        finally:
            self._end_change(frame)
            del frame

    def answer_to(self, waiter: Waiter, end: Deadline) -> Message | None:
        """The answer; None when the time is up, and the request is then abandoned.

        Raises:
            BufferError: unclaimed messages have stopped reading.
            ConnectionClosed, OSError, SyncLostError: it cannot arrive any more.
        """
        try:
            return self._wait(waiter, end)
        except BaseException:
            self._leave(waiter, cannot_return=True)
            raise

    def withdraw(self, waiter: Waiter) -> None:
        """Forgets a request of which nothing was sent."""
        frame = _getframe()
        try:
            self._begin_change(frame)
            if waiter.msg_id is not None:
                self._exchange.withdraw(waiter.msg_id, waiter)
        finally:
            self._end_change(frame)
            del frame

    def give_up(self, waiter: Waiter) -> None:
        """Abandons a request that was, or may have been, sent."""
        self._leave(waiter, cannot_return=True)

    def finish(self, end: BaseException, *, drop: bool = False) -> None:
        """Ends receiving, and wakes every waiting call with the reason.

        It never waits, and may be called from a signal handler: if another call is changing the
        state, that call carries this out before it leaves.

        Args:
            end: the exception that waiting calls raise. The first one is kept.
            drop: discard messages that have arrived but were not taken.
        """
        self._ends.append((end, drop))
        self._settle_ends()

    @property
    def end(self) -> BaseException | None:
        """Why no more messages can arrive; those that have arrived are delivered first."""
        return self._exchange.end

    # --- changing

    def _begin_change(self, frame: FrameType) -> None:
        changing = self._changing
        if changing.holders.setdefault(0, frame) is not frame and not changing.take(frame, FOREVER):
            raise RuntimeError("a signal handler cannot use the connection that it interrupts")
        if self._granted:
            self._hand_over()

    def _end_change(self, frame: FrameType) -> None:
        # As `Turn.give`, whose call most changes save.
        changing = self._changing
        if changing.holders.get(0) is frame:
            del changing.holders[0]
        if changing.bells:
            changing.give(frame)
        if self._ends:
            self._settle_ends()

    def _settle_ends(self) -> None:
        frame = _getframe()
        # Checked again after each turn: a call of ``finish`` may have come while it was given back.
        while self._ends and self._changing.take(frame, _AT_ONCE):
            try:
                # Each step may be repeated, by the call that continues after an interruption.
                if self._granted:
                    self._hand_over()
                end, drop = self._ends[0]
                if drop:
                    self._exchange.drop()
                for waiter in self._exchange.finish(end):
                    self._fail(waiter, self._exchange.end or end)
                del self._ends[0]
            except IndexError:  # another thread has done it
                pass
            finally:
                self._changing.give(frame)
        del frame

    def _fail(self, waiter: Waiter, error: BaseException) -> None:
        waiter.error = same_error(error)
        if waiter.bell is not None:
            ring(waiter.bell)

    # --- waiting

    def _wait(self, waiter: Waiter, end: Deadline) -> Message | None:
        frame, leading = _getframe(), self._leading
        leads = leading.holders.setdefault(0, frame) is frame
        if not leads:
            waiter.bell = new_bell()
            leads = leading.take(frame, end, waiter.done, waiter.bell)
        try:
            if leads:
                self._lead(waiter, end)
        finally:
            if leading.holders.get(0) is frame:
                del leading.holders[0]
            if leading.bells:
                leading.give(frame)
            del frame
        if waiter.message is None:
            self._leave(waiter)
        if waiter.message is None and waiter.error is not None:
            raise waiter.error
        return waiter.message

    def _leave(self, waiter: Waiter, *, cannot_return: bool = False) -> None:
        """Removes a waiter whose call ends.

        Args:
            waiter: with or without a message.
            cannot_return: its call cannot return the message, which then goes to another call.
        """
        frame, exchange = _getframe(), self._exchange
        try:
            self._begin_change(frame)
            message = waiter.message
            if message is None:
                if waiter.msg_id is not None:
                    exchange.give_up(waiter.msg_id, waiter)
                elif waiter in exchange.receivers:
                    exchange.receivers.remove(waiter)
            elif cannot_return:
                waiter.message = None
                if waiter.msg_id is not None:
                    exchange.requests.late_answers += 1  # CON-R3
                else:
                    self._forget_gone()
                    exchange.put_back(message, self._granted)
                    self._hand_over()
        finally:
            self._end_change(frame)
            del frame

    # --- reading

    def _lead(self, waiter: Waiter, end: Deadline) -> None:
        arrived = self._exchange.arrived
        while True:
            if arrived:
                self._distribute(waiter)
            if waiter.message is not None or waiter.error is not None:
                return
            until = end if self.idle_timeout is None else self._when_idle(end)
            # One C call: what `read_msg` returns is stored before a signal handler can run.
            read = self._ipc._messages.read_msg
            arrived.extend(filter(None, map(read, *self._expected, (until,))))
            if arrived:
                continue
            over = self._why_over()
            if over is not None:
                self.finish(over)
                self._distribute(waiter)  # waits for a call that may be distributing already
            elif end.passed():
                return
            elif self.idle_timeout is not None:
                self._end_if_idle(self.idle_timeout)

    def _distribute(self, leader: Waiter) -> None:
        """Delivers arrived messages to the calls that wait for them."""
        frame, exchange = _getframe(), self._exchange
        try:
            self._begin_change(frame)
            if self.idle_timeout is not None:
                self._heard = time.monotonic()
            if exchange.receivers and exchange.receivers != [leader]:
                self._forget_gone()
            exchange.deliver(self._granted)
            self._hand_over()
            if exchange.requests.pending and exchange.full:
                for waiter in exchange.requests.waiting():
                    self._fail(waiter, exchange.refusal())
        finally:
            self._end_change(frame)
            del frame

    def _hand_over(self) -> None:
        """Gives waiters the messages that were granted to them, and wakes them."""
        granted = self._granted
        while granted:
            waiter, message = granted[0]
            waiter.message = message
            del granted[0]
            if waiter.bell is not None:
                ring(waiter.bell)

    def _forget_gone(self) -> None:
        """Removes receivers whose calls have ended without leaving, interrupted twice."""
        receivers = self._exchange.receivers
        receivers[:] = [waiter for waiter in receivers if not waiter.is_gone()]

    # --- the end

    def _why_over(self) -> BaseException | None:
        """Why nothing more can arrive; None if something still can."""
        ipc = self._ipc
        if self.end is not None:
            return self.end
        if ipc.error():
            return broken_by(ipc.last_error)
        if ipc.eof():
            pieces = []
            while piece := ipc.read(_PIECE, 0):
                pieces.append(piece)
            return cut_or_ended(b"".join(pieces))
        return None

    # --- idleness: no byte was received while a call was waiting

    def _when_idle(self, end: Deadline) -> Deadline:
        """When the clock must be checked."""
        assert self.idle_timeout is not None
        left = end.within(max(0.0, self._heard + self.idle_timeout - time.monotonic()))
        return Deadline(left * 1000)

    def _end_if_idle(self, seconds: float) -> None:
        received = self._ipc._received()
        if received != self._progress:
            self._progress = received
            self._heard = time.monotonic()
        elif time.monotonic() >= self._heard + seconds:  # CON-S5
            self.finish(ConnectionClosed(f"nothing was received for {seconds:g} s"))
            self.on_idle()
