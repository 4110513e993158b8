"""Detects duplicate envelopes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["Windows"]

_WIDTH: Final = 4096  # numbers
_MASK: Final = (1 << _WIDTH) - 1
_MAX_SESSIONS: Final = 4096


class Windows:
    """A sliding window of received numbers per session. Older numbers count as duplicates.

    Ended sessions are kept, too, because their envelopes may still arrive (NFY-G10).
    """

    def __init__(self) -> None:
        #: By session: the highest number, and a bit for it and each number below it.
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def is_first(self, session: str, number: int) -> bool:
        """Marks a number as received; returns whether it is the first time."""
        highest, bits = self._seen.pop(session, (0, 0))
        ahead = number - highest
        is_first = True
        if ahead >= _WIDTH:
            highest, bits = number, 1
        elif ahead > 0:
            highest, bits = number, (bits << ahead | 1) & _MASK
        else:
            bit = 1 << min(-ahead, _WIDTH)
            is_first = bit < _MASK and not bits & bit
            bits |= bit & _MASK
        self._seen[session] = highest, bits
        if len(self._seen) > _MAX_SESSIONS:
            self._seen.popitem(last=False)
        return is_first
