"""Detects the prefix of a stream.

A header is recognised by what follows it: the same prefix at the position where, according to the
size, the next message begins. Four equal bytes are rarely a coincidence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..codec import HEADER_SIZE, MSG_ID_SIZE, PREFIX, PREFIX_AND_SIZE, SIZE, Framer

__all__ = ["Guess", "guess_prefixes"]

_TRIED = 20  # maximum number of prefixes that are tried on all streams
_SCANNED = 256 << 10  # bytes of each stream that are searched for headers


@dataclass(frozen=True)
class Guess:
    """A likely prefix, and the evidence for it."""

    prefix: int
    messages: int  #: number of messages found with it
    links: int  #: how often the next message, or the end, followed where the size said
    share: float  #: fraction of all bytes that belongs to these messages, 0..1

    @property
    def confidence(self) -> str:
        """``sure``, ``likely`` or ``possible``.

        ``sure``: ``links`` is at least 3 and ``share`` at least 0.5; ``likely``: at least 2 and
        0.25; ``possible``: anything less, such as a single message that ends with the stream.
        """
        if self.links >= 3 and self.share >= 0.5:
            return "sure"
        if self.links >= 2 and self.share >= 0.25:
            return "likely"
        return "possible"


def guess_prefixes(streams: Iterable[bytes], size_limit: int) -> list[Guess]:
    """Returns the likely prefixes of streams, best first; empty if none is found.

    Args:
        streams: the beginnings of streams, each of one direction of one connection and with at
            least one message. The first 256 KiB of each are searched for headers.
        size_limit: maximum data size of a message, in bytes, 0..2**31-5.
    """
    pieces = list(streams)
    links: Counter[bytes] = Counter()
    for stream in pieces:
        links.update(_links(stream, size_limit))
    guesses = [_tried(mark, pieces, size_limit) for mark, _ in links.most_common(_TRIED)]
    # Payloads can contain messages with another prefix, so the prefix that covers more bytes wins.
    found = [guess for guess in guesses if guess.links]
    return sorted(found, key=_weight, reverse=True)


def _links(stream: bytes, size_limit: int) -> Iterator[bytes]:
    """Yields the prefix of each header that is followed by the same prefix or the end."""
    end = len(stream)
    smallest, largest = MSG_ID_SIZE, min(size_limit + MSG_ID_SIZE, end)
    scanned = max(0, min(end - HEADER_SIZE + 1, _SCANNED))
    sizes = _sizes(largest).finditer(stream, SIZE.offset, scanned + PREFIX_AND_SIZE - 1)
    for at in (found.start() - SIZE.offset for found in sizes):
        (size,) = SIZE.packer.unpack_from(stream, at + SIZE.offset)
        if size < smallest or size > largest:
            continue
        stop = at + PREFIX_AND_SIZE + size
        if stop > end:
            continue
        mark = stream[at : at + PREFIX.packer.size]
        if stop == end or stream.startswith(mark, stop):
            yield mark


def _sizes(largest: int) -> re.Pattern[bytes]:
    """A pattern that matches sizes of up to ``largest``, and possibly some larger ones."""
    highest = SIZE.packer.pack((1 << largest.bit_length()) - 1)
    return re.compile(b"(?=" + b"".join(b"[\\x00-\\x%02x]" % byte for byte in highest) + b")")


def _tried(mark: bytes, streams: Iterable[bytes], size_limit: int) -> Guess:
    """Counts the messages that a framer finds with this prefix."""
    (prefix,) = PREFIX.packer.unpack(mark)
    messages = links = size = total = 0
    for stream in streams:
        framer = Framer(prefix, size_limit)
        framer.receive_data(stream)
        total += len(stream)
        previous = -1  # where the previous message ended
        while (message := framer.next_message()) is not None:
            stop = len(stream) - framer.pending
            length = HEADER_SIZE + len(message.data)
            messages += 1
            size += length
            links += (stop - length == previous) + (stop == len(stream))
            previous = stop
    return Guess(prefix, messages, links, size / total if total else 0.0)


def _weight(guess: Guess) -> float:
    # A single matching size can be a coincidence, however many bytes it covers.
    return guess.share if guess.links > 1 else guess.share / 4
