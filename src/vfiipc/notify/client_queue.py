"""A client of the server, and the queue of what to send to it."""

from __future__ import annotations

import asyncio
from collections import deque

from ..aio import Connection
from ..transport.logs import shown
from .actions import Deliver

__all__ = ["Guest"]


class Guest:
    """A connected client, and what waits to be sent to it."""

    __slots__ = (
        "_name",
        "_queue",
        "_writer",
        "_writing",
        "complained",
        "connection",
        "count",
        "number",
        "sent",
        "should_yield",
        "size",
        "timer",
    )

    def __init__(self, number: int, connection: Connection) -> None:
        self.number = number
        self.connection = connection
        self._name = f"client {number} {shown(connection.remote_address)}".rstrip()
        #: Payload, what is lost if it is not sent, and the size that counts for the limits.
        self._queue: deque[tuple[bytes, Deliver | None, int]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._writing = False
        #: How many payloads in the queue count for the limits, and their bytes.
        self.count = 0
        self.size = 0
        #: How many payloads were sent.
        self.sent = 0
        #: Runs while the queue is full.
        self.timer: asyncio.TimerHandle | None = None
        #: Whether one of its faults was logged.
        self.complained = False
        #: A receiver's queue has grown: let writers run before reading on.
        self.should_yield = False

    def __str__(self) -> str:
        return self._name

    def put(self, payload: bytes, delivery: Deliver | None, *, counted: bool) -> None:
        """Queues a payload.

        Args:
            payload: what is sent.
            delivery: what is lost if it is not sent.
            counted: whether it counts for the limits.
        """
        size = len(payload) if counted else 0
        self._queue.append((payload, delivery, size))
        self.size += size
        self.count += counted
        if not self._writing:
            self._writing = True  # first, because an eager task has ended before it is known here
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        queue, send = self._queue, self.connection.send
        try:
            while queue:
                payload, _, size = queue[0]
                await send(payload)  # whole or not at all; from here on it has left (NFY-N9)
                queue.popleft()
                self.sent += 1
                self.size -= size
                self.count -= size > 0
        except OSError:
            return  # the rest stays queued; `end` returns it
        self._writing = False

    def end(self) -> list[Deliver]:
        """The deliveries that were not sent; none is sent any more."""
        for pending in (self._writer, self.timer):
            if pending is not None:
                pending.cancel()
        unsent = [delivery for _, delivery, _ in self._queue if delivery is not None]
        self._queue.clear()
        return unsent
