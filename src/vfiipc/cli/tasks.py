"""Runs the coroutines of commands, and cancels them when a signal arrives."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, TypeVar

from .signals import ENDING, Ended, is_repetition, set_handlers

__all__ = ["run_task"]

T = TypeVar("T")


def run_task(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine in a loop of its own. The first signal cancels it, so that it can clean up.

    Args:
        work: makes the coroutine, once signals are heard.

    Raises:
        KeyboardInterrupt, Ended: a signal has cancelled it.
    """
    received: list[int] = []
    cancel: Callable[[], object] | None = None

    def end(number: int, frame: FrameType | None) -> None:
        received.append(number)
        is_repetition()  # a second one does not interrupt what the command does after the task
        if cancel is not None and len(received) == 1:  # a second one would interrupt the clean-up
            cancel()

    async def main() -> T:
        nonlocal cancel
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work())
        cancel = partial(loop.call_soon_threadsafe, task.cancel)
        if received:
            task.cancel()
        return await task

    # The handlers of a loop would come too late: an exception that strikes while the loop begins
    # leaves a coroutine behind that nobody runs, and a loop that nobody closes.
    with _handled_by(end):
        running = main()
        try:
            return asyncio.run(running)
        except asyncio.CancelledError:
            if not received:
                raise
        finally:
            running.close()  # where no loop could be made to run it
    if received[0] == signal.SIGINT:
        raise KeyboardInterrupt
    raise Ended(received[0])


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Has the handler called for signals that end the program, unless somebody ignores them."""
    heard = [number for number in ENDING if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    former = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        set_handlers(former)
