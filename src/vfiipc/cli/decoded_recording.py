"""Decodes recorded bytes message by message, for commands that read files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..recording import Chunk, Item, RecordedConnection
from .prefix_finder import Framing, Reader
from .sources import Damaged
from .view import NOWHERE, Way

__all__ = ["Explained", "Seen"]


class Seen(NamedTuple):
    """A message, or what is not a message: where and when it was seen."""

    way: Way
    item: Item
    time: float | None


class Explained:
    """Decodes each direction of each connection separately.

    Args:
        framing: prefix and limit.
        timed: whether the chunks have real times.
    """

    def __init__(self, framing: Framing, *, timed: bool) -> None:
        self.connections: set[RecordedConnection] = set()  #: those that have been seen
        self._framing = framing
        self._timed = timed
        self._time: float | None = None
        self._open: dict[tuple[RecordedConnection, bool], tuple[Way, Reader]] = {}

    def items(self, chunks: Iterable[Chunk]) -> Iterator[Seen]:
        """Yields the items of all chunks, including incomplete messages at the end.

        Raises:
            Damaged: the rest of the input cannot be read; raised after the items before it.
        """
        try:
            for chunk in chunks:
                yield from self._chunk(chunk)
        except Damaged:
            yield from self.finish()
            raise
        yield from self.finish()

    def finish(self) -> Iterator[Seen]:
        """Yields the incomplete messages of streams that have not ended."""
        for way, reader in self._open.values():
            yield from _seen(way, reader.finish(), self._time)
        self._open.clear()

    def _chunk(self, chunk: Chunk) -> Iterator[Seen]:
        key = (chunk.connection, chunk.from_client)
        direction = self._open.get(key)
        if direction is None:
            direction = self._open[key] = self._begin(*key)
        way, reader = direction
        time = self._time = chunk.time if self._timed else None
        if chunk.data:
            yield from _seen(way, reader.feed(chunk.data), time)
        if chunk.gap:
            yield from _seen(way, reader.gap(chunk.gap), time)
        if chunk.end:
            yield from _seen(way, reader.finish(), time)
            del self._open[key]

    def _begin(self, connection: RecordedConnection, from_client: bool) -> tuple[Way, Reader]:
        self.connections.add(connection)
        way = NOWHERE
        if connection.number:
            ends = (connection.sender(from_client), connection.sender(not from_client))
            way = Way(connection.number, *ends, from_client)
        return way, self._framing.reader()


def _seen(way: Way, items: Iterable[Item], time: float | None) -> Iterator[Seen]:
    for item in items:
        yield Seen(way, item, time)
