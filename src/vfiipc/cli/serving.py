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

_MOST: Final = 256  # connections at once, as the library's `serve`
_PAUSE: Final = 1.0  # seconds before accepting again after a failure, such as too many open files
#: Seconds after which to look whether a signal has come: one that strikes just before the waiting
#: begins does not end it.
_LOOK: Final = 1.0
_FOR_THREADS: Final = 2.0  # seconds in which the threads of closed connections have to end
_RESERVE: Final = 8  # descriptors for what is opened for a moment: files, resolvers, new sockets


def add_serving(parser: arguments.Parser) -> None:
    """The options of every command that serves connections."""
    parser.add_argument(
        "--once", action="store_true", help="serve one connection, then end with it"
    )
    parser.add_argument(
        "--max-connections",
        metavar="NUMBER",
        type=arguments.count,
        default=_MOST,
        help=f"how many are served at once; further ones wait until one has ended ({_MOST})",
    )


class Serving:
    """Serves each connection in a thread of its own, until its output has no reader.

    Args:
        program: the name in front of complaints.
        listener: where connections come from.
        handle: serves one connection, which is closed after it, and has a number from 1 on. If it
            raises ``OutputFailed``, everything ends. Anything else ends this connection alone, and
            is complained of; it is raised where only one is served.
        parsed: with the options of ``add_serving``.
        descriptors: how many descriptors the process needs for each connection, at most.
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
        """Has ``serve`` end, from another thread, and closes all connections."""
        self._stopped = True
        self._listener.close()
        for connection in list(self._threads):
            connection.close()

    def serve(self) -> None:
        """Serves until ``stop``, or one connection.

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
        except OSError as error:  # waiting takes a descriptor, too
            connection, reason = None, error
        # Where nobody came in time, the error is still the former one.
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
        """Closes what cannot be served; whoever connects learns it, and those served go on."""
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
        except OutputFailed as error:  # nobody can be told any more
            # The listener wakes the thread that accepts, which then ends the program.
            self._failed = error
            self._listener.close()
        except (OSError, MemoryError) as error:
            complain(self._program, f"connection {number} given up: {describe(error)}")
        except Exception:  # noqa: BLE001  (a fault of the program, which others need not suffer)
            complain(self._program, f"connection {number} given up for a fault of this program:")
            traceback.print_exc()
        finally:
            self._threads.pop(connection, None)
            self._places.release()

    def _end_all(self) -> None:
        # Threads that still print while the interpreter ends would crash it.
        left = dict(self._threads)
        for connection in left:
            connection.close()
        end = time.monotonic() + _FOR_THREADS
        for thread in left.values():
            if thread.is_alive():  # Ctrl-C may have come before it was started
                thread.join(max(0.0, end - time.monotonic()))


def _free_descriptors() -> int:
    """How many descriptors the process may still open; plenty where that cannot be told."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/dev/fd"))  # noqa: PTH208 - its entries are no files
    except (ImportError, OSError):
        return 1 << 20
    return 1 << 20 if limit == resource.RLIM_INFINITY else max(limit - used - _RESERVE, 0)
