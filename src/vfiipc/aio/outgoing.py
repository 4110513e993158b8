"""What leaves: small messages of one turn of the loop together, and never more than has room."""

from __future__ import annotations

import asyncio
from typing import Final

from .line import Line

__all__ = ["LARGE", "MAX_UNSENT", "Outgoing"]

#: Bytes that wait at most for the end of the turn; pieces from this size on are not joined.
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
        "_line",
        "_loop",
        "_paused",
        "_pieces",
        "_scheduled",
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
        # A task that sends one message and waits, again and again, gains nothing from joining: its
        # messages go at once. Of several messages between two waits, all but the first are joined.
        self._count = 0
        self._direct = False
        self._paused = False
        self._line = Line(lambda: not self._paused)
        #: Whether ``put`` needs a look at the connection, and ``room`` to be awaited, before.
        self.busy = False

    def begin(self, transport: asyncio.Transport) -> None:
        """The connection is there."""
        self._transport = transport

    def put(self, message: bytes) -> None:
        """Adds a message, or the last piece of one; it leaves at the end of the turn at last."""
        self._count += 1
        if self._direct and self._count == 1 and self._transport is not None and not self._pieces:
            self._transport.write(message)
            return
        self._pieces.append(message)
        self._size += len(message)
        if self._size >= LARGE:
            self.flush()
            self.busy = True  # so that a sender without end lets others have a turn
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_scheduled)

    def put_large(self, header: bytes, data: bytes) -> None:
        """Adds a message in two pieces, which are not joined in memory."""
        self._pieces.append(header)
        self._size += len(header)
        self.put(data)

    def before_waiting(self) -> None:
        """Sends what is there, for a task that is about to wait for what comes in return."""
        if self._pieces:
            self.flush()
        self._direct = self._count == 1
        self._count = 0

    async def room(self, timeout: float | None) -> None:
        """Until there is room for a message, and no other task was here before.

        Raises:
            TimeoutError: there is none after ``timeout`` seconds.
        """
        if not self._paused and not self._line.waiters:
            await asyncio.sleep(0)
        if self._paused or self._line.waiters:
            await self._line.wait(timeout, "there was no room to send")
        if self._transport is not None:
            self.busy = self._paused or bool(self._line.waiters)

    def next_in_line(self) -> None:
        """Lets the next task have room, after one has ``put`` or given up."""
        self._line.call()

    def flush(self) -> None:
        """Hands everything to the transport now."""
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
        """The transport holds more than it should."""
        self._paused = self.busy = True

    def resume(self) -> None:
        """The transport has room again; one that is closing sends what it holds, and takes none."""
        if self._transport is None:
            return
        self._paused = False
        self.busy = bool(self._line.waiters)
        self._line.call()

    def end(self) -> None:
        """Nothing can be sent any more: whoever waits for room is let through, to find that out."""
        self._paused = False
        self.busy = True
        self._pieces = []
        self._size = 0
        self._transport = None
        self._line.call_all()


def _joined(pieces: list[bytes]) -> list[bytes]:
    """The same bytes, the small ones joined and the large ones left as they are."""
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
