"""Serving many connections, each in a thread of its own, until Ctrl-C or a closed output."""

from __future__ import annotations

import argparse
import itertools
import os
import threading
import time
import traceback
from collections.abc import Callable
from typing import Final

from .. import IPC
from . import arguments
from .failures import describe
from .streams import OutputFailed, complain

__all__ = ["Serving", "add_serving"]

_MOST: Final = 256  # connections at once, the default of the library's `serve`
_PAUSE: Final = 1.0  # seconds before accepting again after a failure, such as too many open files
#: Seconds between checks for signals: one that arrives just before a wait begins does not end it.
_LOOK: Final = 1.0
_FOR_THREADS: Final = 2.0  # seconds in which the threads of closed connections have to end
_RESERVE: Final = 8  # descriptors kept for short use: files, resolvers, new sockets


def add_serving(parser: arguments.Parser) -> None:
    """Adds the options of commands that serve connections."""
    parser.add_argument("--once", action="store_true", help="serve one connection, then exit")
    parser.add_argument(
        "--max-connections",
        metavar="NUMBER",
        type=arguments.count,
        default=_MOST,
        help="maximum number of connections at once, 1 or more; others wait until one ends "
        f"({_MOST})",
    )


class Serving:
    """Serves each connection in a thread of its own, until its output has no reader.

    Args:
        program: the name that error messages begin with.
        listener: accepts the connections.
        handle: serves one connection; called with it and its number, 1 for the first. The
            connection is closed afterwards. ``OutputFailed`` ends the program. Any other exception
            is reported and ends this connection only; with ``--once`` it is raised.
        parsed: with the options of ``add_serving``.
        descriptors: maximum number of descriptors that one connection needs.
    """

    def __init__(
        self,
        program: str,
        listener: IPC,
        handle: Callable[[IPC, int], None],
        parsed: argparse.Namespace,
        descriptors: int = 3,
    ) -> None:
        self._program = program
        self._listener = listener
        self._handle = handle
        self._once: bool = parsed.once
        self._numbers = itertools.count(1)
        self._places = threading.Semaphore(parsed.max_connections)
        self._room = max(1, _free_descriptors() // descriptors)
        self._threads: dict[IPC, threading.Thread] = {}
        self._failed: OutputFailed | None = None
        self._refusing = False
        self._stopped = False

    def stop(self) -> None:
        """Makes ``serve`` return, and closes all connections. Called from another thread."""
        self._stopped = True
        self._listener.close()
        for connection in list(self._threads):
            connection.close()

    def serve(self) -> None:
        """Serves connections until ``stop``; with ``--once``, serves one.

        Raises:
            OutputFailed: the output cannot be written.
        """
        try:
            while self._failed is None and not self._stopped:
                if not self._places.acquire(timeout=_LOOK):
                    continue
                connection = self._accept()
                if connection is None:
                    self._places.release()
                elif self._once:
                    with connection:
                        self._handle(connection, next(self._numbers))
                    break
                else:
                    self._start(connection)
        finally:
            self._end_all()
        if self._failed is not None:
            raise self._failed

    def _accept(self) -> IPC | None:
        former = self._listener.last_error
        try:
            connection = self._listener.accept(_LOOK * 1000)
            reason = self._listener.last_error
        except OSError as error:  # waiting needs a descriptor, too
            connection, reason = None, error
        # After a time-out, last_error is unchanged.
        ended = self._failed is not None or self._stopped
        if connection is None and reason is not former and not ended:
            complain(self._program, f"cannot accept: {describe(reason)}")
            time.sleep(_PAUSE)
        return connection

    def _start(self, connection: IPC) -> None:
        if len(self._threads) >= self._room:
            self._refuse(connection, f"descriptors for more than {self._room} at once (ulimit -n)")
            return
        thread = threading.Thread(target=self._serve_one, args=(connection,), daemon=True)
        self._threads[connection] = thread
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            del self._threads[connection]
            self._refuse(connection, "threads left")
            return
        self._refusing = False

    def _refuse(self, connection: IPC, lacking: str) -> None:
        """Closes a connection that cannot be served; the others continue."""
        connection.close()
        self._places.release()
        if not self._refusing:
            complain(self._program, f"refusing connections: no {lacking}")
        self._refusing = True

    def _serve_one(self, connection: IPC) -> None:
        number = next(self._numbers)
        try:
            with connection:
                self._handle(connection, number)
        except OutputFailed as error:  # the reader of the output has gone
            # The listener wakes the thread that accepts, which then ends the program.
            self._failed = error
            self._listener.close()
        except (OSError, MemoryError) as error:
            complain(self._program, f"connection {number} given up: {describe(error)}")
        except Exception:  # noqa: BLE001  (a bug; the other connections continue)
            complain(self._program, f"connection {number} ended by a bug in this program:")
            traceback.print_exc()
        finally:
            self._threads.pop(connection, None)
            self._places.release()

    def _end_all(self) -> None:
        # Threads that print while the interpreter shuts down would crash it.
        left = dict(self._threads)
        for connection in left:
            connection.close()
        end = time.monotonic() + _FOR_THREADS
        for thread in left.values():
            if thread.is_alive():  # Ctrl-C may have come before it was started
                thread.join(max(0.0, end - time.monotonic()))


def _free_descriptors() -> int:
    """How many descriptors the process can still open; a large number if unknown."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/dev/fd"))  # noqa: PTH208 - its entries are no files
    except (ImportError, OSError):
        return 1 << 20
    return 1 << 20 if limit == resource.RLIM_INFINITY else max(limit - used - _RESERVE, 0)
