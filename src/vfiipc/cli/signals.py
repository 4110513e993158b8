"""Signals that end the program after a clean-up, such as removing the files of Unix sockets."""

from __future__ import annotations

import atexit
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

__all__ = ["ENDING", "Ended", "ending_signals", "is_repetition", "set_handlers"]

#: The signals that end the program, as far as the platform has them.
ENDING: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_DEFAULTS: Final = (signal.SIG_DFL, signal.default_int_handler)
_SOON: Final = 0.01  # seconds until a signal that arrived in a finalizer is sent again
_CLEANING_UP: Final = 3.0  # seconds in which further signals are ignored

_received_at = -math.inf  # when a signal began the clean-up of this process


class Ended(BaseException):
    """Raised in the main thread when a signal ends the program."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.status = 128 + number  #: the shell convention


def _in_finalizer(frame: FrameType | None) -> bool:
    """Whether an exception would be lost: Python ignores those that a finalizer raises."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def is_repetition() -> bool:
    """Whether a signal that has arrived now repeats one that has just begun the clean-up.

    Ctrl-C is often pressed twice, and a supervisor may signal both a group and its members.
    """
    global _received_at
    now = time.monotonic()
    if now < _received_at + _CLEANING_UP:
        return True
    _received_at = now
    return False


@contextmanager
def ending_signals(*, exits: bool = False) -> Iterator[None]:
    """Makes signals that end the process raise ``Ended`` in the main thread, once.

    Ctrl-C raises ``KeyboardInterrupt``. Repetitions are ignored, so that they do not interrupt the
    clean-up. Signals that are ignored, for example by ``nohup``, or have a handler are left alone.

    Args:
        exits: whether the process exits afterwards. Then the former handlers do not return, since
            a repetition that arrives during the exit would replace its status.
    """
    global _received_at
    _received_at = -math.inf
    handled: dict[int, Any] = {}

    def end(number: int, frame: FrameType | None) -> None:
        if _in_finalizer(frame):
            threading.Timer(_SOON, os.kill, (os.getpid(), number)).start()
        elif not is_repetition():
            raise KeyboardInterrupt if number == signal.SIGINT else Ended(number)

    try:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if signal.getsignal(number) in _DEFAULTS:
                    handled[number] = signal.signal(number, end)
        yield
    finally:
        if exits:
            # The interpreter resets Python handlers early in its exit, but not SIG_IGN.
            atexit.register(set_handlers, dict.fromkeys(handled, signal.SIG_IGN))
        else:
            set_handlers(handled)


def set_handlers(handlers: dict[int, Any]) -> None:
    """Sets a handler for each signal number."""
    for number, handler in handlers.items():
        signal.signal(number, handler)
