"""What a transport is: something that moves bytes, and never waits unless asked to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from .lifetime import Lifetime

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ByteStream", "Watchable"]


class ByteStream(ABC):
    """One connection, as the classes above it see it.

    ``receive``, ``peek`` and ``send`` never wait; ``wait`` does. ``receive`` and ``peek`` are
    called by one thread at a time, ``send`` by one thread at a time, ``wait`` by both. All of them
    are called between ``enter`` and ``leave`` of the lifetime.

    Args:
        lifetime: of the connection; ``wait`` returns when it ends. Whoever opens the connection has
            it own ``close``.
    """

    #: Whether the descriptor is readable exactly when ``receive`` finds something.
    descriptor_tells: ClassVar[bool] = False
    #: Addresses of both ends as the user sees them; empty where unknown.
    local: str = ""
    remote: str = ""

    def __init__(self, lifetime: Lifetime) -> None:
        self.lifetime = lifetime
        #: Called when ``has_pending`` or ``recheck_at`` may have changed, in whatever thread.
        self.on_ready: Callable[[], object] | None = None

    def fileno(self) -> int:
        """The descriptor to wait on; -1 where there is none."""
        return -1

    @abstractmethod
    def receive(self, limit: int) -> bytes | None:
        """At most ``limit`` bytes that are there; None when there are none yet, ``b""`` at the end.

        An exception out of a signal handler loses nothing: what was not returned is returned by the
        next call. So between removing bytes from where they were and the return there is no call,
        for that is where signal handlers run.

        Raises:
            OSError: the connection is broken.
        """

    @abstractmethod
    def peek(self, limit: int) -> bytes | None:
        """As ``receive``, but the bytes stay."""

    @abstractmethod
    def send(self, buffers: Sequence[Buffer]) -> int:
        """Takes some bytes from the front of ``buffers``; 0 when it can take none now.

        Raises:
            OSError: the connection is broken.
        """

    @abstractmethod
    def wait(self, event: int, timeout: float | None) -> None:
        """Waits until ``receive`` or ``send`` may do something, at most ``timeout`` seconds.

        May return early, and does when the lifetime ends. ``event`` is ``system.READ`` or
        ``system.WRITE``.
        """

    def receiving(self) -> tuple[Callable[..., bytes | None], tuple[tuple[object], ...]]:
        """What ``receive`` calls, for those to whom its own call takes too long.

        Returns:
            A function, and what ``map`` takes for its arguments behind the limit. It may raise
            ``BlockingIOError`` instead of returning None.
        """
        return self.receive, ()

    def waiting(self, event: int) -> Callable[[float | None], object]:
        """``wait`` for this event."""
        return partial(self.wait, event)

    @abstractmethod
    def close(self) -> None:
        """Gives back what it holds, without waiting; called when no call uses it any more."""

    # --- for callbacks; called by any thread, without entering

    def has_pending(self) -> bool:
        """Whether a reader would find something of which the descriptor does not tell."""
        return False

    def is_spurious(self) -> bool:
        """Whether a readable descriptor means nothing to a reader."""
        return False

    def recheck_at(self) -> float | None:
        """When ``has_pending`` may change although nothing comes (``time.monotonic``)."""
        return None


class Watchable(ABC):
    """What a callback can wait for: a connection, or a listener."""

    lifetime: Lifetime
    #: Called when a reading call (or ``accept``) has ended.
    on_read: Callable[[], object] | None = None
    #: Called when ``has_pending`` or ``recheck_at`` may have changed.
    on_ready: Callable[[], object] | None = None

    @abstractmethod
    def fileno(self) -> int:
        """The descriptor whose readability counts; -1 where ``on_ready`` tells."""

    def has_pending(self) -> bool:
        """Whether there is something to report, whatever the descriptor says. Any thread."""
        return False

    def is_spurious(self) -> bool:
        """Whether a readable descriptor means nothing to the caller. Any thread, never waits."""
        return False

    def recheck_at(self) -> float | None:
        """When ``has_pending`` has to be asked even if nothing comes (``time.monotonic``)."""
        return None

    def is_finished(self) -> bool:
        """Whether a reading call has met the end, so that there is nothing left to report."""
        return False
