"""TLS without I/O: what both engines do, and the one of the standard library."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final, Protocol

from .tls_errors import cut_off, failed

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Engine", "SSLEngine"]

# The most that one record holds: no read gives more, and room for more would cost time.
_RECORD: Final = 16384


class Engine(Protocol):
    """One side of a TLS session: ciphertext in and out, plaintext in and out, never a wait.

    Not thread safe. A failure is an ``ssl.SSLError``; the alert that tells the peer is then among
    what ``outgoing`` gives.
    """

    def handshake(self) -> bool:
        """Goes on with the handshake; True when it is complete, False when bytes are missing."""

    def feed(self, data: memoryview) -> None:
        """Takes ciphertext; none at the end of the stream."""

    def outgoing(self) -> bytes:
        """The ciphertext that waits to be sent, which is then no longer here."""

    def read(self, limit: int) -> bytes | None:
        """Plaintext, at most ``limit`` bytes; None when bytes are missing, ``b""`` at the end."""

    def write(self, data: Buffer) -> int:
        """Encrypts; the number of bytes taken, all unless the session is broken."""

    def close_notify(self) -> None:
        """Says that nothing will follow."""


class SSLEngine:
    """``Engine`` over ``ssl.SSLObject``.

    Args:
        context: what is checked, and which certificates are shown.
        host: the name or address that the server must prove to be; None for a server.
    """

    def __init__(self, context: ssl.SSLContext, host: str | None) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._session = context.wrap_bio(
            self._in, self._out, server_side=host is None, server_hostname=host
        )
        self._read = self._session.read
        self.write = self._session.write
        self.outgoing = self._out.read

    def handshake(self) -> bool:
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise failed("UNEXPECTED_EOF", "the peer has closed during the handshake") from None
        return True

    def feed(self, data: memoryview) -> None:
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def read(self, limit: int) -> bytes | None:
        try:
            return self._read(min(limit, _RECORD))
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError:
            raise cut_off() from None

    def close_notify(self) -> None:
        try:
            self._session.unwrap()
        except ssl.SSLError:
            pass  # it waits for the peer's, or the session is broken
