"""Which envelopes of a session have arrived, so that none counts twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["Windows"]

_WIDTH: Final = 4096
_MASK: Final = (1 << _WIDTH) - 1
_MOST: Final = 4096


class Windows:
    """For each session the last numbers that arrived. What is older counts as a duplicate.

    A session is remembered when it has ended, too: what it sent may still arrive (NFY-G10).
    """

    def __init__(self) -> None:
        #: By session: the highest number, and a bit for each of those below it.
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def is_first(self, session: str, number: int) -> bool:
        """Whether this number has not arrived before; from now on it has."""
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
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)
        return is_first
