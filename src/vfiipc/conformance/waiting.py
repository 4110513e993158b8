"""Waits with a limit that counts only the time in which the kit itself could run.

On a busy machine, a delay of the kit must not be blamed on the peer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

__all__ = ["wait", "within"]

#: Seconds; the longest part of a wait that counts at once.
_SLICE: Final = 0.05

Value = TypeVar("Value")


async def wait(task: asyncio.Future[Any], seconds: float) -> float:
    """Waits until the task is done, ``seconds`` at most; returns the seconds that count.

    A slice of the wait that takes longer than it should counts only for its nominal length.
    """
    counted = 0.0
    while True:
        length = max(min(seconds - counted, _SLICE), 0.0)
        start = time.monotonic()
        await asyncio.wait((task,), timeout=length)
        counted += min(length, time.monotonic() - start)
        if task.done() or length < _SLICE:
            return counted


async def within(work: Coroutine[Any, Any, Value], seconds: float) -> Value:
    """Runs a coroutine and returns its result.

    Raises:
        asyncio.TimeoutError: it took longer than ``seconds``, and was cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        await wait(task, seconds)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    if task.cancelled():
        raise asyncio.TimeoutError
    return task.result()
