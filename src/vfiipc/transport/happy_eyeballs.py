"""Which address of a host is tried when, after RFC 8305 ("Happy Eyeballs"): CON-A7.

It only plans: it opens no sockets and reads no clock. The blocking and the asyncio ``dial`` both
follow it, each with its own way to connect and to wait.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

__all__ = ["Candidate", "Race"]

#: Seconds after which the next address is tried, beside those in progress (RFC 8305, section 5).
_NEXT_AFTER: Final = 0.25

#: An address from ``socket.getaddrinfo``: family, type, protocol, name, socket address.
Candidate = tuple[int, int, int, str, Any]


class Race:
    """The attempts to connect to one host; the first that succeeds wins.

    Args:
        candidates: the addresses of the host, in the order of the resolver.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._waiting = deque(_in_turn(candidates))
        self._running = 0
        self._due: float | None = None  # when the next one begins; None: at once
        self._failure = OSError(errno.EADDRNOTAVAIL, "the host has no address")

    def next(self, now: float) -> Candidate | None:
        """The address to try now, which then counts as in progress; None if none is due yet."""
        if not self._waiting or (self._due is not None and now < self._due):
            return None
        self._due = now + _NEXT_AFTER
        self._running += 1
        return self._waiting.popleft()

    def failed(self, cause: OSError) -> None:
        """Notes that an attempt has failed: the next one is due at once."""
        self._failure = cause
        self._running -= 1
        self._due = None

    def pause(self, now: float) -> float | None:
        """Seconds until ``next`` has another address; None if it has no more."""
        if not self._waiting:
            return None
        return 0.0 if self._due is None else max(0.0, self._due - now)

    def check(self) -> None:
        """Raises the latest failure if no attempt is in progress and no address is left."""
        if not self._waiting and not self._running:
            raise self._failure


def _in_turn(found: Sequence[Candidate]) -> list[Candidate]:
    """Alternates between families, starting with the resolver's first choice (RFC 8305, 4)."""
    first = [candidate for candidate in found if candidate[0] == found[0][0]]
    others = [candidate for candidate in found if candidate[0] != found[0][0]]
    return [one for pair in zip_longest(first, others) for one in pair if one is not None]
