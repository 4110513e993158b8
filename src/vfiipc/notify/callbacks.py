"""Callbacks of the blocking client: each call runs in a thread, the loop waits for its end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

__all__ = ["InThread"]


class InThread:
    """A handler for the asyncio client that runs each call of a callback in a daemon thread.

    Args:
        callback: called with what the handler is called with.
    """

    def __init__(self, callback: Callable[[Any], object]) -> None:
        self._callback = callback

    def __call__(self, given: object) -> asyncio.Future[None]:
        outcome: Future[None] = Future()
        # The context tells that the thread runs inside a handler, which must not wait for its own
        # end (NFY-C3).
        context = contextvars.copy_context()

        def run() -> None:
            try:
                context.run(self._callback, given)
            except BaseException as error:  # noqa: BLE001 - logged where it is awaited
                _settle(outcome, _for_the_loop(error))
            else:
                _settle(outcome, None)

        threading.Thread(target=run, name="vfiipc-notify-callback", daemon=True).start()
        return asyncio.wrap_future(outcome)


def _for_the_loop(error: BaseException) -> Exception:
    """The error, or a RuntimeError in place of one that the loop would not treat as an error.

    SystemExit and KeyboardInterrupt would end the loop; futures refuse StopIteration, and take
    CancelledError for a cancellation.
    """
    if isinstance(error, Exception) and not isinstance(error, (StopIteration, CancelledError)):
        return error
    failure = RuntimeError(f"the callback raised {type(error).__name__}")
    failure.__cause__ = error
    return failure


def _settle(outcome: Future[None], error: BaseException | None) -> None:
    if outcome.set_running_or_notify_cancel():
        if error is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(error)
