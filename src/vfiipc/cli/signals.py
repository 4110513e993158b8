"""Signals that end the program after a clean-up, such as removing the files of Unix sockets."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["Ended", "ending_signals"]

_ENDING: Final = ("SIGTERM", "SIGHUP")
_SOON: Final = 0.01  # seconds until a signal that arrived in a finalizer is sent again
_CLEANING_UP: Final = 3.0  # seconds in which further signals are ignored


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


@contextmanager
def ending_signals() -> Iterator[None]:
    """Makes signals that would kill the process raise ``Ended`` in the main thread instead.

    Signals that are ignored, for example by ``nohup``, or have a handler are left alone.
    """
    handled: list[int] = []
    received_at = -_CLEANING_UP

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal received_at
        if time.monotonic() < received_at + _CLEANING_UP:
            return  # a repetition, for example from a supervisor that signals the whole group
        if _in_finalizer(frame):
            threading.Timer(_SOON, os.kill, (os.getpid(), number)).start()
            return
        received_at = time.monotonic()
        raise Ended(number)

    try:
        if threading.current_thread() is threading.main_thread():
            for name in _ENDING:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                    handled.append(number)
                    signal.signal(number, end)
        yield
    finally:
        for each in handled:
            signal.signal(each, signal.SIG_DFL)
