"""One connection, from its first byte to its close: reading, writing, flags and deadlines.

An ``IPC`` object may have several connections one after another. Each call works on the connection
that it began on, and never touches a later one. Rules: ``spec/ipc.md``.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from ..codec import Framer, FramingError, Message, encode, encode_header
from .callbacks import Source
from .deadline import Deadline
from .logs import ConnectionLog
from .outgoing import LARGE, Buffers, Outgoing, batches, flat, message_buffers
from .peek import PeekResult
from .stream import ByteStream
from .system import READ, WRITE

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Connection", "not_connected"]

# One recv of this size per wake-up is at the limit of what larger ones reach.
_CHUNK: Final = 65536
# Receives that a call may still make after its time: what the kernel holds, but no flood.
_LATE: Final = 64


def not_connected() -> OSError:
    """What reading and writing meet where there is no connection."""
    return OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))


class _EndOfStream(Exception):
    """The peer has closed in an orderly way."""


class Connection(Source):
    """Reads and writes messages and raw bytes over one stream. Thread safe: see ``spec/ipc.md``.

    Args:
        stream: the transport; None for an object that is not open.
        strict: the first ``strict`` of the framer.
    """

    def __init__(self, stream: ByteStream | None, strict: bool = False) -> None:
        self.stream = stream
        self.framer = Framer(0, 0, strict=strict)
        self.eof = False
        self.error = False
        self.last_error: BaseException | None = None
        #: The descriptor was given to the caller: take no more than the call in hand needs.
        self.exact = False
        self.log: ConnectionLog | None = None  # None where nobody listens
        self._end: BaseException | None = None  # what comes after the bytes that arrived
        self._met_end = False
        self._prefix: int | None = None  # what the framer was last told
        self._size_limit: int | None = None
        self._incomplete = False
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._state = threading.Lock()

    def log_to(self, log: ConnectionLog | None) -> None:
        """Has what happens from now on logged."""
        self.log = log
        self.framer.on_discard = log.discarded if log is not None else None

    # --- flags

    def fail(self, cause: BaseException) -> None:
        """Latches ``error()``; the first cause stays, unless there is no connection to break."""
        with self._state:
            first = not self.error
            if first or self.stream is None:
                self.error, self.last_error = True, cause
        if first and self.log is not None:
            self.log.broken(cause)
        if self.stream is not None:
            self.stream.lifetime.nudge()
        if self.on_change is not None:
            self.on_change(False)

    def note(self, cause: BaseException) -> None:
        """Keeps a failure that breaks nothing, unless there was one that did."""
        with self._state:
            if not self.error or self.stream is None:
                self.last_error = cause
        if self.log is not None:
            self.log.failed(cause)

    def _meet_end(self) -> None:
        """A call came to the end of what can be read, and wanted more."""
        self._met_end = self._end is not None or self.error
        if isinstance(self._end, _EndOfStream):
            if not self.error:
                if self.log is not None and not self.eof:
                    self.log.event("met the end: the peer has closed")
                self.eof = True
        elif self._end is not None:
            self.fail(self._end)

    # --- turns

    def _begin(self, turn: threading.Lock, deadline: Deadline) -> ByteStream | None:
        """Waits for the turn within the deadline; None when there is nothing to do."""
        stream = self.stream
        if stream is None:
            return None
        if not turn.acquire(False):
            left = deadline.remaining()
            if not turn.acquire(timeout=-1 if left is None else left):
                return None
        # Who was before may have been woken in the middle of a message, and nothing may follow it:
        # none comes in any more then.
        if stream.lifetime.enter():
            return stream
        turn.release()
        return None

    def _finish(self, turn: threading.Lock, stream: ByteStream) -> None:
        turn.release()
        stream.lifetime.leave()

    # --- reading

    def read_msg(
        self, prefix: int, size_limit: int, strict: bool, timeout_msec: float
    ) -> Message | None:
        stream = self.stream
        # What is buffered is given out without clock and stream: 1.7 times the speed.
        if stream is None or type(timeout_msec) is not int or not self._reading.acquire(False):
            return self._read_msg_in_turn(prefix, size_limit, strict, Deadline(timeout_msec))
        try:
            message = self._buffered_msg(prefix, size_limit, strict)
            if message is None and stream.lifetime.enter():
                try:
                    message = self._await_msg(stream, timeout_msec, None)
                finally:
                    stream.lifetime.leave()
            return message
        except FramingError as fault:
            self._lose_synchronisation(fault)
            return None
        finally:
            self._reading.release()
            if self.on_change is not None:
                self.on_change(True)

    def _read_msg_in_turn(
        self, prefix: int, size_limit: int, strict: bool, deadline: Deadline
    ) -> Message | None:
        stream = self._begin(self._reading, deadline)
        if stream is None:
            Framer(prefix, size_limit)  # a caller's mistake is one here, too
            self._not_open()
            return None
        try:
            message = self._buffered_msg(prefix, size_limit, strict)
            return message or self._await_msg(stream, 0, deadline)
        except FramingError as fault:
            self._lose_synchronisation(fault)
            return None
        finally:
            self._after_reading(stream)

    def read_msgs(
        self, prefix: int, size_limit: int, strict: bool, deadline: Deadline
    ) -> list[Message]:
        stream = self._begin(self._reading, deadline)
        if stream is None:
            Framer(prefix, size_limit)  # a caller's mistake is one here, too
            self._not_open()
            return []
        messages: list[Message] = []
        try:
            first = self._buffered_msg(prefix, size_limit, strict)
            first = first or self._await_msg(stream, 0, deadline)
            if first is not None:
                messages.append(first)
                messages += self.framer.drain()
                # What follows was looked at. Under strict it may be a fault that is still to come.
                self._incomplete = not strict
        except FramingError as fault:
            if not messages:
                self._lose_synchronisation(fault)
        finally:
            self._after_reading(stream)
        return messages

    def _buffered_msg(self, prefix: int, size_limit: int, strict: bool) -> Message | None:
        framer = self.framer
        if prefix is not self._prefix or size_limit is not self._size_limit:
            framer.prefix = self._prefix = prefix
            framer.size_limit = self._size_limit = size_limit
        framer.strict = strict
        return framer.next_message()

    def _await_msg(
        self, stream: ByteStream, timeout_msec: float, deadline: Deadline | None
    ) -> Message | None:
        framer = self.framer
        late = 0
        while late < _LATE:
            arrived = self._receive(stream, framer.bytes_wanted() if self.exact else _CHUNK)
            if arrived:
                message = framer.next_message()
                if message is not None:
                    return message
            # The clock is not asked before it is needed: a twentieth of a round trip.
            deadline = deadline or Deadline(timeout_msec)
            if arrived:
                late += deadline.passed()
            elif self._end is not None or not self._wait_to_read(stream, deadline):
                break
        self._incomplete = True
        self._meet_end()
        return None

    def _lose_synchronisation(self, fault: FramingError) -> None:
        self._end, self._met_end = fault, True
        self.fail(fault)

    def read(self, maxsize: int, deadline: Deadline, rest_msec: float) -> bytes:
        stream = self._begin(self._reading, deadline)
        if stream is None:
            self._not_open()
            return b""
        framer = self.framer
        began = False
        try:
            late = 0
            # Bytes are kept in the framer until the call has all it wants: an exception loses none.
            while framer.pending < maxsize and late < _LATE:
                if framer.pending and not began:
                    began, deadline = True, Deadline(rest_msec)
                if self._receive(stream, maxsize - framer.pending if self.exact else _CHUNK):
                    late += deadline.passed()
                elif self._end is not None or not self._wait_to_read(stream, deadline):
                    break
            data = framer.take(maxsize)
            self._incomplete = False
            if len(data) < maxsize:
                self._meet_end()
            return data
        finally:
            self._after_reading(stream)

    def _after_reading(self, stream: ByteStream) -> None:
        self._finish(self._reading, stream)
        if self.on_change is not None:
            self.on_change(True)

    def _receive(self, stream: ByteStream, wanted: int) -> bool:
        """Feeds the framer with what is there, up to ``wanted`` bytes; False when nothing is."""
        if self._end is not None:
            return False
        try:
            data = stream.receive(min(wanted, _CHUNK))
        except OSError as cause:
            self._end = cause
            return False
        if not data:
            if data is not None:
                self._end = _EndOfStream()
            return False
        self._incomplete = False
        self.framer.receive_data(data)
        return True

    def _wait_to_read(self, stream: ByteStream, deadline: Deadline) -> bool:
        left = deadline.remaining()
        # Nothing is waited for on a broken connection.
        if left == 0.0 or self.error:
            return False
        stream.wait(READ, left)
        return not stream.lifetime.ended()

    def _not_open(self) -> None:
        if self.stream is None:
            self.fail(not_connected())

    # --- looking

    def peek(self, maxsize: int, deadline: Deadline) -> PeekResult:
        stream = self._begin(self._reading, deadline)
        if stream is None:
            if self.stream is not None:
                return PeekResult(-2, b"")
            self.note(not_connected())
            return PeekResult(-1, b"")
        try:
            while True:
                data = self.framer.peek(maxsize)
                if len(data) < maxsize:
                    data += self._look(stream, maxsize - len(data))
                if data:
                    return PeekResult(len(data), data)
                if self._end is not None or self.error:
                    ended = isinstance(self._end, _EndOfStream) and not self.error
                    return PeekResult(0 if ended else -1, b"")
                if not self._wait_to_look(stream, deadline):
                    return PeekResult(-2, b"")
        finally:
            self._finish(self._reading, stream)

    def poll_in(self, deadline: Deadline) -> bool:
        stream = self._begin(self._reading, deadline)
        if stream is None:
            self._not_open()
            return self.stream is None
        try:
            while not self.pending():
                if self._look(stream, 1):
                    return True
                if self._end is None and not self.error:
                    if not self._wait_to_look(stream, deadline):
                        return False
                elif not self.framer.pending:
                    self._meet_end()
                    return True
                else:
                    return True
            return True
        finally:
            self._finish(self._reading, stream)

    def pending(self) -> bool:
        """Whether buffered bytes are worth a reading call: an incomplete message alone is not."""
        return bool(self.framer.pending) and (self._end is not None or not self._incomplete)

    def watched_fileno(self) -> int:
        return self.stream.fileno() if self.stream is not None else -1

    def worth_a_call(self) -> bool:
        if self.pending() or self._end is not None or self.error:
            return True
        stream = self.stream
        return stream is not None and stream.fileno() < 0 and stream.peek(1) is not None

    def finished(self) -> bool:
        return self._met_end

    def _look(self, stream: ByteStream, limit: int) -> bytes:
        if self._end is None:
            try:
                data = stream.peek(limit)
                if data == b"":
                    self._end = _EndOfStream()
                return data or b""
            except OSError as cause:
                # The kernel tells it once; the next reading call has to report it.
                self._end = cause
                self.note(cause)
        return b""

    def _wait_to_look(self, stream: ByteStream, deadline: Deadline) -> bool:
        left = deadline.remaining()
        if left == 0.0:
            return False
        stream.wait(READ, left)
        return not stream.lifetime.ended()

    # --- writing

    def write(self, data: Buffer, deadline: Deadline) -> bool:
        return self._write([flat(data)], deadline)

    def write_msg(self, prefix: int, msg_id: int, data: Buffer, deadline: Deadline) -> bool:
        stream = self.stream
        # A small message needs no record of what was sent, if nobody else writes: a tenth quicker.
        if type(data) is not bytes or len(data) >= LARGE or stream is None:
            return self._write(message_buffers(prefix, msg_id, data), deadline)
        message = encode(prefix, msg_id, data)
        if not self._writing.acquire(False):
            return self._write([message], deadline)
        try:
            if not stream.lifetime.enter():
                return False
            try:
                if self.error:
                    return False
                count = self._send(stream, (message,))
                return count == len(message) or self._send_rest(
                    stream, Outgoing([message]), count, deadline
                )
            except OSError as cause:
                self.fail(cause)
                return False
            finally:
                stream.lifetime.leave()
        finally:
            self._writing.release()

    def write_msgs(
        self, prefix: int, messages: Iterable[tuple[int, Buffer]], deadline: Deadline
    ) -> bool:
        encode_header(prefix, 0, 0)  # a caller's mistake is one even when there are no messages
        if self.stream is None:
            self.fail(not_connected())
            return False
        return all(
            self._write(buffers, deadline, batch) for buffers, batch in batches(prefix, messages)
        )

    def _write(self, buffers: Buffers, deadline: Deadline, messages: Buffers | None = None) -> bool:
        stream = self._begin(self._writing, deadline)
        if stream is None:
            return self._not_written()
        try:
            if self.error:
                return False
            count = self._send(stream, buffers)
            # Nearly always all goes at once, and no record of what was sent is needed.
            if count == len(buffers[0]) and len(buffers) == 1:
                return True
            return self._send_rest(stream, Outgoing(buffers, messages), count, deadline)
        except OSError as cause:
            self.fail(cause)
            return False
        finally:
            self._finish(self._writing, stream)

    def _send(self, stream: ByteStream, buffers: Sequence[bytes | memoryview]) -> int:
        try:
            return stream.send(buffers)
        except OSError:
            raise
        except BaseException as cause:
            self.fail(cause)  # Ctrl-C, as the call ended, hides how much was sent
            raise

    def _not_written(self) -> bool:
        if self.stream is None:
            self.fail(not_connected())
        elif not self.stream.lifetime.ended():
            self.note(TimeoutError("the time was up before anything was written"))
        return False

    def _send_rest(
        self, stream: ByteStream, outgoing: Outgoing, count: int, deadline: Deadline
    ) -> bool:
        try:
            while not outgoing.sent(count):
                if not count:
                    left = deadline.remaining()
                    if left == 0.0:
                        late = TimeoutError(f"the time was up after {outgoing.progress}")
                        (self.fail if outgoing.inside else self.note)(late)
                        return False
                    stream.wait(WRITE, left)
                    if stream.lifetime.ended():
                        return False
                count = self._send(stream, outgoing.buffers)
            return True
        except BaseException as cause:
            if outgoing.inside:
                self.fail(cause)
            raise
