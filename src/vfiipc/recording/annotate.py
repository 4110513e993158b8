"""What a framer makes of a stream: its messages, what it dropped and why, what was cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..codec import HEADER, Framer, Message, encode_header

__all__ = ["Annotator", "Cut", "Decoded", "Discarded", "FalseHeader", "Gap", "Item"]

_HEADER_SIZE: int = HEADER.sizeof()
_PREFIX_SIZE: int = HEADER.prefix.sizeof()
_JUDGED_SIZE: int = _PREFIX_SIZE + HEADER.size.sizeof()
_COUNTED: int = HEADER.msg_id.sizeof()
_SHOWN = 8  # as everywhere: not more of a stream than a prefix and a size


@dataclass(frozen=True)
class Decoded:
    """A message, and the place of its first byte in the stream."""

    position: int
    message: Message

    @property
    def size(self) -> int:
        """What the field of this name holds."""
        return len(self.message.data) + _COUNTED


@dataclass(frozen=True)
class FalseHeader:
    """A prefix that no header began with, and the size that told so."""

    position: int
    size: int


@dataclass
class Discarded:
    """Bytes that were dropped, one behind the other, while looking for a header."""

    position: int
    count: int = 0
    head: bytes = b""  #: the first of them, at most 8
    #: Prefixes among them, the first three; ``false_count`` tells how many there were.
    false_headers: list[FalseHeader] = field(default_factory=list)
    false_count: int = 0
    size_limit: int = 0

    def reason(self) -> str:
        """Why they are no messages, in words."""
        if not self.false_headers:
            return "no prefix"
        first = self.false_headers[0]
        if first.size < _COUNTED:
            said = f"size {first.size} at {first.position:,} is below {_COUNTED}"
        else:
            above = f"above the limit of {self.size_limit:,} bytes of data"
            said = f"size {first.size:,} at {first.position:,} is {above}"
        more = self.false_count - 1
        return said + (f", and {more:,} more false headers" if more else "")


@dataclass(frozen=True)
class Cut:
    """The beginning of a message, or of a header, that never became whole."""

    position: int
    count: int  #: bytes that are there
    missing: int  #: bytes that are not, at least
    msg_id: int | None  #: None where the header is cut off, too

    def reason(self) -> str:
        """What is cut off, in words."""
        if self.msg_id is None:
            return f"cut off within the header: {self.count} of {_HEADER_SIZE} bytes"
        whole = self.count + self.missing
        return f"message {self.msg_id} cut off: {self.count:,} of {whole:,} bytes"


@dataclass(frozen=True)
class Gap:
    """Bytes that were on the network, but not recorded."""

    position: int
    count: int


Item = Decoded | Discarded | Cut | Gap


class Annotator:
    """Explains one direction of a connection.

    Args:
        prefix: 0..2**32-1.
        size_limit: the most bytes of data in a message, 0..2**31-5.

    Raises:
        ValueError: an argument is out of its range.

    The framer is that of the library, so what is told here is what a receiver would do. Not thread
    safe.
    """

    def __init__(self, prefix: int, size_limit: int) -> None:
        self._prefix = prefix
        self._size_limit = size_limit
        mark = re.escape(encode_header(prefix, 0, 0)[:_PREFIX_SIZE])
        self._mark = re.compile(b"(?=" + mark + b")")  # also those that overlap
        self._start = 0  # where in the stream the framer began
        self._received = 0  # bytes that it got
        self._framer = Framer(prefix, size_limit)
        self._position = 0  # everything before has been told of
        self._discarded: Discarded | None = None
        self._wanted = 0

    def feed(self, data: bytes) -> Iterator[Item]:
        """What can be told after some more bytes, however the stream is cut into pieces."""
        pending = self._framer.pending
        # Only what is not known to begin a message may yet be dropped, and that is short.
        window = (self._framer.peek(pending) if pending < _HEADER_SIZE else b"") + data
        first = self._start + self._received + len(data) - len(window)
        self._received += len(data)
        self._framer.receive_data(data)
        while (message := self._framer.next_message()) is not None:
            stop = self._start + self._received - self._framer.pending
            start = stop - _HEADER_SIZE - len(message.data)
            self._drop(start, window, first)
            yield from self._told()
            yield Decoded(start, message)
            self._position = stop
        self._drop(self._start + self._received - self._framer.pending, window, first)

    def gap(self, count: int) -> Iterator[Item]:
        """Bytes are missing here, 1 or more: what was half received cannot be completed."""
        yield from self.finish()
        yield Gap(self._position, count)
        self._position += count
        self._start, self._received = self._position, 0
        self._framer = Framer(self._prefix, self._size_limit)

    def finish(self) -> Iterator[Item]:
        """What is left at the end of the stream."""
        yield from self._told()
        pending = self._framer.pending
        if pending:
            missing = self._framer.bytes_wanted()
            head = self._framer.peek(_HEADER_SIZE)
            msg_id = None
            if len(head) == _HEADER_SIZE:
                msg_id = int(HEADER.parse(head).msg_id)
            yield Cut(self._position, pending, missing, msg_id)
            self._position += self._framer.pending
            self._framer.take(pending)

    def _told(self) -> Iterator[Item]:
        discarded, self._discarded = self._discarded, None
        if discarded is not None:
            yield discarded

    def _drop(self, stop: int, window: bytes, first: int) -> None:
        """Notes that everything up to ``stop`` was dropped; ``window`` begins at ``first``."""
        count = stop - self._position
        if count <= 0:
            return
        if self._discarded is None:
            self._discarded = Discarded(self._position, size_limit=self._size_limit)
        discarded = self._discarded
        discarded.count += count
        start = self._position - first
        if len(discarded.head) < _SHOWN:
            discarded.head += window[start : start + count][: _SHOWN - len(discarded.head)]
        for mark in self._mark.finditer(window, start):
            at = mark.start()
            if at >= start + count:
                break
            size = window[at + _PREFIX_SIZE : at + _JUDGED_SIZE]
            discarded.false_count += 1
            if len(discarded.false_headers) < 3:
                found = FalseHeader(first + at, int(HEADER.size.parse(size)))
                discarded.false_headers.append(found)
        self._position = stop
