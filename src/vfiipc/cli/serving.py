"""Serving many connections, each in a thread of its own, until Ctrl-C or a closed output."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

from .. import IPC
from .failures import describe
from .streams import complain

__all__ = ["Serving"]

_PAUSE = 1.0  # seconds before accepting again after a failure, such as too many open files


class Serving:
    """Serves each connection in a thread of its own, until its output has no reader.

    Args:
        program: the name in front of complaints.
        listener: where connections come from.
        handle: serves one connection, which is closed after it, and has a number from 1 on. What it
            raises of ``OSError`` is about the output, and ends everything.
    """

    def __init__(self, program: str, listener: IPC, handle: Callable[[IPC, int], None]) -> None:
        self._program = program
        self._listener = listener
        self._handle = handle
        self._numbers = itertools.count(1)
        self._threads: dict[IPC, threading.Thread] = {}
        self._failed: OSError | None = None

    def serve(self, *, once: bool) -> None:
        """Serves for ever, or one connection.

        Raises:
            OSError: the output cannot be written.
        """
        try:
            while self._failed is None:
                connection = self._accept()
                if connection is not None and once:
                    self._serve_one(connection)
                    break
                if connection is not None:
                    self._start(connection)
        finally:
            self._end_all()
        if self._failed is not None:
            raise self._failed

    def _accept(self) -> IPC | None:
        connection = self._listener.accept()
        if connection is None and self._failed is None:
            complain(self._program, f"cannot accept: {describe(self._listener.last_error)}")
            time.sleep(_PAUSE)
        return connection

    def _start(self, connection: IPC) -> None:
        thread = threading.Thread(target=self._serve_one, args=(connection,), daemon=True)
        self._threads[connection] = thread
        thread.start()

    def _serve_one(self, connection: IPC) -> None:
        try:
            with connection:
                self._handle(connection, next(self._numbers))
        except OSError as error:  # nobody can be told any more
            # The listener wakes the thread that accepts, which then ends the program.
            self._failed = error
            self._listener.close()
        finally:
            self._threads.pop(connection, None)

    def _end_all(self) -> None:
        # Threads that still print while the interpreter ends would crash it.
        for connection, thread in list(self._threads.items()):
            connection.close()
            thread.join(_PAUSE)
