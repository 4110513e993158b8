"""``vfiipc echo``: answers every message with itself."""

from __future__ import annotations

import argparse
import threading
import time

from .. import TCP
from . import arguments
from .failures import Failure, describe
from .streams import complain, say

__all__ = ["add_to"]

_PAUSE = 1.0  # seconds before accepting again after a failure, such as too many open files

_MORE = """\
The first line of output is the address that it listens at. Ctrl-C ends it.

examples:
  vfiipc echo                        a free port, for programs on this machine
  vfiipc echo 127.0.0.1:5000         a port of your choice
  vfiipc echo 0.0.0.0:5000           for every machine that can reach this one
  vfiipc echo --prefix 0x004E4659 --limit 64K
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "echo", _run, does="answer every message with itself, over TCP", more=_MORE
    )
    parser.add_argument(
        "address",
        metavar="ADDRESS",
        nargs="?",
        type=arguments.address,
        default="127.0.0.1:0",
        help="where to listen, HOST:PORT or [IPV6]:PORT; port 0 is a free one (%(default)s)",
    )
    arguments.add_framing(parser)
    parser.add_argument(
        "--once", action="store_true", help="serve one connection, then end with it"
    )


def _run(parsed: argparse.Namespace) -> int:
    with TCP() as listener:
        if not listener.listen(parsed.address.port, parsed.address.host):
            raise Failure(f"cannot listen at {parsed.address}: {describe(listener.last_error)}")
        say(f"listening at {listener.local_addr()}")
        _Server(listener, parsed.prefix, parsed.limit).serve(once=parsed.once)
    return 0


class _Server:
    """Serves each connection in a thread of its own, until its output has no reader."""

    def __init__(self, listener: TCP, prefix: int, limit: int) -> None:
        self._listener = listener
        self._prefix = prefix
        self._limit = limit
        self._threads: dict[TCP, threading.Thread] = {}
        self._failed: OSError | None = None

    def serve(self, *, once: bool) -> None:
        try:
            while self._failed is None:
                connection = self._accept()
                if connection is not None and once:
                    self._answer_all(connection)
                    break
                if connection is not None:
                    self._start(connection)
        finally:
            self._end_all()
        if self._failed is not None:
            raise self._failed

    def _accept(self) -> TCP | None:
        connection = self._listener.accept()
        if connection is None and self._failed is None:
            complain("vfiipc echo", f"cannot accept: {describe(self._listener.last_error)}")
            time.sleep(_PAUSE)
        return connection

    def _start(self, connection: TCP) -> None:
        thread = threading.Thread(target=self._answer_all, args=(connection,), daemon=True)
        self._threads[connection] = thread
        thread.start()

    def _answer_all(self, connection: TCP) -> None:
        try:
            with connection:
                self._answer(connection)
        except OSError as error:  # nobody can be told any more
            # The listener wakes the thread that accepts, which then ends the program.
            self._failed = error
            self._listener.close()
        finally:
            self._threads.pop(connection, None)

    def _answer(self, connection: TCP) -> None:
        peer = connection.remote_addr()
        say(f"{peer} connected")
        count = 0
        while (message := connection.read_msg(self._prefix, self._limit)) is not None:
            if not connection.write_msg(self._prefix, message.msg_id, message.data):
                break
            count += 1
        if connection.local_addr():
            self._report(connection, peer, count)

    def _report(self, connection: TCP, peer: str, count: int) -> None:
        how = f"broke: {describe(connection.last_error)}" if connection.error() else "closed"
        dropped = f"bytes discarded: {connection.discarded:,}"
        say(f"{peer} {how}; messages answered: {count:,}; {dropped}")

    def _end_all(self) -> None:
        # Threads that still print while the interpreter ends would crash it.
        for connection, thread in list(self._threads.items()):
            connection.close()
            thread.join(_PAUSE)
