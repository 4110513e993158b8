"""What arrives: one waiting thread reads for all of them, and hands over when it leaves."""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from ..codec import FramingError, Message
from ..exchange import ConnectionClosed, Routing, cut_or_ended, same_error
from ..transport.deadline import Deadline
from ..transport.ipc import IPC
from .clock import msec

__all__ = ["SENT_IN_PART", "Incoming", "Waiter", "broken_by"]

#: Why a connection was closed inside a message of its own.
SENT_IN_PART: Final = "closed, for a message was, or may have been, sent in part"

# The process, or the system, has no descriptors left.
_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)
#: Seconds until waiting is tried again then.
_PAUSE: Final = 0.02

# A rest of a message is fetched in pieces of this size.
_PIECE: Final = 1 << 16


def broken_by(cause: BaseException | None) -> BaseException:
    """What a thread learns of a broken connection: the cause, unless that is a sender's alone.

    A sender that stops inside a message, for its time is up or a signal has struck, breaks the
    connection with that.
    """
    if isinstance(cause, TimeoutError) and cause.errno is None:
        return ConnectionClosed(f"closed, for {cause}")
    if isinstance(cause, (OSError, FramingError)):
        return cause
    return ConnectionClosed(SENT_IN_PART)


class Waiter:
    """A thread that waits for a message: for any, or for the answer to its request."""

    __slots__ = ("error", "leads", "message", "msg_id", "signal")

    def __init__(self) -> None:
        self.message: Message | None = None
        self.error: BaseException | None = None
        #: The ID of its request; None for one that takes any message.
        self.msg_id: int | None = None
        #: Locked while it sleeps; None for one that does not.
        self.signal: threading.Lock | None = None
        #: Whether the reading was handed to it.
        self.leads = False

    @property
    def settled(self) -> bool:
        return self.message is not None or self.error is not None


class Incoming:
    """The messages of one connection, on their way to the threads that wait for them.

    No thread reads in the background. The first that waits reads, and gives each message to whom it
    belongs; when it has what it came for, or leaves without, the next one goes on. Nobody holds
    ``lock`` while waiting. Rules: ``spec/connections.md``.

    Args:
        ipc: the connected object.
        prefix, size_limit: see ``IPC.read_msg``.
        routing: requests and unclaimed messages.
    """

    def __init__(self, ipc: IPC, prefix: int, size_limit: int, routing: Routing[Waiter]) -> None:
        self.lock = threading.Lock()
        #: Why no more messages can come; what has arrived is taken first.
        self.end: BaseException | None = None
        #: Seconds without a byte after which a waiting thread ends the connection.
        self.idle_timeout: float | None = None
        #: Called, without the lock, when the connection has been idle for too long.
        self.on_idle: Callable[[], None] = lambda: None
        self._ipc = ipc
        self._prefix = prefix
        self._size_limit = size_limit
        self._routing = routing
        self._inbox = routing.inbox
        self._requests = routing.requests
        self._receivers: deque[Waiter] = deque()
        self._sleepers: dict[Waiter, None] = {}  # in the order in which they came
        self._led = False
        self._progress = (0, 0)
        self._heard = time.monotonic()

    # --- for those who wait

    def receive(self, end: Deadline) -> Message | None:
        """The oldest unclaimed message; None when the time is up.

        Raises:
            ConnectionClosed, OSError, SyncLostError: no more can come.
        """
        waiter = Waiter()
        try:
            with self.lock:
                if self._inbox and not self._receivers:
                    return self._inbox.take()
                if self.end is not None:
                    raise same_error(self.end)
                self._receivers.append(waiter)
            return self._wait(waiter, end)
        except BaseException:
            with self.lock:  # an interrupt may have struck before anybody else would do this
                if waiter in self._receivers:
                    self._receivers.remove(waiter)
            raise

    def open_request(self, waiter: Waiter) -> int:
        """Gives a waiter a free ID.

        Raises:
            BufferError: nobody takes the messages that stop the reading, or every ID is in use.
            ConnectionClosed, OSError, SyncLostError: no answer can come.
        """
        with self.lock:
            if self.end is not None:
                raise same_error(self.end)
            if self._inbox.full:
                raise self._routing.refusal()
            waiter.msg_id = self._requests.open(waiter)
            return waiter.msg_id

    def answer_to(self, waiter: Waiter, end: Deadline) -> Message | None:
        """The answer; None when the time is up: then the request is given up.

        Raises:
            BufferError: messages that nobody takes stop the reading.
            ConnectionClosed, OSError, SyncLostError: it cannot come any more.
        """
        return self._wait(waiter, end)

    def withdraw(self, waiter: Waiter) -> None:
        """Forgets a request of which nothing was sent."""
        with self.lock:
            if waiter.msg_id is not None:
                self._requests.withdraw(waiter.msg_id)

    def give_up(self, waiter: Waiter) -> None:
        """Waits no more for the answer to a request that was, or may have been, sent."""
        with self.lock:
            self._leave(waiter)
            self._put_back(waiter)

    def finish(self, end: BaseException, *, drop: bool = False) -> None:
        """No more will come, and why; everybody who waits learns it.

        Args:
            end: what they raise. The first one stays.
            drop: forget what has arrived and was not taken.
        """
        with self.lock:
            self._finish(end)
            while drop and self._inbox:
                self._inbox.take()

    # --- waiting

    def _wait(self, waiter: Waiter, end: Deadline) -> Message | None:
        try:
            with self.lock:
                if not waiter.settled:
                    self._join(waiter)
            if waiter.signal is not None:
                left = end.remaining()
                waiter.signal.acquire(timeout=-1 if left is None else left)
            if waiter.leads:
                self._lead(waiter, end)
            with self.lock:
                self._leave(waiter)
        except BaseException:
            with self.lock:
                self._leave(waiter)
                self._put_back(waiter)
            raise
        if waiter.error is not None:
            raise waiter.error
        return waiter.message

    def _join(self, waiter: Waiter) -> None:
        if not self._led:
            self._led = waiter.leads = True
            return
        waiter.signal = threading.Lock()
        waiter.signal.acquire()
        self._sleepers[waiter] = None

    def _leave(self, waiter: Waiter) -> None:
        """It waits no more: whatever it held goes to others."""
        self._sleepers.pop(waiter, None)
        if not waiter.settled:
            if waiter.msg_id is not None:
                self._requests.give_up(waiter.msg_id)
            elif waiter in self._receivers:
                self._receivers.remove(waiter)
        if waiter.leads:
            waiter.leads = self._led = False
            self._hand_over()

    def _hand_over(self) -> None:
        for sleeper in self._sleepers:
            del self._sleepers[sleeper]
            self._led = sleeper.leads = True
            assert sleeper.signal is not None
            sleeper.signal.release()
            return

    def _put_back(self, waiter: Waiter) -> None:
        """What it was given, and its caller did not get."""
        if waiter.message is None:
            return
        if waiter.msg_id is not None:
            self._requests.late_answers += 1
            return
        self._inbox.put_back(waiter.message)
        self._serve_receivers()

    # --- reading

    def _lead(self, waiter: Waiter, end: Deadline) -> None:
        ipc = self._ipc
        while not waiter.settled:
            left = end.remaining() if self.idle_timeout is None else self._left(end)
            try:
                message = ipc.read_msg(self._prefix, self._size_limit, msec(left))
            except OSError as error:
                if error.errno not in _NO_DESCRIPTOR:
                    raise
                # Waiting takes a descriptor of its own; reading what has come does not.
                message = None
                time.sleep(end.within(_PAUSE))
            if message is not None:
                with self.lock:
                    self._arrived(message)
                continue
            over = self._why_over()
            if over is not None:
                self.finish(over)
            elif end.passed():
                return
            elif self.idle_timeout is not None:
                self._end_if_idle(self.idle_timeout)

    def _arrived(self, message: Message) -> None:
        self._heard = time.monotonic() if self.idle_timeout is not None else 0.0
        waiter = self._routing.route(message)
        if waiter is not None:
            self._settle(waiter, message)
            return
        self._serve_receivers()
        if self._inbox.full:
            refusal = self._routing.refusal()
            for waiting in self._requests.waiting():
                assert waiting.msg_id is not None
                self._requests.give_up(waiting.msg_id)
                self._fail(waiting, refusal)

    def _serve_receivers(self) -> None:
        while self._receivers and self._inbox:
            self._settle(self._receivers.popleft(), self._inbox.take())

    def _settle(self, waiter: Waiter, message: Message) -> None:
        waiter.message = message
        self._wake(waiter)

    def _fail(self, waiter: Waiter, error: BaseException) -> None:
        waiter.error = same_error(error)
        self._wake(waiter)

    def _wake(self, waiter: Waiter) -> None:
        if waiter in self._sleepers:
            del self._sleepers[waiter]
            assert waiter.signal is not None
            waiter.signal.release()

    # --- the end

    def _why_over(self) -> BaseException | None:
        """Why nothing more can come, if that is so."""
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

    def _finish(self, end: BaseException) -> None:
        if self.end is None:
            self.end = end
        waiting = [*self._receivers, *self._requests.waiting()]
        self._receivers.clear()
        for waiter in waiting:
            if waiter.msg_id is not None:
                self._requests.withdraw(waiter.msg_id)
            self._fail(waiter, self.end)

    # --- idleness: no byte has come, while somebody waited for one

    def _left(self, end: Deadline) -> float:
        """Seconds until it is time to look at the clock."""
        assert self.idle_timeout is not None
        return end.within(max(0.0, self._heard + self.idle_timeout - time.monotonic()))

    def _end_if_idle(self, seconds: float) -> None:
        received = self._ipc._received()
        if received != self._progress:
            self._progress = received
            self._heard = time.monotonic()
        elif time.monotonic() >= self._heard + seconds:
            self.finish(ConnectionClosed(f"nothing was received for {seconds:g} s"))
            self.on_idle()
