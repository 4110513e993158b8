"""Signals that end the program, after it has cleaned up: files of Unix sockets go."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["Ended", "ending_signals"]

_ENDING: Final = ("SIGTERM", "SIGHUP")
_CLEANING_UP: Final = 3.0  # seconds in which further signals do not disturb


class Ended(BaseException):
    """A signal ends the program, wherever it is."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number  #: as shells give it


@contextmanager
def ending_signals() -> Iterator[None]:
    """Has signals that would end the process at once raise ``Ended`` in the main thread instead.

    Those that somebody ignores or handles, as ``nohup`` does, are left alone.
    """
    handled: list[int] = []
    heard = -_CLEANING_UP

    def end(number: int, _: FrameType | None) -> None:
        nonlocal heard
        if time.monotonic() < heard + _CLEANING_UP:
            return  # the same wish again, as from a supervisor that tells the whole group
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
