"""Decodes a stream into items: messages, discarded bytes with the reason, truncated messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..codec import HEADER_SIZE, MSG_ID, MSG_ID_SIZE, PREFIX, PREFIX_AND_SIZE, SIZE, Framer, Message

__all__ = ["Annotator", "Cut", "Decoded", "Discarded", "FalseHeader", "Gap", "Item"]

_SHOWN = PREFIX_AND_SIZE  # payloads can be card data, so no more of a stream is shown


class Decoded(NamedTuple):
    """A message, and the position of its first byte in the stream."""

    position: int
    message: Message

    @property
    def size(self) -> int:
        """The value of the size field."""
        return len(self.message.data) + MSG_ID_SIZE


@dataclass(frozen=True)
class FalseHeader:
    """A prefix that does not begin a valid header, and the size that follows it."""

    position: int  #: in the stream
    size: int


@dataclass
class Discarded:
    """Consecutive bytes that were discarded while searching for a header."""

    position: int  #: of the first of them in the stream
    count: int = 0  #: number of discarded bytes
    head: bytes = b""  #: the first bytes, at most 8
    #: The first three false headers among them; ``false_count`` counts all.
    false_headers: list[FalseHeader] = field(default_factory=list)
    false_count: int = 0
    size_limit: int = 0  #: the limit that applied, in bytes of data

    def reason(self) -> str:
        """A description of why they are not messages."""
        if not self.false_headers:
            return "no prefix"
        first = self.false_headers[0]
        if first.size < MSG_ID_SIZE:
            text = f"size {first.size} at {first.position:,} is below {MSG_ID_SIZE}"
        else:
            above = f"above the limit of {self.size_limit:,} bytes of data"
            text = f"size {first.size:,} at {first.position:,} is {above}"
        more = self.false_count - 1
        return text + (f", and {more:,} more false headers" if more else "")


@dataclass(frozen=True)
class Cut:
    """The beginning of a message, or of a header, that was never completed."""

    position: int  #: in the stream
    count: int  #: bytes present
    missing: int  #: minimum number of missing bytes
    msg_id: int | None  #: None if the header is cut off

    def reason(self) -> str:
        """A description of what is missing."""
        if self.msg_id is None:
            return f"cut off within the header: {self.count} of {HEADER_SIZE} bytes"
        whole = self.count + self.missing
        return f"message {self.msg_id} cut off: {self.count:,} of {whole:,} bytes"


@dataclass(frozen=True)
class Gap:
    """Bytes that were on the network, but not recorded."""

    position: int
    count: int


Item = Decoded | Discarded | Cut | Gap


class Annotator:
    """Decodes one direction of a connection.

    Args:
        prefix: 0..2**32-1.
        size_limit: maximum data size of a message, in bytes, 0..2**31-5.
        position: the position in the stream of the first byte that will be fed.

    Raises:
        ValueError: an argument is out of range.

    It uses the library's framer, so it shows what a receiver does. Not thread safe.
    """

    def __init__(self, prefix: int, size_limit: int, position: int = 0) -> None:
        self._prefix = prefix
        self._size_limit = size_limit
        self._framer = Framer(prefix, size_limit)
        mark = re.escape(PREFIX.packer.pack(prefix))
        self._mark = re.compile(
            b"(?=" + mark + b")"
        )  # the lookahead finds overlapping prefixes, too
        self._end = position  # position in the stream after the last byte that was fed
        self._position = position  # all bytes before it have been reported
        self._discarded: Discarded | None = None

    @property
    def pending(self) -> int:
        """Bytes that may be the beginning of a message."""
        return self._framer.pending

    def feed(self, data: bytes) -> Iterator[Item]:
        """Yields the items that ``data``, which can have any size, completes."""
        framer = self._framer
        pending = framer.pending
        # Bytes that the framer holds can still be discarded while they are fewer than a header.
        window = framer.peek(pending) + data if 0 < pending < HEADER_SIZE else data
        self._end = end = self._end + len(data)
        first = end - len(window)
        framer.receive_data(data)
        while (message := framer.next_message()) is not None:
            stop = end - framer.pending
            start = stop - HEADER_SIZE - len(message.data)
            if start > self._position:
                self._discard(start, window, first)
            if self._discarded is not None:
                yield from self._take_discarded()
            self._position = stop
            yield Decoded(start, message)
        if end - framer.pending > self._position:
            self._discard(end - framer.pending, window, first)

    def gap(self, count: int) -> Iterator[Item]:
        """Skips ``count`` missing bytes, 1 or more. A message in progress is truncated."""
        yield from self.finish()
        yield Gap(self._position, count)
        self._position += count
        self._end = self._position
        self._framer = Framer(self._prefix, self._size_limit)

    def finish(self) -> Iterator[Item]:
        """Yields the last items at the end of the stream."""
        yield from self._take_discarded()
        pending = self._framer.pending
        if pending:
            missing = self._framer.bytes_wanted()
            head = self._framer.peek(HEADER_SIZE)
            msg_id = None
            if len(head) == HEADER_SIZE:
                (msg_id,) = MSG_ID.packer.unpack_from(head, MSG_ID.offset)
            yield Cut(self._position, pending, missing, msg_id)
            self._position += pending
            self._framer.take(pending)

    def _take_discarded(self) -> Iterator[Item]:
        discarded, self._discarded = self._discarded, None
        if discarded is not None:
            yield discarded

    def _discard(self, stop: int, window: bytes, first: int) -> None:
        """Records that bytes up to ``stop`` were discarded; ``window`` begins at ``first``."""
        if self._discarded is None:
            self._discarded = Discarded(self._position, size_limit=self._size_limit)
        discarded = self._discarded
        count = stop - self._position
        discarded.count += count
        start = self._position - first
        if len(discarded.head) < _SHOWN:
            discarded.head += window[start : start + count][: _SHOWN - len(discarded.head)]
        for mark in self._mark.finditer(window, start):
            at = mark.start()
            if at >= start + count:
                break
            discarded.false_count += 1
            if len(discarded.false_headers) < 3:
                (size,) = SIZE.packer.unpack_from(window, at + SIZE.offset)
                discarded.false_headers.append(FalseHeader(first + at, size))
        self._position = stop
