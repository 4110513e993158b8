"""One direction of a connection, cut up so that whole messages can be held back.

While nothing is to be held, bytes pass at once, also those of half a message. While something may
be, the bytes of a message wait until it is whole. The bytes that have passed are known exactly, so
either may begin at any time: a message of which some bytes have passed is never held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...codec import HEADER_SIZE
from ...recording import Decoded, Item
from ..prefix_finder import Reader

__all__ = ["Gate", "Piece"]


class Piece(NamedTuple):
    """The next bytes to relay, and the item to show with them."""

    data: bytes
    item: Item | None = None
    whole: bool = False  #: the bytes are exactly one message, that of the item
    between: bool = True  #: another message can be inserted after these bytes


class Gate:
    """Cuts a stream into pieces. Not thread safe.

    Args:
        reader: explains the stream.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._waiting = bytearray()  # bytes received and not yet returned
        self._passed = 0  # their position in the stream

    def feed(self, data: bytes, *, holding: bool) -> Iterator[Piece]:
        """The pieces that the next bytes complete, in order.

        Args:
            data: the next bytes.
            holding: whether messages may be held.
        """
        self._waiting += data
        for item in self._reader.feed(data):
            yield from self._told(item)
        between = self._passed + len(self._waiting) - self._reader.pending
        rest = self._take(between if holding else self._passed + len(self._waiting))
        if rest:
            yield Piece(rest, between=self._passed <= between)

    def finish(self) -> Iterator[Piece]:
        """The last pieces at the end of the stream."""
        for item in self._reader.finish():
            yield from self._told(item)
        if rest := self._take(self._passed + len(self._waiting)):
            yield Piece(rest, between=False)

    def _told(self, item: Item) -> Iterator[Piece]:
        if not isinstance(item, Decoded):
            yield Piece(b"", item)
            return
        whole = item.position >= self._passed
        if garbage := self._take(item.position):
            yield Piece(garbage)
        stop = item.position + HEADER_SIZE + len(item.message.data)
        yield Piece(self._take(stop), item, whole)

    def _take(self, stop: int) -> bytes:
        count = max(0, stop - self._passed)
        data = bytes(self._waiting[:count])
        del self._waiting[:count]
        self._passed += len(data)
        return data
