"""Reads the messages of a file for the table."""

from __future__ import annotations

from collections.abc import Iterator

from ...recording import Chunk
from .. import arguments
from ..decoded_recording import Explained
from ..prefix_finder import Framing
from ..sources import Damaged
from ..view import NOWHERE
from .entries import Entry
from .entry_queue import Feed

__all__ = ["Recorded"]


class Recorded:
    """Reads a file, once.

    Args:
        chunks: what it holds.
        framing: prefix and limit.
        timed: whether the chunks have real times.
        feed: takes what is to be shown.
    """

    def __init__(
        self, chunks: Iterator[Chunk], framing: Framing, feed: Feed, *, timed: bool
    ) -> None:
        self._chunks = chunks
        self._framing = framing
        self._feed = feed
        self._explained = Explained(framing, timed=timed)
        self._ended = False

    def read(self) -> None:
        """Reads everything; the last entry says how it ended."""
        said = "the end of the file"
        try:
            for way, item, time in self._explained.items(self._chunks):
                if self._ended:
                    return
                prefix = self._framing.prefix
                known = arguments.DEFAULT_PREFIX if prefix is None else prefix
                self._feed.put(Entry(way, time, item, prefix=known))
        except Damaged as error:
            said = str(error)
        self._feed.put(Entry(NOWHERE, None, None, said))

    def stop(self) -> None:
        """Makes ``read`` return soon."""
        self._ended = True
