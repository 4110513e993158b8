"""A queue of bytes that were fed to the framer and are not yet examined.

It appends pieces of any size, and takes from the front, both in linear time overall. It needs
little more memory than its bytes, and releases it as it is read. Small pieces are gathered in one
growing buffer, because a list of them would take many times their size; large ones are kept as they
came, without a copy.

Its ends are positions in the stream. Code that takes bytes moves ``start`` in the same step that
stores them elsewhere, so that an exception from a signal handler neither loses nor repeats any.
"""

from __future__ import annotations

from collections import deque
from io import BytesIO

__all__ = ["PORTION", "Backlog"]

#: The bytes of a gathered piece, and the most that ``front`` returns.
PORTION = 65536


class Backlog:
    """First in, first out, for bytes. Not thread safe.

    Args:
        start: the position in the stream of the first byte that will be appended.
    """

    __slots__ = ("_first", "_gathered", "_gathered_size", "_pieces", "end", "start")

    def __init__(self, start: int) -> None:
        #: The position of the next byte to take; code that takes bytes moves it.
        self.start = start
        #: The position behind the last byte.
        self.end = start
        self._pieces: deque[bytes] = deque()
        self._first = start  # the position at which the first piece begins
        self._gathered = BytesIO()
        self._gathered_size = 0

    def __len__(self) -> int:
        return self.end - self.start

    def append(self, data: bytes, position: int) -> None:
        """Adds ``data``, which begins at ``position``, at the end.

        If the call is repeated after an interruption, data already added is not added again.
        """
        if position != self.end:
            return
        end = position + len(data)
        if len(data) >= PORTION:
            self._seal()
            self._pieces += (data,)
            self.end = end
            return
        size = self._gathered_size + len(data)
        self._gathered.seek(self._gathered_size)
        self._gathered.write(data)
        self._gathered_size = size
        self.end = end
        if size >= PORTION:
            self._seal()

    def front(self, limit: int) -> bytes:
        """Bytes at the front, which stay there: at least one, at most ``limit``, perhaps fewer.

        The backlog must not be empty, and ``limit`` is 1 or more.
        """
        while self._pieces and self._first + len(self._pieces[0]) <= self.start:
            size = len(self._pieces[0])
            self._first += size
            del self._pieces[0]
        if not self._pieces:
            self._seal()
        at = self.start - self._first
        return self._pieces[0][at : at + min(limit, PORTION)]

    def peek(self, limit: int) -> bytes:
        """The first ``limit`` bytes, or all if there are fewer; they stay there."""
        parts = []
        at = self.start - self._first
        for piece in self._pieces:
            if at >= len(piece):
                at -= len(piece)
                continue
            parts.append(piece[at : at + limit])
            limit -= len(parts[-1])
            at = 0
            if not limit:
                break
        gathered = self._gathered.getvalue()[: self._gathered_size]
        parts.append(gathered[at : at + limit])
        return b"".join(parts)

    def _seal(self) -> None:
        """Turns the gathered bytes into a piece."""
        if self._gathered_size:
            piece, fresh = self._gathered.getvalue()[: self._gathered_size], BytesIO()
            self._pieces += (piece,)
            self._gathered = fresh
            self._gathered_size = 0
