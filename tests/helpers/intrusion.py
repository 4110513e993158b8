"""Something that happens in the middle of a call: a signal, a finalizer, another thread's turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .profiling import profiled


@contextmanager
def intruding(module: str, step: int, act: Callable[[], object]) -> Iterator[list[int]]:
    """Has ``act`` called at one of the moments at which the interpreter may run something else.

    These are the entry of a function and the end of a call. An exception out of ``act`` goes on
    from there, as one out of a signal handler does.

    Args:
        module: the file name of the module whose moments count, with those of what it calls.
        step: how many of its moments pass before.
        act: what happens then, once.

    Returns:
        A list that is empty until ``act`` was called.
    """
    left = [step]
    happened: list[int] = []

    def look(frame: FrameType, event: str, _: object) -> None:
        callers = (frame, frame.f_back)
        here = any(f is not None and f.f_code.co_filename.endswith(f"/{module}") for f in callers)
        if not here or event not in ("call", "c_return"):
            return
        if left[0] == 0:
            sys.setprofile(None)
            happened.append(step)
            act()
        left[0] -= 1

    with profiled(look):
        yield happened


def interrupt() -> None:
    """As a signal handler does by default."""
    raise KeyboardInterrupt
