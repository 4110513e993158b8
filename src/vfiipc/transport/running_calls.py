"""Tells by their frames which calls are still running.

A signal handler can raise between any two steps of a call: after a lock was taken and before the
``try`` that would release it, or inside the ``finally`` that does. So nothing here relies on a call
to clean up after itself. What a call holds is recorded together with its frame, and any other call
can check whether that frame is still running (IPC-H6). This works for every thread:
one that ``threading`` does not know (IPC-H5), and those that a fork has left behind (IPC-H4).

A call that takes its own frame deletes the variable before it returns. A frame that is stored in
one of its own variables is a cycle: only the garbage collector frees it, and all that it refers to.
"""

from __future__ import annotations

import sys
import time
from types import FrameType
from typing import Final

from .system import after_fork

__all__ = ["is_below", "is_running"]

# How often the stacks are checked, and seconds in between, before a frame counts as one of a lost
# thread. A single check can miss a thread that is entering or leaving a generator.
_LOOKS: Final = 3
_BETWEEN: Final = 0.001

_forked = False


def is_running(frame: FrameType) -> bool:
    """Whether the call that this frame belongs to is still running. Thread safe.

    If the call has ended, its local variables are cleared.
    """
    try:
        frame.clear()  # refused, without effect, while the frame runs in any thread
    except RuntimeError:
        return not _forked or _is_on_a_stack(frame)
    return False


def is_below(frame: FrameType, top: FrameType | None) -> bool:
    """Whether ``top`` was called, directly or indirectly, by the call of ``frame``."""
    while top is not None and top is not frame:
        top = top.f_back
    return top is not None


def _is_on_a_stack(frame: FrameType) -> bool:
    # In a forked child, the frames of the parent's other threads look as if they were running.
    for _ in range(_LOOKS):
        if any(is_below(frame, top) for top in sys._current_frames().values()):
            return True
        time.sleep(_BETWEEN)
    return False


@after_fork
def _note_fork() -> None:
    global _forked
    _forked = True
