"""The asyncio protocol: the transport's events, closing, and the end of the stream."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from asyncio.trsock import TransportSocket
from typing import Final

from ..codec import Framer
from ..exchange import ConnectionClosed, Exchange, cut_or_ended
from ..transport.addresses import address_text
from ..transport.logs import connection_log
from .receiving import ReceivingProtocol, Waiter
from .send_buffer import SendBuffer

__all__ = ["MessageProtocol", "name_of"]

_CLOSED_HERE: Final = "the connection was closed on this side"


class MessageProtocol(ReceivingProtocol):
    """One connection, as its transport sees it. Created and used in one loop.

    Args:
        framer: turns bytes into messages.
        exchange: decides who gets each message.
        max_unsent: bytes that may be buffered before senders must wait.
        close_timeout: seconds that closing may take before unsent data is dropped.
    """

    __slots__ = (
        "_close_timeout",
        "_closer",
        "_gone",
        "_gone_event",
        "_idle_timer",
        "_max_unsent",
        "send_buffer",
    )

    def __init__(
        self, framer: Framer, exchange: Exchange[Waiter], max_unsent: int, close_timeout: float
    ) -> None:
        super().__init__(framer, exchange)
        self._max_unsent = max_unsent
        self._close_timeout = close_timeout
        self._closer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._gone = False  # whether the transport is gone
        self._gone_event: asyncio.Event | None = None  # made by the first task that waits for it
        self.send_buffer = SendBuffer(self.loop, framer.prefix)

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # An event loop passes a stream transport here, of whatever class.
        self.transport = transport  # type: ignore[assignment]
        assert self.transport is not None
        # With 0, asyncio's TLS pauses an empty transport and never resumes it.
        self.transport.set_write_buffer_limits(high=max(1, self._max_unsent))
        self._begin_log(self.transport)
        self.send_buffer.begin(self.transport, self.log)

    def eof_received(self) -> bool:
        encrypted = self._ssl_object()
        self._ended(encrypted)
        # Over TLS the transport closes by itself. Otherwise the end does not stop sending (CON-C8).
        return encrypted is None

    def pause_writing(self) -> None:
        self.send_buffer.pause()

    def resume_writing(self) -> None:
        self.send_buffer.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self.exchange.end is None:
            self._salvage()
        if self.refusal is None:
            if exc is None and self.exchange.end is None:
                self._ended(self._ssl_object())
            self.refusal = exc or self.exchange.end or ConnectionClosed(_CLOSED_HERE)
        if self.log is not None:
            self._log_end(self.refusal)
        self.finish(exc or self.refusal)
        self.send_buffer.end()
        for timer in (self._closer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._closer = self._idle_timer = None
        if self.transport is not None:
            self.transport.close()  # else Python 3.10 considers a TLS transport open, and warns
        self.transport = None
        self._gone = True
        if self._gone_event is not None:
            self._gone_event.set()

    def _begin_log(self, transport: asyncio.Transport) -> None:
        logger = "vfiipc" if self._ssl_object() is None else "vfiipc.tls"
        self.log = connection_log(logger, "aio.Connection", open_=True)
        if self.log is not None:
            ends = [name_of(transport.get_extra_info(end)) for end in ("sockname", "peername")]
            self.log.event(f"begun: {ends[0] or '?'} to {ends[1] or '?'}")
            self.framer.on_discard = self.log.discarded

    def _log_end(self, reason: BaseException) -> None:
        assert self.log is not None
        # After a close on this side nothing is an error, not even a peer that still sends (CON-L1).
        if not isinstance(reason, ConnectionClosed):
            self.log.broken(reason)
        elif self.exchange.end is not None and reason is not self.exchange.end:
            self.log.event("end of stream: the peer has closed")
        self.log.event(f"closed, {self.framer.discarded} bytes discarded")

    # Called by the connection

    def close(self) -> None:
        """Sends what is queued, for at most ``close_timeout`` seconds, and closes."""
        if self.refusal is None:
            self.send_buffer.flush()
            self._close_because(ConnectionClosed(_CLOSED_HERE))
        self.exchange.drop()
        if self.exchange.end is not None:
            self.finish(self.exchange.end)

    def abort(self) -> None:
        """Closes at once; queued messages may be lost."""
        self.close()
        if self.transport is not None:
            self.transport.abort()

    async def drop(self) -> None:
        """Closes a connection that no caller will get, and waits until it is gone."""
        self.abort()
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Waits until the transport is gone."""
        if not self._gone:
            if self._gone_event is None:
                self._gone_event = asyncio.Event()
            await self._gone_event.wait()

    def watch_idleness(self, seconds: float) -> None:
        """Closes the connection after this many seconds without a byte received."""
        self.idle_timeout = seconds
        self.received_at = self.loop.time()
        self._idle_timer = self.loop.call_later(seconds, self._check_idleness)

    def _check_idleness(self) -> None:
        # While this side does not read, it is not the peer that is idle (CON-S5).
        if self.paused:
            self.received_at = self.loop.time()
        left = self.received_at + self.idle_timeout - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._check_idleness)
            return
        self._idle_timer = None
        if self.refusal is None:
            self.send_buffer.flush()
            error = ConnectionClosed(f"nothing was received for {self.idle_timeout:g} s")
            self._close_because(error)

    def _close_because(self, reason: BaseException) -> None:
        self.refusal = reason
        self.finish(reason)
        self.send_buffer.end()
        if self.transport is not None:
            self.transport.close()
            self._closer = self.loop.call_later(self._close_timeout, self.transport.abort)

    def fail(self, error: BaseException) -> None:
        self._close_because(error)
        if self.transport is not None:
            self.transport.abort()

    # The end of the stream

    def _ssl_object(self) -> ssl.SSLObject | None:
        found = self.transport.get_extra_info("ssl_object") if self.transport else None
        return found if isinstance(found, ssl.SSLObject) else None

    def _ended(self, encrypted: ssl.SSLObject | None) -> None:
        if encrypted is not None and _was_cut(encrypted):
            error = ssl.SSLEOFError(
                ssl.SSLErrorNumber.SSL_ERROR_EOF,
                "the peer ended the connection without the closing message of TLS",
            )
            self.refusal = self.refusal or error
            self.finish(error)
            return
        rest = self.framer.peek(self.framer.pending)
        self.finish(cut_or_ended(rest))

    def _salvage(self) -> None:
        """Feeds what the socket still holds: a failed write closes it with data unread."""
        sock = self.transport.get_extra_info("socket") if self.transport else None
        # Only asyncio's own object knows whether its descriptor is still open.
        if not isinstance(sock, TransportSocket) or self._ssl_object() is not None:
            return
        try:
            with socket.socket(fileno=os.dup(sock.fileno())) as copy:
                copy.setblocking(False)
                while data := copy.recv(65536):
                    self.data_received(data)
        except OSError:
            pass


def _was_cut(encrypted: ssl.SSLObject) -> bool:
    """Whether TLS ended without close_notify, so that the stream may be truncated."""
    try:
        encrypted.read(1)
    except ssl.SSLZeroReturnError:
        return False
    except (ssl.SSLError, ValueError):
        return True
    return False


def name_of(address: object) -> str:
    """A socket address as text: ``ip:port``, ``[ipv6]:port``, a path, or empty.

    An IPv4 peer of an IPv6 socket appears as plain IPv4.
    """
    if isinstance(address, bytes):
        address = address.decode(errors="surrogateescape")
    if isinstance(address, str):
        return address.replace("\0", "@", 1)
    if not isinstance(address, tuple) or not isinstance(address[0], str):
        return ""
    return address_text(address)
