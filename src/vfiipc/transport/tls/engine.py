"""TLS without I/O: what an engine does for ``TLSStream``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["RECORD", "Engine", "EngineMaker", "Receive"]

#: The most plaintext that one record holds; see ``Engine.read``.
RECORD: Final = 16384

#: ``socket.recv``.
Receive = Callable[[int, int], bytes]


class Engine(Protocol):
    """One side of a TLS session. It never waits.

    Not thread safe. A failure is an ``ssl.SSLError``; the alert for the peer is then part of the
    outgoing ciphertext.

    An exception out of a signal handler can end any of these calls. What was done stays done, and
    the next call goes on from there. An engine that cannot tell how far it got says so on the next
    call: it raises ``errors.interrupted()``.
    """

    @property
    def is_tls12(self) -> bool:
        """Whether the session is one of TLS 1.2, in which a peer may ask to renegotiate."""

    def handshake(self) -> bool:
        """Goes on with the handshake; True when it is complete, False when bytes are missing."""

    def fill(self, receive: Receive, limit: int, flags: int) -> int:
        """Takes ciphertext out of ``receive(limit, flags)``; the number of bytes, 0 at the end."""

    def drain(self, out: bytearray) -> None:
        """Appends the ciphertext that waits to be sent; the engine keeps none."""

    def read(self, out: list[bytes]) -> bool:
        """Appends plaintext, of one record at most, or ``b""`` at the end of the stream.

        Returns:
            False, with nothing appended, when bytes are missing.
        """

    def write(self, data: Buffer) -> int:
        """Encrypts all of ``data``; the number of bytes."""

    def close_notify(self) -> None:
        """Says that nothing will follow."""


#: Makes a session: with the server's name for a client, with None for a server.
EngineMaker = Callable[["str | None"], Engine]
