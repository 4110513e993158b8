"""Forked children that do a part of a test, as another user where that matters."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

NOBODY = 65534


def in_child(work: Callable[[], bool]) -> int:
    """Starts a child that does this work; 0 is its status where the work was done."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.alarm(20)
        status = 0 if work() else 2
    finally:
        os._exit(status)


def status(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def give_up_rights() -> None:
    """From now on this process is nobody; who is not root has no such rights anyway."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
