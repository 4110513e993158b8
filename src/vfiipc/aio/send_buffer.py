"""Send buffer: batches the messages of one loop iteration, and applies back-pressure."""

from __future__ import annotations

import asyncio
from typing import Final

from ..codec import Buffer, encode, encode_header
from ..transport.logs import ConnectionLog
from .timeouts import expire_after

__all__ = ["LARGE", "MAX_UNSENT", "SendBuffer"]

#: Most bytes buffered until the end of an iteration; pieces of this size or more are not joined.
LARGE: Final = 65536

#: Bytes that may wait to be sent before senders have to wait.
MAX_UNSENT: Final = 65536


class SendBuffer:
    """The messages that one connection sends. Each is put in whole, or not at all.

    Args:
        loop: the loop of the connection.
        prefix: of every message.
    """

    __slots__ = (
        "_direct",
        "_log",
        "_loop",
        "_paused",
        "_pieces",
        "_put_count",
        "_scheduled",
        "_senders",
        "_size",
        "_transport",
        "busy",
        "prefix",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, prefix: int) -> None:
        self._loop = loop
        self._log: ConnectionLog | None = None  # of each message
        self._transport: asyncio.Transport | None = None
        self._pieces: list[bytes] = []  # to be written
        self._size = 0  # bytes in them
        self._scheduled = False
        # Scheduling a flush is expensive compared with the rest of a round trip. So after a task
        # has put in one message and waited, the next message is written at once. After it has put
        # in several, they are batched.
        self._put_count = 0
        self._direct = False
        self._paused = False
        self._senders: list[asyncio.Future[None]] = []  # tasks that wait for room, in order
        self.prefix = prefix
        #: Whether ``room`` must be awaited, and the connection checked, before ``put``.
        self.busy = False

    def begin(self, transport: asyncio.Transport, log: ConnectionLog | None) -> None:
        """Starts with the connection's transport."""
        self._transport = transport
        self._log = log if log is not None and log.messages else None

    def put(self, msg_id: int, data: Buffer) -> None:
        """Adds a message, which is sent by the end of the loop iteration.

        Raises:
            TypeError, ValueError: an argument is invalid.
        """
        if type(data) is bytes and len(data) >= LARGE:
            message = data
            self._pieces.append(encode_header(self.prefix, msg_id, len(data)))
            self._direct = False
        else:
            message = encode(self.prefix, msg_id, data)
        if self._log is not None:
            self._log.message("sent", msg_id, data)
        self._put_count += 1
        if self._direct and self._put_count == 1 and self._transport is not None:
            self._transport.write(message)
        else:
            self._pieces.append(message)
            self._size += len(message)
            if self._size >= LARGE:
                self.flush()
                self.busy = True  # so that an endless sender lets other tasks run
            elif not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._flush_scheduled)
        if self._senders:
            self.wake_next()

    def before_waiting(self) -> None:
        """Flushes, for a task that is about to wait for a reply."""
        if self._pieces:
            self.flush()
        self._direct = self._put_count == 1
        self._put_count = 0

    async def room(self, timeout: float | None) -> None:
        """Waits until there is room for a message, and no earlier task is waiting.

        The caller then puts a message. If it cannot, or if this raises, it calls ``wake_next``.

        Raises:
            TimeoutError: there is none after ``timeout`` seconds.
        """
        if not self._paused and not self._senders:
            await asyncio.sleep(0)
        if self._paused or self._senders:
            sender: asyncio.Future[None] = self._loop.create_future()
            self._senders.append(sender)
            if timeout is not None:
                expire_after(timeout, sender, "there was no room to send")
            try:
                await sender
            finally:
                self._senders.remove(sender)
                if sender.done() and not sender.cancelled():
                    sender.exception()  # mark it as retrieved, even if a cancellation followed
        if self._transport is not None:
            self.busy = self._paused or bool(self._senders)

    def wake_next(self) -> None:
        """Wakes the next sender, after one has called ``put`` or given up."""
        if self._senders and not self._paused:
            self._wake(self._senders[:1])

    def _wake(self, senders: list[asyncio.Future[None]]) -> None:
        for sender in senders:
            if not sender.done():
                sender.set_result(None)

    def flush(self) -> None:
        """Writes everything to the transport now."""
        pieces = self._pieces
        transport = self._transport
        if not pieces or transport is None:
            return
        self._pieces = []
        self._size = 0
        if len(pieces) > 1 and max(map(len, pieces)) >= LARGE:
            for piece in _joined(pieces):
                transport.write(piece)
        else:
            transport.write(b"".join(pieces) if len(pieces) > 1 else pieces[0])

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        if self._pieces:
            self.flush()

    def pause(self) -> None:
        """The transport's buffer is above its high-water mark."""
        self._paused = self.busy = True

    def resume(self) -> None:
        """The transport has room again. A closing one drains its buffer, but accepts nothing."""
        if self._transport is None:
            return
        self._paused = False
        self.busy = bool(self._senders)
        self.wake_next()

    def end(self) -> None:
        """Nothing can be sent any more; wakes waiting senders, so that they find out."""
        self._paused = False
        self.busy = True
        self._pieces = []
        self._size = 0
        self._transport = None
        self._wake(self._senders)


def _joined(pieces: list[bytes]) -> list[bytes]:
    """The same bytes, with small pieces joined and large ones unchanged."""
    result: list[bytes] = []
    small: list[bytes] = []
    for piece in pieces:
        if len(piece) < LARGE:
            small.append(piece)
            continue
        if small:
            result.append(b"".join(small))
            small = []
        result.append(piece)
    if small:
        result.append(b"".join(small))
    return result
