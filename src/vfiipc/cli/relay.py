"""Two connections, and what passes between them, for commands that sit in between."""

from __future__ import annotations

import errno
import threading
from typing import NamedTuple, Protocol

from .. import IPC
from ..blocking.schemes import is_tls
from .failures import describe
from .half_close import shut_down
from .view import Way

__all__ = ["DESCRIPTORS", "Direction", "Flow", "Pair"]

DESCRIPTORS = 6  #: for each pair: two sockets, and what waiting for both takes

_PIECE = 65536
_PATIENCE = 2.0  # seconds for a thread to end whose connections were closed


class Direction(NamedTuple):
    """One direction of a pair."""

    source: IPC
    target: IPC
    way: Way


class Flow(Protocol):
    """What is done with the bytes of one direction. Its members are called in one thread."""

    def pass_on(self, data: bytes) -> str | None:
        """Passes bytes on; None, or what to say of the connection, which is to end."""

    def end(self) -> None:
        """The source has ended."""

    def half_close(self) -> None:
        """The end is passed on now, and the other direction may go on."""


class Pair:
    """Passes on what comes on either of two connections.

    Args:
        there: from the side that connected to the other.
        back: the other direction.

    ``closed`` tells whether the connections have been closed.
    """

    def __init__(self, there: Direction, back: Direction) -> None:
        self._there = there
        self._back = back
        self._lock = threading.Lock()
        self._said = ""
        self.closed = False
        self._failed: Exception | None = None

    def run(self, there: Flow, back: Flow) -> str:
        """Passes everything on until both directions have ended; what ended it.

        Raises:
            OSError: there is no thread for it.
            Exception: what a flow has raised, except for other kinds of ``OSError``.
        """
        other = threading.Thread(target=self._pass_on, args=(self._back, back), daemon=True)
        try:
            other.start()
        except RuntimeError as error:  # no threads left
            raise OSError(errno.EAGAIN, str(error)) from error
        try:
            self._pass_on(self._there, there)
            other.join()
        finally:  # after Ctrl-C, too
            self.close("")
            other.join(_PATIENCE)
        if self._failed is not None:
            raise self._failed
        return self._said or "closed"

    def close(self, said: str) -> None:
        """Closes both connections; the first who does tells why."""
        with self._lock:
            self._said = self._said or said
            self.closed = True
            self._there.source.close()
            self._there.target.close()

    def _pass_on(self, direction: Direction, flow: Flow) -> None:
        try:
            self._pass_all_on(direction, flow)
        except OSError as error:  # the process has no descriptors left, for example
            self.close(f"given up: {describe(error)}")
        except Exception as error:  # noqa: BLE001  (`run` raises it)
            self._failed = error
            self.close("")

    def _pass_all_on(self, direction: Direction, flow: Flow) -> None:
        while data := direction.source.read(_PIECE, -1, 0):
            said = flow.pass_on(data)
            if said is not None:
                self.close(said)
                flow.end()
                return
        flow.end()
        self._half_close(direction, flow)

    def _half_close(self, direction: Direction, flow: Flow) -> None:
        source = direction.source
        over_tls = is_tls(direction.target)  # which cannot end one way alone
        if source.eof() and not source.error() and not over_tls:
            flow.half_close()
            with self._lock:  # nobody may close it now: its descriptor could be another's then
                shut_down(direction.target)
        else:
            self.close(f"broke: {describe(source.last_error)}" if source.error() else "")
