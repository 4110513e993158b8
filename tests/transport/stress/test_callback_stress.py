"""Callbacks under stress: descriptors that are used again, unregistering, endless data."""

from __future__ import annotations

import socket
import sys
import threading

import pytest

from vfiipc import IPC, TCP

from .base import (
    LIMIT,
    PATIENCE_MSEC,
    PREFIX,
    Loop,
    Tally,
    chance,
    numbered,
    pair_of,
    run,
    until,
)

SECONDS = 1.0


def reused() -> None:
    """An event of a closed object is not told to the one that has its descriptor now."""
    tally, moment = Tally(2 * SECONDS), chance("reused")
    sys.setswitchinterval(1e-6)
    false: list[str] = []
    told: set[int] = set()
    while tally.going():
        former: list[tuple[TCP, socket.socket]] = [_coupled() for _ in range(6)]
        for ipc, _ in former:
            ipc.set_callback(lambda data, ipc: None)
        moment.shuffle(former)
        for ipc, peer in former:
            peer.sendall(b"x")
        for ipc, _ in former:
            ipc.close()
        silent = [_coupled() for _ in range(6)]
        for number, (ipc, _) in enumerate(silent):

            def call(data: object, ipc: IPC, at: int = tally.rounds) -> None:
                if not ipc.poll_in(0):
                    false.append(f"round {at}")
                told.add(data)  # type: ignore[arg-type]

            ipc.set_callback(call, number)
        until(lambda: false, 0.001)
        if tally.rounds % 20 == 0:
            told.clear()
            for _, peer in silent:
                peer.sendall(b"x")
            tally.check(until(lambda: len(told) == 6), f"only {told} of 6 are told")
        for ipc, peer in (*former, *silent):
            ipc.close()
            peer.close()
        if not tally.check(not false, f"called without anything to read: {false}"):
            false.clear()
    tally.report()


def _coupled() -> tuple[TCP, socket.socket]:
    near, far = socket.socketpair()
    ipc = TCP()
    assert ipc.setFD(near), ipc.last_error
    return ipc, far


def test_descriptors_that_are_used_again() -> None:
    run(reused)


def unregistered(transport: str) -> None:
    """``set_callback(None)`` in one thread, while the peer writes and somebody reads."""
    tally = Tally(SECONDS)
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
def test_unregistering_while_the_peer_writes(transport: str) -> None:
    run(unregistered, transport)


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
    run(endless, transport)
