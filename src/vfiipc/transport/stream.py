"""What a transport is: something that moves bytes, without ever waiting unless asked to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .lifetime import Lifetime

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ByteStream"]


class ByteStream(ABC):
    """One connection, as the classes above it see it.

    ``receive``, ``peek`` and ``send`` never wait; ``wait`` does. ``receive`` and ``peek`` are
    called by one thread at a time, ``send`` by one thread at a time, ``wait`` by both.
    """

    #: Who uses the stream; ``lifetime.end()`` closes it.
    lifetime: Lifetime
    #: Addresses of both ends as the user sees them; empty where unknown.
    local: str = ""
    remote: str = ""

    def fileno(self) -> int:
        """The descriptor to wait on; -1 where there is none."""
        return -1

    @abstractmethod
    def receive(self, limit: int) -> bytes | None:
        """At most ``limit`` bytes that are there; None when there are none yet, ``b""`` at the end.

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

        Returns early when the lifetime ends. ``event`` is ``system.READ`` or ``system.WRITE``.
        """
