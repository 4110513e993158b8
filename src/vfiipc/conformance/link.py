"""A connection to the peer: logs the first bytes, and limits how much it keeps."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from typing import Final, cast

from ..transport.system import RESET_ON_CLOSE
from .verdicts import MovedBytes

__all__ = ["SHOWN", "Log", "PeerLink"]

#: Maximum number of bytes that reports show for each direction of a case.
SHOWN: Final = 4096


class Log:
    """The first bytes of a case in each direction, each with its time."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.sent: list[MovedBytes] = []
        self.received: list[MovedBytes] = []
        self.sent_bytes = 0
        self.received_bytes = 0

    def note_sent(self, data: bytes) -> None:
        self._note(self.sent, self.sent_bytes, data)
        self.sent_bytes += len(data)

    def note_received(self, data: bytes) -> None:
        self._note(self.received, self.received_bytes, data)
        self.received_bytes += len(data)

    def _note(self, chunks: list[MovedBytes], before: int, data: bytes) -> None:
        room = SHOWN - before
        if room > 0 and data:
            chunks.append(MovedBytes(time.monotonic() - self.start, data[:room]))


class PeerLink(asyncio.Protocol):
    """The asyncio protocol of a connection.

    Args:
        log: records the first bytes sent and received.
        most: maximum number of received bytes to keep; reading stops above it.
    """

    def __init__(self, log: Log, most: int) -> None:
        self.received = bytearray()
        self.sent = 0
        self.eof = False  #: whether the peer has ended its stream
        self.lost = False  #: whether the connection is gone, in either direction
        self.error: Exception | None = None  #: why, if it did not end cleanly
        self.flooded = False  #: whether more than ``most`` bytes arrived
        self._log = log
        self._most = most
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None

    # --- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._log.note_received(data)
        self.received += data
        if len(self.received) > self._most:
            self.flooded = True
            self.pause()
            self._writable.set()
        self._changed.set()

    def eof_received(self) -> bool:
        self.eof = True
        self._changed.set()
        return self.can_half_close  # keeps the other direction open

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.error = error
        self._changed.set()
        self._writable.set()

    def pause_writing(self) -> None:
        if not self.flooded:
            self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- called by the kit

    @property
    def ended(self) -> bool:
        """Whether nothing more can arrive."""
        return self.eof or self.lost

    @property
    def can_half_close(self) -> bool:
        return self._transport is not None and self._transport.can_write_eof()

    def send(self, data: bytes) -> None:
        """Sends data, buffering what the peer does not read; does nothing on a lost connection."""
        if self._transport is not None and not self.lost:
            self._log.note_sent(data)
            self._transport.write(data)
        self.sent += len(data)

    async def drained(self) -> None:
        """Waits until the peer has read most of what was sent, is gone, or floods the kit."""
        await self._writable.wait()

    async def changed(self) -> None:
        """Waits until data has arrived or the connection has ended since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def half_close(self) -> None:
        if self._transport is None or not self.can_half_close or self.lost:
            return
        with suppress(OSError):  # the connection is broken, which the next read reports
            self._transport.write_eof()

    def abort(self) -> None:
        """Closes at once and drops unsent data."""
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Resets the connection: the peer gets an error instead of the end of the stream."""
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self.lost:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._transport.abort()

    @property
    def ending(self) -> str:
        """How the peer ended the connection, if it did."""
        if self.eof:
            return "clean"
        if not self.lost:
            return "open"
        return "reset" if self.error is not None else "clean"
