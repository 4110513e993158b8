"""A large message in progress, whose data are kept apart from the rest of the stream.

It must take bytes in pieces of any size in linear time, cost little more than they weigh, and hand
the data out with as few copies as can be. Nothing is reserved for what has not arrived.

A message of up to 1 MiB keeps its pieces as they came and joins them once, which takes its size
twice at the end. A growing buffer is moved as it grows, and its memory goes back to the system and
comes from there anew with each message, page by page: 0.2 to 0.9 of an unframed flood over TCP,
from run to run, where joining has 0.7 to 1.2 on a quiet machine. Above 1 MiB, or in many small
pieces, each of which weighs more than its bytes, ``io.BytesIO`` gathers them, and gives its content
without a copy when it is read as a whole: 1.1 times the payload at the peak.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from .layout import unpack_header
from .message import Message, make_message

__all__ = ["LargeMessage"]

# The most data that are joined, and the most pieces of them.
_JOINED: Final = 1 << 20
_PIECES: Final = 256


class LargeMessage:
    """The bytes of one message, from its header on. Not thread safe.

    Args:
        header: the whole header, with a size that was accepted.
        data_size: the number of bytes of data that this size means.
        position: where the data begins in the stream.
    """

    __slots__ = ("_gathered", "_header", "_pieces", "_size", "end", "missing", "stop")

    def __init__(self, header: bytes, data_size: int, position: int) -> None:
        self._header = header
        self._pieces: list[bytes] = []
        self._gathered = BytesIO() if data_size > _JOINED else None  # instead of the pieces
        self._size = 0
        #: The number of bytes that the message still lacks.
        self.missing = data_size
        #: The position in the stream up to which it has its bytes, and that behind its last one.
        self.end, self.stop = position, position + data_size

    def __len__(self) -> int:
        return len(self._header) + self._size

    def extend(self, data: bytes | memoryview, position: int) -> int:
        """Adds ``data`` as far as it belongs to the message; gives how many bytes do not.

        Args:
            data: the next bytes of the stream.
            position: where they begin; what an interrupted call has added is not added again.
        """
        behind = position + len(data) - self.stop
        if behind > 0:
            data = memoryview(data)[:-behind]
        if position == self.end:
            pieces: tuple[bytes, ...] = ()
            if self._gathered is None and len(self._pieces) >= _PIECES:
                self._gather()
            if self._gathered is None:
                pieces = (bytes(data),)  # a view would keep all that it is a part of
            else:
                self._gathered.seek(self._size)
                self._gathered.write(data)
            end = position + len(data)
            # No call between these lines: an exception out of a signal handler comes before or
            # after all of them.
            self._pieces += pieces
            self._size += end - position
            self.missing -= end - position
            self.end = end
        return max(0, behind)

    def _gather(self) -> None:
        gathered = BytesIO()
        gathered.writelines(self._pieces)
        self._gathered = gathered
        self._pieces = []

    def fits(self, prefix: int, max_size: int) -> bool:
        """Whether a receiver with these parameters accepts its header."""
        found, size, _ = unpack_header(self._header)
        return bool(found == prefix and size <= max_size)

    def message(self) -> Message:
        """The message, once nothing is missing; this ends the object's use."""
        _, _, msg_id = unpack_header(self._header)
        gathered = self._gathered
        data = b"".join(self._pieces) if gathered is None else gathered.getvalue()
        return make_message(Message, (msg_id, data))

    def peek(self, n: int) -> bytes:
        """The first ``n`` bytes and perhaps some more, or all if there are fewer."""
        if self._gathered is not None:
            with self._gathered.getbuffer() as data:
                return self._header + data[:n]
        front = [self._header]
        for piece in self._pieces:
            front.append(piece[:n])
            n -= len(front[-1])
            if not n:
                break
        return b"".join(front)
