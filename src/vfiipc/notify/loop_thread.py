"""An asyncio loop in a thread of its own, on which other threads run coroutines."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent import futures
from concurrent.futures import CancelledError, Future
from typing import Any, Final, TypeVar

from ..exchange import ConnectionClosed

__all__ = ["LoopThread"]

T = TypeVar("T")

#: Seconds after which a waiting thread notices a signal at the latest.
_STEP: Final = 0.5
_CLOSED: Final = "the client was closed"
_FORKED: Final = "the client belongs to the parent process; a child has to connect by itself"


class LoopThread:
    """An asyncio loop in a daemon thread. Thread safe, but not for signal handlers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._process = os.getpid()
        #: Whether ``stop`` has been called; then ``run`` raises.
        self.stopped = False
        self._thread = threading.Thread(target=self._run, name="vfiipc-notify", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        loop.run_forever()
        # After stop(): coroutines that are still running end with ConnectionClosed.
        loop.run_until_complete(_cancel_all_tasks())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    @property
    def is_forked(self) -> bool:
        """Whether this is a child process made by fork, in which the thread does not exist."""
        return self._process != os.getpid()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the loop, waits, and returns its result.

        An exception in the waiting thread, such as KeyboardInterrupt, cancels the coroutine.

        Raises:
            ConnectionClosed: the loop has been stopped, or belongs to the parent process.
            BaseException: what the coroutine raises.
        """
        if self.is_forked:
            work.close()
            raise ConnectionClosed(_FORKED)
        with self._lock:  # stop() cannot come in between: whatever is submitted also runs
            if self.stopped:
                work.close()
                raise ConnectionClosed(_CLOSED)
            outcome = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return _result(outcome)
        except CancelledError:
            raise ConnectionClosed(_CLOSED) from None
        except BaseException:
            outcome.cancel()
            raise

    def stop(self) -> None:
        """Cancels what is running, ends the loop and its thread, and waits for that."""
        with self._lock:
            if self.stopped:
                return
            self.stopped = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def _result(outcome: Future[T]) -> T:
    # In steps: a signal that comes just before a wait, or to another thread, does not end it.
    while True:
        try:
            return outcome.result(_STEP)
        except futures.TimeoutError:
            if outcome.done():
                return outcome.result()


async def _cancel_all_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
