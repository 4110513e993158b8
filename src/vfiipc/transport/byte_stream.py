"""The interface of a transport: it moves bytes, and waits only when asked to."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from ..codec import Buffer
from .deadline import Deadline
from .lifetime import Lifetime

__all__ = ["ByteStream", "Listening", "Watchable"]


class Watchable(ABC):
    """Something that a callback can wait for: a connection, or a listener.

    Any thread may call its methods, without entering; none of them waits.
    """

    lifetime: Lifetime
    #: Called when a reading call (or ``accept``) has ended.
    on_read: Callable[[], object] | None = None
    #: Called, in any thread, when ``has_pending`` or ``recheck_at`` may have changed.
    on_ready: Callable[[], object] | None = None

    def fileno(self) -> int:
        """The descriptor whose readability counts; -1 if ``on_ready`` reports instead."""
        return -1

    def has_pending(self) -> bool:
        """Whether there is something to report, whatever the descriptor shows."""
        return False

    def is_spurious(self) -> bool:
        """Whether a readable descriptor means nothing to the caller."""
        return False

    def recheck_at(self) -> float | None:
        """When ``has_pending`` must be checked even without an event (``time.monotonic``)."""
        return None

    def is_finished(self) -> bool:
        """Whether a reading call has met the end, so that nothing is left to report."""
        return False

    # Each is looked up once, because another thread may clear it.

    def tell_read(self) -> None:
        on_read = self.on_read
        if on_read is not None:
            on_read()

    def tell_ready(self) -> None:
        on_ready = self.on_ready
        if on_ready is not None:
            on_ready()


class Listening(Watchable):
    """A listener, which accepts connections. Its lifetime owns ``close``."""

    #: Its address, as shown to users; empty if unknown.
    local: str = ""

    def accept(self, deadline: Deadline) -> Any:
        """The next connection; None if the time is up first, or the lifetime ends.

        Raises:
            OSError: the listener cannot accept, as when descriptors run out.
        """
        frame = sys._getframe()
        try:
            while self.lifetime.enter(frame):
                accepted = self._accept_now()
                if accepted is not None:
                    return accepted
                left = deadline.remaining()
                if left == 0.0:
                    break
                self._wait(left)
            return None
        finally:
            self.lifetime.leave(frame)
            del frame
            self.tell_read()

    @abstractmethod
    def _accept_now(self) -> object:
        """A connection that waits to be accepted; None if there is none."""

    @abstractmethod
    def _wait(self, timeout: float | None) -> object:
        """Waits for a connection; may return early, and does when the lifetime ends."""

    @abstractmethod
    def close(self) -> None:
        """Stops listening, without waiting; called when no call uses it any more, perhaps twice."""


class ByteStream(Watchable):
    """One connection, as the upper layers see it.

    Receiving, ``peek`` and ``send`` never wait; ``wait`` does. One thread at a time receives and
    peeks, one sends, and both wait, between ``enter`` and ``leave`` of the lifetime.

    Args:
        lifetime: of the connection; ``wait`` returns when it ends. Code that opens the connection
            makes the lifetime own ``close``.
    """

    #: Whether the descriptor is readable exactly when there is something to receive.
    descriptor_tells: ClassVar[bool] = False
    #: Addresses of both ends, as shown to users; empty if unknown.
    local: str = ""
    remote: str = ""

    def __init__(self, lifetime: Lifetime) -> None:
        self.lifetime = lifetime

    @abstractmethod
    def receiving(self, limits: Iterable[int]) -> Iterator[bytes | None]:
        """Receives once for each limit, when the iterator is advanced.

        It gives at most that many available bytes; None if there are none yet, or it raises
        ``BlockingIOError`` and can be advanced further; ``b""`` at the end.

        An exception raised by a signal handler loses nothing: what was not given is given the next
        time. So there is no call between removing bytes from where they were and giving them,
        because signal handlers run at calls.

        Raises:
            OSError: the connection is broken.
        """

    @abstractmethod
    def peek(self, limit: int) -> bytes | None:
        """At most ``limit`` bytes of what would be received, as ``receiving`` gives them."""

    @abstractmethod
    def send(self, buffers: Sequence[Buffer]) -> int:
        """Sends some bytes from the front of ``buffers``; returns how many, 0 if none fit now.

        Raises:
            OSError: the connection is broken.
        """

    @abstractmethod
    def wait(self, event: int, timeout: float | None) -> None:
        """Waits until receiving or ``send`` may do something, at most ``timeout`` seconds.

        May return early, and does when the lifetime ends. ``event`` is ``system.READ`` or
        ``system.WRITE``.
        """

    def waiting(self, event: int) -> Callable[[float | None], object]:
        """``wait`` for this event, as often as needed; it takes milliseconds."""
        return lambda msec: self.wait(event, None if msec is None else msec / 1000)

    @abstractmethod
    def close(self) -> None:
        """Releases what it holds, without waiting; called when no call uses it any more."""
