"""Tasks that wait for the same thing, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Line", "expire"]


class Line:
    """A queue of tasks. A task that is let in is told so, and takes what it waited for by itself.

    Nothing is handed to a task while it waits, so that nothing is lost with one that is cancelled:
    the next in the line is told instead. ``asyncio.wait_for`` is not used, for on Python 3.10 and
    3.11 it can lose a cancellation or a result when both come in the same turn of the loop.

    Args:
        ready: whether there is something to take.
    """

    __slots__ = ("_ready", "waiters")

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready
        #: For a quick look whether anybody waits.
        self.waiters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self.waiters)

    async def wait(self, timeout: float | None, what: str) -> None:
        """Until it is this task's turn; what it then takes, it takes before it awaits again.

        It has to call ``call`` when it has taken, so that the next one is told if there is more.

        Raises:
            TimeoutError: after ``timeout`` seconds; ``what`` says in words what did not come.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self.waiters.append(waiter)
        timer = None if timeout is None else loop.call_later(timeout, expire, waiter, what, timeout)
        try:
            await waiter
        except BaseException:
            self.waiters.remove(waiter)
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # seen, also where a cancellation came after it
            self.call()
            raise
        finally:
            if timer is not None:
                timer.cancel()
        self.waiters.remove(waiter)

    def call(self) -> None:
        """Tells the first in the line, if there is something to take."""
        if self.waiters and self._ready():
            self.call_first()

    def call_first(self) -> None:
        """As ``call``, where there is known to be something to take."""
        if self.waiters and not self.waiters[0].done():
            self.waiters[0].set_result(None)

    def call_all(self) -> None:
        """Tells everybody, at the end of a connection."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


def expire(waiter: asyncio.Future[Any], what: str, timeout: float) -> None:
    """Ends a wait whose time is up."""
    if not waiter.done():
        waiter.set_exception(TimeoutError(f"{what} within {timeout:g} s"))
