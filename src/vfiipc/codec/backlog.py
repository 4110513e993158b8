"""Bytes that were fed and not looked at yet: a queue that costs little more than they weigh.

It must offer appending in pieces of any size and taking from the front, both in linear time
overall, and give memory back as it is read. Small pieces are gathered in one growing buffer
(two-byte pieces in a list would take 20 times their size); large ones are kept as they came,
without a copy.
"""

from __future__ import annotations

from collections import deque
from io import BytesIO

__all__ = ["PORTION", "Backlog"]

#: Bytes in a gathered piece, and at most in what ``take`` gives at once.
PORTION = 65536


class Backlog:
    """First in, first out, for bytes. Not thread safe."""

    __slots__ = ("_at", "_gathered", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._at = 0
        self._gathered = BytesIO()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """Adds ``data`` at the end."""
        self._size += len(data)
        if len(data) >= PORTION:
            self._seal()
            self._pieces.append(data)
            return
        self._gathered.write(data)
        if self._gathered.tell() >= PORTION:
            self._seal()

    def take(self, limit: int) -> bytes:
        """Removes and gives bytes at the front: at least one, at most ``limit``, not always all.

        Not to be asked of an empty backlog; ``limit`` is 1 or more.
        """
        if not self._pieces:
            self._seal()
        piece = self._pieces[0]
        stop = self._at + min(limit, PORTION)
        data = piece[self._at : stop]
        if stop < len(piece):
            self._at = stop
        else:
            self._pieces.popleft()
            self._at = 0
        self._size -= len(data)
        return data

    def peek(self, limit: int) -> bytes:
        """The first ``limit`` bytes, or all if there are fewer, left where they are."""
        parts = []
        at = self._at
        for piece in self._pieces:
            parts.append(piece[at : at + limit])
            limit -= len(parts[-1])
            at = 0
            if not limit:
                break
        with self._gathered.getbuffer() as gathered:
            parts.append(bytes(gathered[:limit]))
        return b"".join(parts)

    def _seal(self) -> None:
        if self._gathered.tell():
            self._pieces.append(self._gathered.getvalue())
            self._gathered = BytesIO()
