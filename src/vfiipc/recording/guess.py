"""Detects the prefix of a stream.

A header is recognised by what follows it: the same prefix, where the next message begins according
to the size. Four equal bytes are rarely there by chance.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..codec import HEADER_SIZE, MSG_ID_SIZE, PREFIX, PREFIX_AND_SIZE, SIZE, Framer

__all__ = ["Guess", "guess_prefixes"]

_TRIED = 20  # the most prefixes that are tried on all of the streams
_SCANNED = 256 << 10  # bytes of each stream in which a header is looked for


@dataclass(frozen=True)
class Guess:
    """A likely prefix, and the evidence for it."""

    prefix: int
    messages: int  #: how many are found with it
    links: int  #: how often the next message, or the end, was where the size said
    share: float  #: 0..1: the part of all bytes that belongs to these messages

    @property
    def confidence(self) -> str:
        """``sure``, ``likely`` or ``possible``.

        Sure: three messages or more follow each other without a gap and make up half of the bytes;
        likely: two do, or a quarter of the bytes; possible: anything less, also a single message
        that ends where the stream does.
        """
        if self.links >= 3 and self.share >= 0.5:
            return "sure"
        if self.links >= 2 and self.share >= 0.25:
            return "likely"
        return "possible"


def guess_prefixes(streams: Iterable[bytes], size_limit: int) -> list[Guess]:
    """The likely prefixes of streams, the best first; empty if none is found.

    Args:
        streams: beginnings of streams, each of one direction of one connection, and each with some
            messages in it. Headers are looked for in the first 256 KiB.
        size_limit: the most bytes of data that a message may have, 0..2**31-5.
    """
    pieces = list(streams)
    links: Counter[bytes] = Counter()
    for stream in pieces:
        links.update(_links(stream, size_limit))
    guesses = [_tried(mark, pieces, size_limit) for mark, _ in links.most_common(_TRIED)]
    # Payloads can contain messages with another prefix: the prefix that covers more bytes is first.
    found = [guess for guess in guesses if guess.links]
    return sorted(found, key=_weight, reverse=True)


def _links(stream: bytes, size_limit: int) -> Iterator[bytes]:
    """The prefix of each header that the same prefix follows, or the end of the stream."""
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
    """A pattern for a size of up to ``largest``, and perhaps some larger ones."""
    highest = SIZE.packer.pack((1 << largest.bit_length()) - 1)
    return re.compile(b"(?=" + b"".join(b"[\\x00-\\x%02x]" % byte for byte in highest) + b")")


def _tried(mark: bytes, streams: Iterable[bytes], size_limit: int) -> Guess:
    """The messages that a framer finds with this prefix, as a guess."""
    (prefix,) = PREFIX.packer.unpack(mark)
    messages = links = size = total = 0
    for stream in streams:
        framer = Framer(prefix, size_limit)
        framer.receive_data(stream)
        total += len(stream)
        behind = -1  # where the previous message ended
        while (message := framer.next_message()) is not None:
            stop = len(stream) - framer.pending
            length = HEADER_SIZE + len(message.data)
            messages += 1
            size += length
            links += (stop - length == behind) + (stop == len(stream))
            behind = stop
    return Guess(prefix, messages, links, size / total if total else 0.0)


def _weight(guess: Guess) -> float:
    # A single matching size can be chance, however many bytes it covers.
    return guess.share if guess.links > 1 else guess.share / 4
