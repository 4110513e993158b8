"""The other processes of ``vfiipc demo``."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from .failures import Failure

__all__ = ["DemoProcess", "demo_process"]

_GIVE_UP: Final = 60  # seconds after which a process that hangs is killed


class DemoProcess(NamedTuple):
    """A process that has started."""

    process: subprocess.Popen[str]
    said: str  #: the last word of its first line


@contextmanager
def demo_process(name: str, arguments: list[str]) -> Iterator[DemoProcess]:
    """Starts Python with these arguments, and terminates it after the ``with`` block.

    Raises:
        Failure: it ended without any output.
    """
    command = [sys.executable, *arguments]
    # In a session of its own, Ctrl-C does not reach it: this process ends it.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        watchdog = threading.Timer(_GIVE_UP, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            if not words:
                raise Failure(f"the {name} did not start")
            yield DemoProcess(process, words[-1])
        finally:
            watchdog.cancel()
            process.terminate()
