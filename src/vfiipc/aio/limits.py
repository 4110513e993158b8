"""Tasks that end in time, and leave nothing behind when they do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["until_done", "within"]

T = TypeVar("T")


async def within(
    timeout: float | None,
    making: Coroutine[Any, Any, T],
    what: str,
    undo: Callable[[T], Coroutine[Any, Any, object]],
) -> T:
    """The result of ``making``, if it comes in so many seconds; otherwise ``making`` has ended.

    ``asyncio.wait_for`` is not used: on Python 3.10 and 3.11 it can lose a cancellation, or a
    result, when both come in the same turn of the loop.

    Args:
        timeout: seconds; None waits as long as it takes.
        making: cancelled when the time is up, or when this is cancelled.
        what: says in words what was not done.
        undo: gets a result that nobody gets, because this was cancelled as it came.

    Raises:
        TimeoutError: the time was up.
        BaseException: what ``making`` raises.
    """
    task = asyncio.ensure_future(making)
    cancelled = False
    try:
        await asyncio.wait([task], timeout=timeout)
    except asyncio.CancelledError:
        cancelled = True
    if task.done() and not cancelled:
        return task.result()
    task.cancel()
    cancelled |= await until_done(task)
    if not task.cancelled() and task.exception() is None:
        cancelled |= await until_done(asyncio.ensure_future(undo(task.result())))
    if cancelled:
        raise asyncio.CancelledError
    raise TimeoutError(f"{what} within {timeout:g} s")


async def until_done(task: asyncio.Future[T]) -> bool:
    """Waits for a task, whatever happens meanwhile; its failure, if any, counts as seen.

    Returns:
        Whether the waiting task has been cancelled, which it has to pass on.
    """
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if not task.cancelled():
        task.exception()
    return cancelled
