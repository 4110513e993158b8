"""Every call is told to a function, and nothing but the code under test is called."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def profiled(tell: Callable[[FrameType, str, object], object]) -> Iterator[None]:
    """Has ``tell`` called as ``sys.setprofile`` says.

    A collection of garbage would run the finalizers of what earlier tests have left, so it waits.
    """
    former, collects = sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(tell)
    try:
        yield
    finally:
        sys.setprofile(former)
        if collects:
            gc.enable()
