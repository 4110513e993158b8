"""What may wait, in a thread beside the loop."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

__all__ = ["aside"]

T = TypeVar("T")


async def aside(work: Callable[[], T], undo: Callable[[T], object]) -> T:
    """The result of ``work``, which runs in a thread of its own; the loop goes on meanwhile.

    Nothing can end such a thread: after a cancellation it runs on, and ``undo`` gets its result. It
    is a daemon and not one of the loop's executor, whose end the end of the loop would wait for.

    Raises:
        OSError: there is no thread to be had.
        BaseException: what ``work`` raises.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
            with suppress(InvalidStateError):  # nobody waits any more
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
        # The result may have come in the turn of the loop in which the task was cancelled.
        if not outcome.cancel() and outcome.exception() is None:
            undo(outcome.result())
        raise
