"""What an ``async for`` over notifications takes from."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable

from ..exchange import same_error
from .notification import Notification

__all__ = ["NotificationQueue"]


class NotificationQueue:
    """Notifications that wait for an iteration, in the order in which they came.

    Args:
        most: how many may wait before ``put`` returns something to wait for.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: asyncio.Queue[Notification | None] = asyncio.Queue()
        self._held_up: deque[asyncio.Future[None]] = deque()
        self._reason: BaseException | None = None

    def put(self, given: Notification) -> Awaitable[None] | None:
        """Adds a notification. If too many are queued, the caller must await the result."""
        self._waiting.put_nowait(given)
        if self._waiting.qsize() <= self._most:
            return None
        held_up = asyncio.get_running_loop().create_future()
        self._held_up.append(held_up)
        return held_up

    async def take(self) -> Notification | None:
        """The next notification; None at the end.

        Raises:
            OSError: the connection was lost permanently.
        """
        given = await self._waiting.get()
        self._let_one_go_on()
        if given is None and self._reason is not None:
            raise same_error(self._reason)
        return given

    def _let_one_go_on(self) -> None:
        while self._held_up:
            held_up = self._held_up.popleft()
            if not held_up.done():  # cancelled
                held_up.set_result(None)
                return

    def end(self, reason: BaseException | None) -> None:
        """Ends the iteration after the queued notifications; then raises ``reason``, if given."""
        self._reason = reason
        self._waiting.put_nowait(None)

    def close(self) -> None:
        """Stops the iteration, and releases all callers that wait."""
        while self._held_up:
            self._let_one_go_on()

    def rest(self) -> list[Notification]:
        """What was not taken."""
        left = [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
        return [given for given in left if given is not None]
