"""Where the next header can be: the search of a receiver that has lost synchronisation."""

from __future__ import annotations

import re
from functools import lru_cache

from .layout import MIN_SIZE, PREFIX, PREFIX_AND_SIZE, SIZE

__all__ = ["header_pattern", "next_candidate", "prefix_tail"]

_Digits = tuple[int, ...]
_Spans = list[tuple[int, int]]


def prefix_tail(prefix: bytes, tail: bytes) -> int:
    """How many bytes at the end of ``tail`` may be the beginning of ``prefix``, at most."""
    for count in range(min(len(tail), len(prefix) - 1), 0, -1):
        if prefix.startswith(tail[-count:]):
            return count
    return 0


def next_candidate(pattern: re.Pattern[bytes], block: bytes, at: int) -> int:
    """The first place at or after ``at`` that is a header, or is too near the end to tell.

    One pass of a regular expression over prefix *and* size: on streams full of false headers, this
    is much faster than a loop of ``find``.
    """
    match = pattern.search(block, at)
    if match:
        return match.start()
    return max(at, len(block) - PREFIX_AND_SIZE + 1)


@lru_cache(maxsize=64)
def header_pattern(prefix: int, max_size: int) -> re.Pattern[bytes]:
    """A pattern for the prefix, followed by a size in ``MIN_SIZE..max_size``."""
    sizes = b"|".join(map(_as_packed, _alternatives(_digits(MIN_SIZE), _digits(max_size))))
    return re.compile(re.escape(PREFIX.packer.pack(prefix)) + b"(?:" + sizes + b")", re.DOTALL)


def _digits(number: int) -> _Digits:
    """The size's bytes, the most significant first, whatever the order on the wire."""
    return tuple(number >> 8 * power & 0xFF for power in reversed(range(SIZE.packer.size)))


def _alternatives(lowest: _Digits, highest: _Digits) -> list[_Spans]:
    """Splits a range of numbers into parts in which each digit has a range of its own.

    It makes as few parts as possible, because more would slow the search. They would hold the same
    numbers, so tests cannot notice a mutant that makes more.
    """
    if not lowest:
        return [[]]
    low, high, rest = lowest[0], highest[0], len(lowest) - 1
    smallest, largest = (0x00,) * rest, (0xFF,) * rest
    if low == high:
        return [[(low, low), *spans] for spans in _alternatives(lowest[1:], highest[1:])]
    parts: list[_Spans] = []
    if lowest[1:] != smallest:
        parts = [[(low, low), *spans] for spans in _alternatives(lowest[1:], largest)]
        low += 1
    last: list[_Spans] = []
    if highest[1:] != largest:
        last = [[(high, high), *spans] for spans in _alternatives(smallest, highest[1:])]
        high -= 1
    if low <= high:
        parts.append([(low, high), *zip(smallest, largest)])
    return parts + last


def _as_packed(spans: _Spans) -> bytes:
    """One alternative as a pattern, with its digits in the order of the wire."""
    powers = SIZE.packer.pack(sum(power << 8 * power for power in range(len(spans))))
    return b"".join(_one_byte(*spans[-1 - power]) for power in powers)


def _one_byte(low: int, high: int) -> bytes:
    # Literals and dots are faster than classes.
    if low == high:
        return re.escape(bytes([low]))
    if (low, high) == (0x00, 0xFF):
        return b"."
    return b"[" + re.escape(bytes([low])) + b"-" + re.escape(bytes([high])) + b"]"
