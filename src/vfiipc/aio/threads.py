"""Runs blocking calls in a thread, while the loop goes on."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

__all__ = ["run_in_thread"]

T = TypeVar("T")


async def run_in_thread(work: Callable[[], T], undo: Callable[[T], object]) -> T:
    """Runs ``work`` in a thread of its own and returns its result.

    A thread cannot be cancelled: after a cancellation it keeps running, and ``undo`` is called with
    its result. It is a daemon thread, not one of the loop's executor, because a loop waits for its
    executor when it ends.

    Raises:
        OSError: no thread is available.
        BaseException: what ``work`` raises.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
            with suppress(InvalidStateError):  # the caller was cancelled
                outcome.set_exception(error)
            return
        try:
            outcome.set_result(result)
        except InvalidStateError:
            undo(result)

    try:
        threading.Thread(target=run, name="vfiipc-aside", daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from None
    try:
        return await asyncio.wrap_future(outcome)
    except BaseException:
        # The result may have arrived in the loop iteration in which the task was cancelled.
        if not outcome.cancel() and outcome.exception() is None:
            undo(outcome.result())
        raise
