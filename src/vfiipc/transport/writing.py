"""Writing: turns, deadlines, and the boundaries between messages."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from sys import _getframe
from typing import Final

from ..codec import Buffer, encode, encode_batches, encode_header, flat_bytes
from .byte_stream import ByteStream
from .deadline import Deadline
from .stream_state import StreamState
from .system import WRITE
from .turn import Turn

__all__ = ["WritingStream"]

_Buffers = list["bytes | memoryview"]

# From this size on, header and data are sent as two buffers of one call instead of being joined.
_LARGE: Final = 32768
# The size at which a batch of small messages is complete.
_BATCH_SIZE: Final = 65536


class _Unsent:
    """Buffers to send, and how much of them has been sent.

    Args:
        buffers: flat bytes.
        messages: the messages in them, each whole; None for a single one, or raw data.
    """

    __slots__ = ("_done", "_messages", "_total", "buffers", "uncertain")

    def __init__(self, buffers: _Buffers, messages: _Buffers | None = None) -> None:
        self.buffers = buffers
        self._messages = messages
        self._total = sum(map(len, buffers))
        self._done = 0
        #: Set before a sending call: until ``sent``, it is unknown how much was sent.
        self.uncertain = True

    def sent(self, count: int) -> bool:
        """Advances by ``count`` bytes; True if nothing is left."""
        self._done += count
        self.uncertain = False
        if self._done == self._total:
            return True
        while count:
            first = self.buffers[0]
            if count < len(first):
                self.buffers[0] = memoryview(first)[count:]
                break
            count -= len(first)
            self.buffers = self.buffers[1:]
        return False

    @property
    def inside(self) -> bool:
        """Whether a message is, or may be, half sent: the stream cannot go on (IPC-X8, FRM-S5)."""
        ends = {0, self._total, *accumulate(map(len, self._messages or ()))}
        return self.uncertain or self._done not in ends

    @property
    def progress(self) -> str:
        return f"{self._done} of {self._total} bytes were written"


class WritingStream(StreamState):
    """Writes raw bytes and messages; several writers take turns. Thread safe."""

    def __init__(self) -> None:
        super().__init__()
        # Not the reader's turn: two peers that both write can both read (IPC-H2).
        self._writing = Turn(self.lifetime)

    def write(self, data: Buffer, deadline: Deadline) -> bool:
        return self._write([flat_bytes("data", data)], deadline)

    def write_msg(self, prefix: int, msg_id: int, data: Buffer, deadline: Deadline) -> bool:
        if type(data) is not bytes:
            data = flat_bytes("data", data)
        if len(data) < _LARGE:
            written = self._write([encode(prefix, msg_id, data)], deadline)
        else:
            written = self._write([encode_header(prefix, msg_id, len(data)), data], deadline)
        if self.log is not None and self.log.messages and written:
            self.log.message("sent", msg_id, data)
        return written

    def write_msgs(
        self, prefix: int, messages: Iterable[tuple[int, Buffer]], deadline: Deadline
    ) -> bool:
        encode_header(prefix, 0, 0)  # a wrong prefix raises without any message, too (IPC-G2)
        if self.stream is None:
            self._fail_if_not_open()
            return False
        if self.log is not None and self.log.messages:
            messages = self.log.sending(messages)
        for pieces, single in encode_batches(prefix, messages, _BATCH_SIZE, _LARGE):
            if single:
                written = self._write(pieces, deadline)
            else:
                written = self._write([b"".join(pieces)], deadline, pieces)
            if not written:
                return False
        return True

    def _write(
        self, buffers: _Buffers, deadline: Deadline, messages: _Buffers | None = None
    ) -> bool:
        turn, frame, stream = self._writing, _getframe(), self.stream
        holders, outgoing, sending = turn.holders, None, False
        try:
            if holders.setdefault(0, frame) is not frame and not turn.take(frame, deadline):
                self._note_late()
                return False
            if stream is None or self.lifetime.ended or self._causes:  # IPC-X7
                self._fail_if_not_open()
                return False
            sending = True
            count = stream.send(buffers)
            # Nearly always everything is sent at once, and no record of progress is needed.
            if len(buffers) == 1 and count == len(buffers[0]):
                return True
            outgoing = _Unsent(buffers, messages)
            return self._send_rest(stream, outgoing, count, deadline)
        except OSError as cause:  # IPC-G1
            self.fail(cause)
            return False
        except BaseException as cause:  # IPC-X8
            if outgoing.inside if outgoing is not None else sending:
                self.fail(cause)
            raise
        finally:
            if holders.get(0) is frame:
                del holders[0]
            if turn.bells or self.lifetime.ended:
                turn.give(frame)
            del frame

    def _note_late(self) -> None:
        if not self.lifetime.ended:  # IPC-Z2
            self.note(TimeoutError("timed out before anything was written"))

    def _send_rest(
        self, stream: ByteStream, outgoing: _Unsent, count: int, deadline: Deadline
    ) -> bool:
        while not outgoing.sent(count):
            if not count:
                left = deadline.remaining()
                if left == 0.0:
                    # IPC-T6; latched only inside a message (IPC-X8).
                    late = TimeoutError(f"timed out after {outgoing.progress}")
                    (self.fail if outgoing.inside else self.note)(late)
                    return False
                wait = self._waits.get(WRITE) or self._begin_waiting(WRITE)
                wait(None if left is None else left * 1000)
                if self.lifetime.ended or self._causes:
                    return False
            outgoing.uncertain = True
            count = stream.send(outgoing.buffers)
        return True
