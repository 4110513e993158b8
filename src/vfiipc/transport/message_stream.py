"""Messages and raw bytes over one byte stream: reading, writing, flags and deadlines.

An ``IPC`` object may have several connections one after another. Each call works on the connection
that it began on, and never touches a later one (IPC-Z3). Rules: ``spec/ipc.md``.

A signal handler may raise at any point (IPC-H6). So a turn is recorded with the call's frame, and
is taken over from a call that has ended (``running_calls``). Received bytes stay in ``_arrived``
until the framer has them. A message that an interrupted call could not return waits in
``_returned``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from math import inf
from sys import _getframe
from time import monotonic
from types import FrameType
from typing import Final, NamedTuple

from ..codec import Framer, FramingError, Message
from .byte_stream import ByteStream
from .deadline import LONGEST_MSEC, Deadline
from .logs import ConnectionLog
from .stream_state import not_connected
from .system import READ
from .turn import Turn
from .writing import WritingStream

__all__ = ["MessageStream", "PeekResult"]

# Larger receives bring no more speed.
_CHUNK: Final = 65536
# Receives that a call may still make after its deadline, or the end of the lifetime: enough for
# what the system holds, but not for an endless flood (IPC-T5, IPC-Z1).
_RECEIVES_AFTER_DEADLINE: Final = 64
_SHOWN: Final = 8


class PeekResult(NamedTuple):
    """Bytes from the front of a connection, with ``n`` as the original returns it.

    ``n`` is the number of bytes, 0 at the end of the stream, -1 after an error, -2 on a time-out.
    The repr shows at most 8 bytes, because payloads can be card data (IPC-G4).
    """

    n: int
    data: bytes

    def __repr__(self) -> str:
        more = "..." if len(self.data) > _SHOWN else ""
        return f"PeekResult(n={self.n}, data={self.data[:_SHOWN]!r}{more})"


class _Ending(NamedTuple):
    """What follows the received bytes: an error, or the end of the stream (without a cause)."""

    cause: BaseException | None


class MessageStream(WritingStream):
    """Reads and writes messages and raw bytes over one stream, which is attached by ``open``.

    Thread safe.
    """

    def __init__(self) -> None:
        super().__init__()
        self.framer = Framer(0, 0)
        #: The descriptor was handed out: receive no more than the current call needs.
        self.exact = False
        self._ending: _Ending | None = None  # None while more may come
        self._ending_reported = False
        self._prefix: int | None = None  # as last set in the framer
        self._size_limit: int | None = None
        self._strict = False
        self._incomplete = False
        self._receives: Iterator[bytes | None] = iter(())
        self._arrived: bytes | None = None  # received, and not yet fed
        self._fed = 0
        self._returned: list[Message] = []
        self._reading = Turn(self.lifetime)

    def open(self, stream: ByteStream) -> bool:
        self._receives = stream.receiving(repeat(_CHUNK))  # IPC-A1
        return super().open(stream)

    def log_to(self, log: ConnectionLog | None) -> None:
        """Logs to ``log`` from now on."""
        self.log = log
        self.framer.on_discard = log.discarded if log is not None else None

    def _report_ending(self) -> None:
        """A call has met the end, and wanted more (IPC-E1)."""
        ending = self._ending
        self._ending_reported = ending is not None or bool(self._causes)
        if ending is None:
            return
        if ending.cause is not None:
            self.fail(ending.cause)
        elif not self._causes:  # IPC-E4
            if self.log is not None and not self.eof:
                self.log.event("end of stream: the peer has closed")
            self.eof = True  # no failure, and writing goes on (IPC-E3)

    # --- reading

    def read_msg(
        self,
        prefix: int,
        size_limit: int,
        strict: bool,
        timeout_msec: float,
        deadline: Deadline | None = None,
        more: list[Message] | None = None,
    ) -> Message | None:
        """As ``IPC.read_msg``; a ``deadline`` takes the place of the time-out.

        ``more`` is a list to which complete messages behind the one that is returned are added.
        """
        # A buffered message is returned without asking the clock or the stream.
        if deadline is None and type(timeout_msec) is not int:
            deadline = Deadline(timeout_msec)
        turn, frame, message = self._reading, _getframe(), None
        holders = turn.holders
        try:
            try:
                if holders.setdefault(0, frame) is not frame:
                    deadline = deadline or Deadline(timeout_msec)
                    if not turn.take(frame, deadline):
                        return None
                message = self._next_msg(prefix, size_limit, strict, timeout_msec, deadline)
                if more is not None and message is not None:
                    self._drain(more)
            finally:
                # `_end_reading`, inlined.
                if holders.get(0) is frame:
                    del holders[0]
                if turn.bells or self.on_read is not None or self.lifetime.ended:
                    self._end_reading(turn, frame)
                del frame
            if self.log is not None and self.log.messages and message is not None:
                self.log.received([message, *(more or ())])
        except BaseException:
            if message is not None:
                self._returned += [message, *(more or ())]
            raise
        return message

    def _drain(self, messages: list[Message]) -> None:
        with suppress(FramingError):  # the next call reports it, after these messages
            self.framer.drain(messages)
            # What follows is incomplete. With strict, it may also be a fault.
            self._incomplete = not self._strict

    def _end_reading(self, turn: Turn, frame: FrameType) -> None:
        turn.give(frame)
        self.tell_read()

    def _next_msg(
        self,
        prefix: int,
        size_limit: int,
        strict: bool,
        timeout_msec: float,
        deadline: Deadline | None,
    ) -> Message | None:
        """The next message, for the holder of the turn."""
        framer = self.framer
        if (
            prefix is not self._prefix
            or size_limit is not self._size_limit
            or strict is not self._strict
        ):
            framer.prefix = self._prefix = prefix
            framer.size_limit = self._size_limit = size_limit
            framer.strict = self._strict = strict
        if self._arrived is not None:
            self._feed_arrived()
        try:
            message = self._pop_returned() if self._returned else framer.next_message()
            if message is None and not self.lifetime.ended:
                if self.stream is not None:
                    return self._await_msg(self.stream, timeout_msec, deadline)
                self._fail_if_not_open()
            return message
        except FramingError as fault:  # IPC-X9
            self._ending, self._ending_reported = _Ending(fault), True
            self.fail(fault)
            return None

    def _pop_returned(self) -> Message:
        """Returns a message that an interrupted call could not return."""
        message = self._returned[0]
        del self._returned[0]
        return message

    def _await_msg(
        self, stream: ByteStream, timeout_msec: float, deadline: Deadline | None
    ) -> Message | None:
        """Receives until a message is complete, or nothing can complete it in time.

        It gives up when the deadline passes, when the stream ends or breaks, or on ``close``.
        """
        moment = deadline.moment if deadline is not None else inf
        if deadline is None and 0 <= timeout_msec < LONGEST_MSEC:
            # As `Deadline` computes it, but without its object, which takes time.
            moment = monotonic() + timeout_msec / 1000
        # A receive that finds nothing costs more than a wait for what is there.
        if stream.descriptor_tells:
            self._wait(moment)
        receives_past_deadline = 0
        while not (self._ending or self.lifetime.ended):  # IPC-Z2
            while receives_past_deadline < _RECEIVES_AFTER_DEADLINE and self._receive():
                message = self.framer.next_message()
                if message is not None:
                    return message
                receives_past_deadline += monotonic() >= moment or self.lifetime.ended
            if not self._wait(moment):
                break
        # What has arrived stays in the framer, for the next call to continue with (IPC-T4).
        self._incomplete = True
        self._report_ending()
        return None

    def read(self, maxsize: int, deadline: Deadline, rest_msec: float) -> bytes:
        turn, frame = self._reading, _getframe()
        framer, began, receives_past_deadline = self.framer, False, 0
        try:
            if not self._take_reading(frame, deadline):
                self._fail_if_not_open()
                return b""
            # The framer holds the bytes until there are enough, so that an exception loses none.
            while framer.pending < maxsize and receives_past_deadline < _RECEIVES_AFTER_DEADLINE:
                if framer.pending and not began:
                    began, deadline = True, Deadline(rest_msec)  # IPC-T3
                if self._receive(maxsize - framer.pending):
                    receives_past_deadline += deadline.passed() or self.lifetime.ended
                elif self._ending is not None or not self._wait(deadline.moment):
                    break
            data = framer.take(maxsize)  # before the end or the break (IPC-E2, IPC-X2)
            self._incomplete = False
            if len(data) < maxsize:
                self._report_ending()
            return data
        finally:
            self._end_reading(turn, frame)
            del frame

    def _take_reading(self, frame: FrameType, deadline: Deadline) -> bool:
        """Waits for the reader's turn; False where there is nothing to read."""
        if self.stream is None or not self._reading.take(frame, deadline):
            return False
        self._feed_arrived()
        return not self.lifetime.ended

    def _wait(self, moment: float) -> bool:
        """Waits until there may be something to receive; False if that is pointless."""
        left = (moment - monotonic()) * 1000
        if left <= 0 or self._causes:  # a broken one is not waited for (IPC-X7)
            return False
        wait = self._waits.get(READ) or self._begin_waiting(READ)
        wait(left if left != inf else None)
        return not self.lifetime.ended

    def _receive(self, wanted: int | None = None) -> bool:
        """Feeds the framer with what the stream holds; False if that is nothing.

        Args:
            wanted: the bytes that the call still needs; None for the next message.
        """
        if self._ending is not None:
            return False
        framer, receives = self.framer, self._receives
        if self.exact:
            receives = self._receive_less(wanted)
        self._fed = framer.received
        try:
            # No call: what is received is in `_arrived` before a signal handler can run.
            for self._arrived in receives:
                break
            data = self._arrived
            if data:
                self._incomplete = False
                framer.receive_data(data)
            elif data is not None:
                self._ending = _Ending(None)
        except (BlockingIOError, InterruptedError):
            return False
        except (OSError, FramingError) as cause:
            self._ending, data = _Ending(cause), None
        self._arrived = None
        return bool(data)

    def _receive_less(self, wanted: int | None) -> Iterator[bytes | None]:
        """Receives no more than the call needs (IPC-A2)."""
        stream = self.stream
        assert stream is not None
        limit = self.framer.bytes_wanted() if wanted is None else wanted
        return stream.receiving((min(limit, _CHUNK),))

    def _feed_arrived(self) -> None:
        """Feeds the framer with what an interrupted call has received but not fed."""
        data = self._arrived
        if data and self.framer.received == self._fed:
            self.framer.receive_data(data)
        elif data == b"":
            self._ending = _Ending(None)
        self._arrived = None

    # --- looking, without removing

    def peek(self, maxsize: int, deadline: Deadline) -> PeekResult:
        turn, frame = self._reading, _getframe()
        try:
            if not self._take_reading(frame, deadline):
                if self.stream is not None:
                    return PeekResult(-2, b"")
                self.note(not_connected())
                return PeekResult(-1, b"")
            while True:
                data = self.framer.peek(maxsize)
                if len(data) < maxsize:
                    data += self._peek_stream(maxsize - len(data))
                if data:
                    return PeekResult(len(data), data)
                if self._ending is not None or self._causes:
                    broken = bool(self._causes) or self._ending != _Ending(None)
                    return PeekResult(-1 if broken else 0, b"")
                if not self._wait(deadline.moment):
                    return PeekResult(-2, b"")
        finally:
            turn.give(frame)
            del frame

    def poll_in(self, deadline: Deadline) -> bool:
        turn, frame = self._reading, _getframe()
        try:
            if not self._take_reading(frame, deadline):
                self._fail_if_not_open()
                return self.stream is None
            while not self._holds_something() and not self._peek_stream(1):
                if self._ending is not None or self._causes:
                    if not self.framer.pending:
                        self._report_ending()
                    return True
                if not self._wait(deadline.moment):
                    return False
            return True
        finally:
            turn.give(frame)
            del frame

    def _peek_stream(self, limit: int) -> bytes:
        stream = self.stream
        if self._ending is None and stream is not None:
            try:
                data = stream.peek(limit)  # IPC-A3
                if data == b"":
                    self._ending = _Ending(None)
                return data or b""
            except OSError as cause:
                # The system reports it once; the next reading call must report it (IPC-X4).
                self._ending = _Ending(cause)
                self.note(cause)
        return b""

    def _holds_something(self) -> bool:
        """Whether a reading call would use what is buffered: not an incomplete message (IPC-C3)."""
        if self._returned:
            return True
        return bool(self.framer.pending) and (self._ending is not None or not self._incomplete)

    # --- for callbacks

    def has_pending(self) -> bool:
        if self._holds_something() or self._ending is not None or self._causes:
            return True
        stream = self.stream
        return stream is not None and stream.has_pending()

    def is_finished(self) -> bool:
        return self._ending_reported  # IPC-C4
