"""The interface of TLS engines, which do no I/O: ``TLSStream`` moves their bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ...codec import Buffer

__all__ = ["RECORD", "Engine", "EngineMaker", "Receive"]

#: The most plaintext that one record holds; see ``Engine.read``.
RECORD: Final = 16384

#: ``socket.recv``.
Receive = Callable[[int, int], bytes]


class Engine(Protocol):
    """One side of a TLS session. It never waits.

    Not thread safe. A failure is an ``ssl.SSLError``; the outgoing ciphertext then includes the
    alert for the peer.

    An exception from a signal handler can end any of these calls. The next call continues where
    that one stopped. An engine that cannot know how far it got raises ``errors.interrupted()``.
    """

    @property
    def is_tls12(self) -> bool:
        """Whether the session uses TLS 1.2, in which a peer may ask to renegotiate."""

    def handshake(self) -> bool:
        """Continues the handshake; True when it is complete, False if bytes are missing."""

    def fill(self, receive: Receive, limit: int, flags: int) -> int:
        """Takes ciphertext from ``receive(limit, flags)``; returns its size, 0 at the end."""

    def drain(self, out: bytearray) -> None:
        """Appends all outgoing ciphertext; the engine keeps none."""

    def read(self, out: list[bytes]) -> bool:
        """Appends plaintext of one record, or ``b""`` at the end; False if bytes are missing."""

    def write(self, data: Buffer) -> int:
        """Encrypts all of ``data``; returns its size."""

    def close_notify(self) -> None:
        """Tells the peer that nothing will follow."""


#: Makes a session: from the server's name for a client, from None for a server.
EngineMaker = Callable[["str | None"], Engine]
