"""Time limits: for a wait, and for tasks that must be cleaned up when the time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["expire_after", "until_done", "within"]

T = TypeVar("T")


async def within(
    timeout: float | None,
    coroutine: Coroutine[Any, Any, T],
    what: str,
    undo: Callable[[T], Coroutine[Any, Any, object]],
) -> T:
    """Returns the result of ``coroutine``, or cancels it when the time is up and waits for its end.

    ``asyncio.wait_for`` is not used: on Python 3.10 and 3.11 it can lose a cancellation, or a
    result, when both arrive in the same iteration of the loop.

    Args:
        timeout: seconds; None sets no limit.
        coroutine: cancelled when the time is up, or when this is cancelled.
        what: the text of the ``TimeoutError``: what was not done.
        undo: called with a result that arrived just as this was cancelled.

    Raises:
        TimeoutError: the time-out expired.
        BaseException: what ``coroutine`` raises.
    """
    task = asyncio.ensure_future(coroutine)
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
    """Waits for a task, even if cancelled meanwhile; its exception, if any, counts as retrieved.

    Returns:
        Whether the waiting task was cancelled; it must then raise ``CancelledError``.
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


def expire_after(timeout: float, waiter: asyncio.Future[Any], what: str) -> None:
    """Ends a wait with ``TimeoutError`` when the time is up; ``what`` says what did not happen."""

    def expire() -> None:
        if not waiter.done():
            waiter.set_exception(TimeoutError(f"{what} within {timeout:g} s"))

    timer = waiter.get_loop().call_later(timeout, expire)
    waiter.add_done_callback(lambda _: timer.cancel())
