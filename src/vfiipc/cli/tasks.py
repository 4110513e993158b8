"""Runs the coroutines of commands, and cancels them when a signal arrives."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from .signals import Ended

__all__ = ["run_task"]

T = TypeVar("T")

_ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP")


def run_task(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in a loop of its own. A signal cancels it, so that it can clean up.

    Raises:
        KeyboardInterrupt, Ended: a signal has cancelled it.
    """
    received: list[int] = []

    async def main() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)

        def end(number: int) -> None:
            received.append(number)
            task.cancel()

        for name in _ENDING:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                try:
                    loop.add_signal_handler(number, end, number)
                except NotImplementedError:
                    pass  # on Windows, where Ctrl-C ends the loop by itself
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if not received:
            raise
        if received[0] == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise Ended(received[0]) from None
