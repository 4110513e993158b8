"""Callbacks under stress: descriptors that are used again, unregistering, endless data."""

from __future__ import annotations

import socket
import sys
import threading
from types import FrameType

import pytest

from vfiipc import IPC, TCP

from .base import (
    LIMIT,
    PATIENCE,
    PATIENCE_MSEC,
    PREFIX,
    Loop,
    Tally,
    numbered,
    pair_of,
    run,
    until,
)

SECONDS = 0.7


class Pause:
    """Holds the thread that calls back between the end of its wait and its look at what came.

    It is told apart from others by what it calls, for it is the only one that polls here.
    """

    def __init__(self) -> None:
        self.armed = False
        self.reached, self.go_on = threading.Event(), threading.Event()
        threading.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, called: object) -> None:
        if event == "c_return" and self.armed and getattr(called, "__name__", "") in _POLLS:
            self.armed = False
            self.reached.set()
            # Not for ever: it may hold a lock that the other thread needs.
            self.go_on.wait(PATIENCE / 3)

    def arm(self) -> None:
        self.reached.clear()
        self.go_on.clear()
        self.armed = True


_POLLS = {"poll", "select", "control"}


def reused() -> None:
    """An event of a closed object is not told to the one that has its descriptor now."""
    tally, pause = Tally(SECONDS), Pause()
    false: list[object] = []
    true: list[object] = []

    def call(data: object, ipc: IPC) -> None:
        (true if ipc.poll_in(0) else false).append(data)

    same = 0
    while tally.going():
        former, peer = _coupled()
        former.set_callback(lambda data, ipc: None)
        until(lambda: False, 0.002)  # until the thread waits
        number = former.getFD()
        pause.arm()
        peer.sendall(b"x")
        tally.check(pause.reached.wait(PATIENCE), "nobody polls")
        former.close()
        peer.close()
        silent, peer = _coupled()
        same += silent.getFD() == number
        silent.set_callback(call, tally.rounds)
        pause.go_on.set()
        until(lambda: false, 0.003)
        if tally.check(not false, "called without anything to read"):
            peer.sendall(b"x")
            tally.check(until(lambda: tally.rounds in true), "never called")
        false.clear()
        silent.close()
        peer.close()
    tally.check(same > tally.rounds / 2, f"the descriptor was the same in {same} rounds only")
    tally.report()


def _coupled() -> tuple[TCP, socket.socket]:
    near, far = socket.socketpair()
    ipc = TCP()
    assert ipc.setFD(near), ipc.last_error
    return ipc, far


def test_descriptors_that_are_used_again() -> None:  # IPC-Z4
    run(reused)


def unregistered(transport: str) -> None:
    """``set_callback(None)`` in one thread, while the peer writes and somebody reads."""
    tally = Tally(SECONDS, 10)
    sys.setswitchinterval(1e-6)
    while tally.going():
        first, second = pair_of(transport)

        def register(first: IPC = first) -> None:
            first.set_callback(lambda data, ipc: None)
            first.set_callback(None)

        loops = [Loop(register) for _ in range(2)]
        loops.append(Loop(lambda: first.read_msg(PREFIX, LIMIT, 5)))  # noqa: B023
        try:
            for _ in range(30):
                good = second.write_msgs(PREFIX, numbered(range(10)), PATIENCE_MSEC)
                tally.check(good, f"nothing is written: {second.last_error!r}")
                if not good:
                    break
            tally.check(second.write_msg(PREFIX, 1, b""), f"broken: {second.last_error!r}")
        except TypeError as error:
            tally.check(False, f"{error!r}")
        stopped = [loop.stop() for loop in loops]
        tally.check(all(stopped), f"a thread is stuck: {stopped}")
        first.close()
        second.close()
    tally.report()


@pytest.mark.parametrize("transport", ["tcp", "loopback", "tls-ssl", "tls-openssl"])
def test_unregistering_while_the_peer_writes(transport: str) -> None:  # IPC-C5
    run(unregistered, arguments=[transport])


def endless(transport: str) -> None:
    """An object that never has nothing to read keeps no other one waiting."""
    tally = Tally(SECONDS)
    tally.going()
    first, second = pair_of(transport)
    first.set_callback(lambda data, ipc: ipc.read_msg(PREFIX, LIMIT, 0))
    flooding = [
        Loop(lambda: second.write_msgs(PREFIX, numbered(range(2000)), PATIENCE_MSEC))
        for _ in range(2)
    ]
    until(lambda: False, 0.1)
    for kind in ("setfd", "loopback", "tls-ssl"):
        near, far = pair_of(kind)
        for _ in range(3):
            told = threading.Event()
            near.set_callback(lambda data, ipc: told.set())  # noqa: B023
            tally.check(far.write_msg(PREFIX, 1, b""), f"nothing is written: {far.last_error!r}")
            tally.check(until(told.is_set), f"{kind} is never told")
            near.read_msg(PREFIX, LIMIT, 0)
        near.close()
        far.close()
    first.close()
    second.close()
    tally.check(all(loop.stop() for loop in flooding), "a writer is stuck")
    tally.report()


@pytest.mark.parametrize("transport", ["loopback", "tls-ssl"])
def test_endless_data(transport: str) -> None:
    run(endless, arguments=[transport])
