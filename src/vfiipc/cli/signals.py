"""Signals that end the program, after it has cleaned up: files of Unix sockets go."""

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
_SOON: Final = 0.01  # seconds after which a signal comes again that struck a finalizer
_CLEANING_UP: Final = 3.0  # seconds in which further signals do not disturb


class Ended(BaseException):
    """A signal ends the program, wherever it is."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number  #: as shells give it


def _in_finalizer(frame: FrameType | None) -> bool:
    """Whether an exception would be lost: Python ignores those that a finalizer raises."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


@contextmanager
def ending_signals() -> Iterator[None]:
    """Has signals that would end the process at once raise ``Ended`` in the main thread instead.

    Those that somebody ignores or handles, as ``nohup`` does, are left alone.
    """
    handled: list[int] = []
    heard = -_CLEANING_UP

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        if time.monotonic() < heard + _CLEANING_UP:
            return  # the same wish again, as from a supervisor that tells the whole group
        if _in_finalizer(frame):
            threading.Timer(_SOON, os.kill, (os.getpid(), number)).start()
            return
        heard = time.monotonic()
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
