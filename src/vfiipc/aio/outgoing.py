"""Send buffer: batches the messages of one loop iteration, and applies back-pressure."""

from __future__ import annotations

import asyncio
from typing import Final

from .waiter_queue import WaiterQueue

__all__ = ["LARGE", "MAX_UNSENT", "Outgoing"]

#: Most bytes buffered until the end of an iteration; pieces of this size or more are not joined.
LARGE: Final = 65536

#: Bytes that may wait to be sent before senders have to wait.
MAX_UNSENT: Final = 65536


class Outgoing:
    """The bytes that one connection sends. A message is put in whole, or not at all.

    Args:
        loop: the loop of the connection.
    """

    __slots__ = (
        "_count",
        "_direct",
        "_loop",
        "_paused",
        "_pieces",
        "_scheduled",
        "_senders",
        "_size",
        "_transport",
        "busy",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._scheduled = False
        # A task that alternates between sending and waiting gains nothing from batching, so its
        # message is written at once. If several are sent between two waits, they are batched.
        self._count = 0
        self._direct = False
        self._paused = False
        self._senders = WaiterQueue(lambda: not self._paused)
        #: Whether ``room`` must be awaited, and the connection checked, before ``put``.
        self.busy = False

    def begin(self, transport: asyncio.Transport) -> None:
        """Starts with the connection's transport."""
        self._transport = transport

    def put(self, message: bytes) -> None:
        """Adds a message, or the last piece of one; sent by the end of the loop iteration."""
        self._count += 1
        if self._direct and self._count == 1 and self._transport is not None and not self._pieces:
            self._transport.write(message)
            return
        self._pieces.append(message)
        self._size += len(message)
        if self._size >= LARGE:
            self.flush()
            self.busy = True  # so that an endless sender lets other tasks run
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_scheduled)

    def put_large(self, header: bytes, data: bytes) -> None:
        """Adds a message in two pieces, without joining them."""
        self._pieces.append(header)
        self._size += len(header)
        self.put(data)

    def before_waiting(self) -> None:
        """Flushes, for a task that is about to wait for a reply."""
        if self._pieces:
            self.flush()
        self._direct = self._count == 1
        self._count = 0

    async def room(self, timeout: float | None) -> None:
        """Waits until there is room for a message, and no earlier task is waiting.

        Raises:
            TimeoutError: there is none after ``timeout`` seconds.
        """
        if not self._paused and not self._senders.waiters:
            await asyncio.sleep(0)
        if self._paused or self._senders.waiters:
            await self._senders.wait(timeout, "there was no room to send")
        if self._transport is not None:
            self.busy = self._paused or bool(self._senders.waiters)

    def wake_next(self) -> None:
        """Wakes the next sender, after one has called ``put`` or given up."""
        self._senders.wake_next()

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
        self.busy = bool(self._senders.waiters)
        self._senders.wake_next()

    def end(self) -> None:
        """Nothing can be sent any more; wakes waiting senders, so that they find out."""
        self._paused = False
        self.busy = True
        self._pieces = []
        self._size = 0
        self._transport = None
        self._senders.wake_all()


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
