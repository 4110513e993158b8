"""What the parts of the conformance suite share: the pair, threads, and how to wait for them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, ClassVar

import pytest

from vfiipc import IPC

Pair = tuple[IPC, IPC]

PREFIX = 0x41444B21
OTHER_PREFIX = 0x41444B22
LIMIT = 2**20
#: Milliseconds and seconds that are never reached unless something is broken.
LONG = 20_000
PATIENCE = 20.0
#: More than any transport holds on its way.
FLOOD = bytes(32 * 2**20)


class PairSuite:
    """Tests over two connected objects, the first of which is the one looked at."""

    #: Whether ``getFD`` gives a descriptor that can be selected on.
    has_descriptor: ClassVar[bool] = True
    #: Whether both ends know addresses that ``connect`` would take.
    has_addresses: ClassVar[bool] = True

    def connected_pair(self) -> Pair:
        """Two new objects that are connected with each other."""
        raise NotImplementedError

    @pytest.fixture
    def pair(self) -> Iterator[Pair]:
        first, second = self.connected_pair()
        with first, second:
            yield first, second


class Aside:
    """One call in a thread of its own."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._function = function
        self._arguments = arguments
        self._outcome: list[Any] = []
        self._failure: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._outcome.append(self._function(*self._arguments))
        except BaseException as failure:  # noqa: BLE001  (given to who asks for the result)
            self._failure.append(failure)

    def result(self) -> Any:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), f"{self._function} does not return"
        if self._failure:
            raise self._failure[0]
        return self._outcome[0]

    def until_blocked(self) -> Aside:
        """Returns when the call waits: its thread stays at one place inside the library."""
        last, same = None, 0
        while same < 3:
            assert self.thread.is_alive(), f"{self._function} has returned {self._outcome}"
            place = _place(sys._current_frames().get(self.thread.ident or 0))
            same = same + 1 if place is not None and place == last else 0
            last = place
            time.sleep(0.004)
        return self


def _place(frame: FrameType | None) -> tuple[object, ...] | None:
    places = []
    while frame is not None:
        places.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    inside = any("transport" in code.co_filename for code, _ in places)
    return tuple(places) if inside else None


def until(condition: Callable[[], object]) -> None:
    """Waits, with patience, until something holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what was waited for has not come"
        time.sleep(0.002)


def arrived(ipc: IPC, count: int) -> None:
    """Waits until ``count`` bytes can be read; takes none."""
    until(lambda: ipc.peek(count, 0).n >= count)


def port_of(ipc: IPC) -> int:
    """The port at the object's own end."""
    return int(ipc.local_addr().rpartition(":")[2])
