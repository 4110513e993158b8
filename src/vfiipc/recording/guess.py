"""Finding the prefix of a stream that nobody has told the prefix of.

A header is recognised by what follows it: where its size says that the next message begins, the
same prefix stands again. Four equal bytes are seldom there by chance.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..codec import HEADER, Framer

__all__ = ["Guess", "guess_prefixes"]

_PREFIX_SIZE: int = HEADER.prefix.sizeof()
_COUNTED: int = HEADER.msg_id.sizeof()
_TRIED = 20  # the most prefixes that are tried on all of the streams
_SCANNED = 256 << 10  # bytes of each stream in which a header is looked for


@dataclass(frozen=True)
class Guess:
    """A prefix that may be the one, and what speaks for it."""

    prefix: int
    messages: int  #: as many are found with it
    links: int  #: as many times the next message, or the end, came where a size said so
    share: float  #: of all bytes, 0..1, those that belong to these messages

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
    """The prefixes that the streams may have, the best first; none where nothing is found.

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
    # Payloads may hold messages of another prefix: what explains more bytes comes first.
    found = [guess for guess in guesses if guess.links]
    return sorted(found, key=_weight, reverse=True)


def _links(stream: bytes, size_limit: int) -> Iterator[bytes]:
    """The prefix of each header that the same prefix follows, or the end of the stream."""
    largest = min(size_limit + _COUNTED, len(stream))
    to_size, to_rest = _PREFIX_SIZE, _PREFIX_SIZE + _SIZE.size
    end = len(stream)
    unpack = _SIZE.unpack_from
    for at in range(min(end - to_rest - _COUNTED + 1, _SCANNED)):
        (size,) = unpack(stream, at + to_size)
        if size < _COUNTED or size > largest:
            continue
        stop = at + to_rest + size
        if stop > end:
            continue
        mark = stream[at : at + _PREFIX_SIZE]
        if stop == end or stream.startswith(mark, stop):
            yield mark


def _tried(mark: bytes, streams: Iterable[bytes], size_limit: int) -> Guess:
    """What a framer finds with a prefix."""
    prefix = int(HEADER.prefix.parse(mark))
    messages = links = size = total = 0
    for stream in streams:
        framer = Framer(prefix, size_limit)
        framer.receive_data(stream)
        total += len(stream)
        behind = -1  # where the message before ended
        while (message := framer.next_message()) is not None:
            stop = len(stream) - framer.pending
            length = HEADER.sizeof() + len(message.data)
            messages += 1
            size += length
            links += (stop - length == behind) + (stop == len(stream))
            behind = stop
    return Guess(prefix, messages, links, size / total if total else 0.0)


def _weight(guess: Guess) -> float:
    # One fitting size alone can be chance, however much it explains.
    return guess.share if guess.links > 1 else guess.share / 4


def _packer(field: Any) -> struct.Struct:
    """The format of a declared number."""
    while hasattr(field, "subcon"):
        field = field.subcon
    return struct.Struct(field.fmtstr)


_SIZE = _packer(HEADER.size)
