"""A first-in, first-out queue of tasks that wait for the same thing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["WaiterQueue", "expire"]


class WaiterQueue:
    """A queue of tasks. A task is only woken; it then takes what it waited for itself.

    Nothing is handed to a waiting task, so a cancelled task loses nothing: the next one is woken
    instead. ``asyncio.wait_for`` is not used, because on Python 3.10 and 3.11 it can lose a
    cancellation or a result when both arrive in the same iteration of the loop.

    Args:
        ready: whether there is something to take.
    """

    __slots__ = ("_ready", "waiters")

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready
        #: Public for a quick check whether any task waits.
        self.waiters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self.waiters)

    async def wait(self, timeout: float | None, what: str) -> None:
        """Returns when it is this task's turn. The task must take before it awaits again.

        It must then call ``wake_next``, which wakes the next task if there is more.

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
                waiter.exception()  # mark it as retrieved, even if a cancellation followed
            self.wake_next()
            raise
        finally:
            if timer is not None:
                timer.cancel()
        self.waiters.remove(waiter)

    def wake_next(self) -> None:
        """Wakes the first task, if there is something to take."""
        if self.waiters and self._ready():
            self.wake_first()

    def wake_first(self) -> None:
        """As ``wake_next``, where something is known to be there."""
        if self.waiters and not self.waiters[0].done():
            self.waiters[0].set_result(None)

    def wake_all(self) -> None:
        """Wakes every task, at the end of a connection."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


def expire(waiter: asyncio.Future[Any], what: str, timeout: float) -> None:
    """Ends a wait whose time is up."""
    if not waiter.done():
        waiter.set_exception(TimeoutError(f"{what} within {timeout:g} s"))
