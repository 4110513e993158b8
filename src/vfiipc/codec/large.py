"""A large message in progress, whose data is kept apart from the rest of the stream.

It takes bytes in pieces of any size in linear time, needs little more memory than they do, and
copies them as rarely as possible. Nothing is reserved for what has not arrived.

A message of up to 1 MiB keeps its pieces as they came and joins them once, which takes twice its
size at the end. A growing buffer would be slower: it moves as it grows, and page-faulting its
memory for every message takes time. Above 1 MiB, and for many small pieces, whose overhead would be
larger than their bytes, ``io.BytesIO`` gathers them. It returns its whole content without a copy.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from .layout import unpack_header
from .message import Message, make_message

__all__ = ["LargeMessage"]

# The most bytes of data that are joined, and the most pieces.
_JOINED: Final = 1 << 20
_PIECES: Final = 256


class LargeMessage:
    """The bytes of one message, from its header on. Not thread safe.

    Args:
        header: the whole header, with a size that was accepted.
        data_size: the bytes of data that follow from this size.
        position: where the data begins in the stream.
    """

    __slots__ = ("_gathered", "_header", "_pieces", "_size", "end", "missing", "stop")

    def __init__(self, header: bytes, data_size: int, position: int) -> None:
        self._header = header
        self._pieces: list[bytes] = []
        self._gathered = BytesIO() if data_size > _JOINED else None  # instead of the pieces
        self._size = 0
        #: The number of bytes that are still missing.
        self.missing = data_size
        #: Positions in the stream: behind the last byte so far, and behind the last of the message.
        self.end, self.stop = position, position + data_size

    def __len__(self) -> int:
        return len(self._header) + self._size

    def extend(self, data: bytes | memoryview, position: int) -> int:
        """Adds ``data`` as far as it belongs to the message; returns how many bytes do not.

        Args:
            data: the next bytes of the stream.
            position: where they begin. What an interrupted call has added is not added again.
        """
        behind = position + len(data) - self.stop
        if behind > 0:
            data = memoryview(data)[:-behind]
        if position == self.end:
            pieces: tuple[bytes, ...] = ()
            if self._gathered is None and len(self._pieces) >= _PIECES:
                self._gather()
            if self._gathered is None:
                pieces = (bytes(data),)  # a view would keep the whole chunk in memory
            else:
                self._gathered.seek(self._size)
                self._gathered.write(data)
            end = position + len(data)
            # No call between these lines: an exception from a signal handler comes before or after
            # all of them.
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
        """The message, once nothing is missing; the object is not used afterwards."""
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
