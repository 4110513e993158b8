"""Which calls are still running, told by their frames.

A signal handler can raise between any two steps of a call: after a lock was taken and before the
``try`` that would give it back, or inside the ``finally`` that does. So nothing here counts on a
call to clean up behind itself. What a call holds is recorded together with its frame, and whoever
meets the record can ask whether that frame is still running (IPC-H6). This holds for every thread:
one that ``threading`` does not know (IPC-H5), and those that a fork has left behind (IPC-H4).

A call that asks for its own frame deletes the variable before it returns. A frame that is kept in
one of its own variables is garbage that only the collector finds, with all that the call has held.
"""

from __future__ import annotations

import os
import sys
import time
from types import FrameType
from typing import Final

__all__ = ["is_below", "is_running"]

# Looks at the stacks, and seconds between them, before a frame counts as one of a lost thread. A
# thread that enters or leaves a generator can be missed by one look.
_LOOKS: Final = 3
_BETWEEN: Final = 0.001

_forked = False


def is_running(frame: FrameType) -> bool:
    """Whether the call that this frame belongs to has not ended. Thread safe.

    The locals of a call that has ended are let go.
    """
    try:
        frame.clear()  # refused, without any effect, while the frame runs in whatever thread
    except RuntimeError:
        return not _forked or _is_on_a_stack(frame)
    return False


def is_below(frame: FrameType, top: FrameType | None) -> bool:
    """Whether ``top`` was called, directly or not, by the call of ``frame``."""
    while top is not None and top is not frame:
        top = top.f_back
    return top is not None


def _is_on_a_stack(frame: FrameType) -> bool:
    # The frames of a parent's other threads look like running ones for ever.
    for _ in range(_LOOKS):
        if any(is_below(frame, top) for top in sys._current_frames().values()):
            return True
        time.sleep(_BETWEEN)
    return False


def _note_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
