"""The asyncio protocol: passes the transport's events to the receive and send sides."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from asyncio.trsock import TransportSocket
from typing import Final

from ..codec import Framer, SyncLostError
from ..exchange import ConnectionClosed, Routing, cut_or_ended
from ..transport.logs import ConnectionLog, connection_log
from .incoming import Answer, Incoming
from .names import name_of
from .outgoing import Outgoing

__all__ = ["MessageProtocol"]

_CLOSED_HERE: Final = "the connection was closed on this side"


class MessageProtocol(asyncio.Protocol):
    """One connection, as its transport sees it. Created and used in one loop.

    Args:
        framer: turns bytes into messages.
        routing: decides where each message goes.
        max_unsent: bytes that may be buffered before senders must wait.
        close_timeout: seconds that closing may take before unsent data is dropped.
    """

    __slots__ = (
        "_close_timeout",
        "_closer",
        "_idle_timeout",
        "_idle_timer",
        "_loop",
        "_max_unsent",
        "_reason",
        "_received_at",
        "_transport",
        "framer",
        "incoming",
        "log",
        "lost",
        "outgoing",
        "routing",
    )

    def __init__(
        self, framer: Framer, routing: Routing[Answer], max_unsent: int, close_timeout: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._max_unsent = max_unsent
        self._close_timeout = close_timeout
        self._closer: asyncio.TimerHandle | None = None
        self._idle_timeout = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._received_at = 0.0
        self._reason: BaseException | None = None
        self.framer = framer
        self.routing = routing
        self.incoming = Incoming(self._loop, framer, routing)
        self.outgoing = Outgoing(self._loop)
        #: The connection's log; None if the logger has no handler.
        self.log: ConnectionLog | None = None
        #: Set when the transport is gone.
        self.lost = asyncio.Event()

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, from ``connection_made`` until it is gone."""
        return self._transport

    @property
    def refusal(self) -> BaseException | None:
        """Why nothing can be sent and, after a close on this side, nothing received; or None."""
        return self._reason

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # An event loop passes a stream transport here, of whatever class.
        self._transport = transport  # type: ignore[assignment]
        assert self._transport is not None
        self._transport.set_write_buffer_limits(high=self._max_unsent)
        self._begin_log(self._transport)
        self.incoming.begin(self._transport, self.log)
        self.outgoing.begin(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._idle_timer is not None:
            self._received_at = self._loop.time()
        if self._reason is not None:
            return
        try:
            self.incoming.feed(data)
        except SyncLostError as error:  # CON-C5
            self._fail(error)

    def eof_received(self) -> bool:
        encrypted = self._ssl_object()
        self._ended(encrypted)
        # Over TLS the transport closes by itself. Otherwise the end does not stop sending (CON-C8).
        return encrypted is None

    def pause_writing(self) -> None:
        self.outgoing.pause()

    def resume_writing(self) -> None:
        self.outgoing.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self.incoming.end is None:
            self._salvage()
        if self._reason is None:
            if exc is None and self.incoming.end is None:
                self._ended(self._ssl_object())
            self._reason = exc or self.incoming.end or ConnectionClosed(_CLOSED_HERE)
        if self.log is not None:
            self._log_end(self._reason)
        self.incoming.finish(exc or self._reason)
        self.outgoing.end()
        for timer in (self._closer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._closer = self._idle_timer = None
        if self._transport is not None:
            self._transport.close()  # else Python 3.10 considers a TLS transport open, and warns
        self._transport = None
        self.lost.set()

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
        elif self.incoming.end is not None and reason is not self.incoming.end:
            self.log.event("met the end: the peer has closed")
        self.log.event(f"closed, {self.framer.discarded} bytes discarded")

    # Called by the connection

    def close(self) -> None:
        """Sends what is queued, for at most ``close_timeout`` seconds, and closes."""
        if self._reason is None:
            self.outgoing.flush()
            self._close_because(ConnectionClosed(_CLOSED_HERE))
        self.incoming.drop()

    def abort(self) -> None:
        """Closes at once; queued messages may be lost."""
        self.close()
        if self._transport is not None:
            self._transport.abort()

    async def drop(self) -> None:
        """Closes a connection that no caller will get, and waits until it is gone."""
        self.abort()
        await self.lost.wait()

    def watch_idleness(self, seconds: float) -> None:
        """Closes the connection after this many seconds without a byte received."""
        self._idle_timeout = seconds
        self._received_at = self._loop.time()
        self._idle_timer = self._loop.call_later(seconds, self._check_idleness)

    def _check_idleness(self) -> None:
        # While this side does not read, it is not the peer that is idle (CON-S5).
        if self.incoming.stopped:
            self._received_at = self._loop.time()
        left = self._received_at + self._idle_timeout - self._loop.time()
        if left > 0:
            self._idle_timer = self._loop.call_later(left, self._check_idleness)
            return
        self._idle_timer = None
        if self._reason is None:
            self.outgoing.flush()
            error = ConnectionClosed(f"nothing was received for {self._idle_timeout:g} s")
            self._close_because(error)

    def _close_because(self, reason: BaseException) -> None:
        self._reason = reason
        self.incoming.finish(reason)
        self.outgoing.end()
        if self._transport is not None:
            self._transport.close()
            self._closer = self._loop.call_later(self._close_timeout, self._transport.abort)

    def _fail(self, error: BaseException) -> None:
        self._close_because(error)
        if self._transport is not None:
            self._transport.abort()

    # The end of the stream

    def _ssl_object(self) -> ssl.SSLObject | None:
        found = self._transport.get_extra_info("ssl_object") if self._transport else None
        return found if isinstance(found, ssl.SSLObject) else None

    def _ended(self, encrypted: ssl.SSLObject | None) -> None:
        if encrypted is not None and _was_cut(encrypted):
            error = ssl.SSLEOFError(
                ssl.SSLErrorNumber.SSL_ERROR_EOF,
                "the peer ended the connection without the closing message of TLS",
            )
            self._reason = self._reason or error
            self.incoming.finish(error)
            return
        rest = self.framer.peek(self.framer.pending)
        self.incoming.finish(cut_or_ended(rest))

    def _salvage(self) -> None:
        """Feeds what the socket still holds: a failed write closes it with data unread."""
        sock = self._transport.get_extra_info("socket") if self._transport else None
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
