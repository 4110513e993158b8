"""Threads that ``threading`` does not know: from ``_thread``, and from a library in C."""

from __future__ import annotations

import _thread
import ctypes
import itertools
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vfiipc import IPC
from vfiipc.codec import encode

from .base import (
    LIMIT,
    PREFIX,
    TRANSPORTS,
    Listening,
    Tally,
    chance,
    pair_of,
    run,
    until,
)

SECONDS = 0.3
FLOOD = bytes(32 << 20)

Start = Callable[[Callable[[], None]], object]

_ENTRY = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_entries: list[object] = []  # kept, for C has the addresses alone


def by_c(work: Callable[[], None]) -> None:
    """Starts a thread with ``pthread_create``."""

    def enter(_: object) -> None:
        work()

    entry, number = _ENTRY(enter), ctypes.c_ulong()
    _entries.append(entry)
    create = ctypes.CDLL(None).pthread_create
    assert create(ctypes.byref(number), None, entry, None) == 0


def by_module(work: Callable[[], None]) -> None:
    _thread.start_new_thread(work, ())


MEMBERS: dict[str, Callable[[IPC], object]] = {
    "read_msg": lambda ipc: ipc.read_msg(PREFIX, LIMIT),
    "read_msgs": lambda ipc: ipc.read_msgs(PREFIX, LIMIT),
    "read": lambda ipc: ipc.read(1),
    "readinto": lambda ipc: ipc.readinto(bytearray(1)),
    "peek": lambda ipc: ipc.peek(1).data,
    "poll_in": lambda ipc: ipc.poll_in() and not ipc.error(),
    "write": lambda ipc: ipc.write(FLOOD),
    "write_msg": lambda ipc: ipc.write_msg(PREFIX, 1, FLOOD),
    "write_msgs": lambda ipc: ipc.write_msgs(PREFIX, [(1, FLOOD)]),
}


class Foreign:
    """One call in such a thread, and what became of it."""

    def __init__(self, start: Start, call: Callable[[], object]) -> None:
        self._call = call
        self.began = False
        self.outcome: list[object] = []
        start(self._run)

    def _run(self) -> None:
        self.began = True
        try:
            self.outcome.append(self._call())
        except BaseException as error:  # noqa: BLE001 - whatever it is
            self.outcome.append(error)


@contextmanager
def taken() -> Iterator[None]:
    """Takes the descriptors that are free: each has a message that is nobody's business."""
    pairs = [socket.socketpair() for _ in range(8)]
    for ends in pairs:
        for sock in ends:
            sock.sendall(encode(PREFIX, 666, b"of somebody else"))
    try:
        yield
    finally:
        for ends in pairs:
            for sock in ends:
                data = sock.recv(100)
                assert data == encode(PREFIX, 666, b"of somebody else"), data
                sock.close()


def closed(transport: str) -> None:
    """Another thread closes: the call returns and has nothing, and touches no other descriptor."""
    tally, moment = Tally(SECONDS, 2), chance("foreign", transport)
    sys.setswitchinterval(1e-4)
    while tally.going():
        for name, call in MEMBERS.items():
            first, second = pair_of(transport)
            starts = moment.sample([by_module, by_c], moment.choice([1, 2]))
            calls = [Foreign(start, lambda: call(first)) for start in starts]  # noqa: B023
            tally.check(until(lambda: all(one.began for one in calls)), f"{name}: no thread")  # noqa: B023
            until(lambda: False, moment.choice([0.0, 0.0002, 0.002]))
            first.close()
            with taken():
                ended = until(lambda: all(one.outcome for one in calls))  # noqa: B023
                tally.check(ended, f"{name}: it does not return")
            outcomes = [one.outcome for one in calls]
            tally.check(not any(any(outcome) for outcome in outcomes), f"{name}: {outcomes}")
            second.close()
    tally.check(_descriptors() < 40, "descriptors are left")
    tally.report()


def accepting() -> None:
    """The same for ``accept``."""
    tally = Tally(SECONDS, 6)
    for transport, start in itertools.product(["tcp", "loopback", "pipe"], [by_module, by_c]):
        if not tally.going():
            break
        listener = Listening(transport)
        with listener as (server, _):
            call = Foreign(start, server.accept)
            until(lambda: call.began)  # noqa: B023
            until(lambda: False, 0.001)
            server.close()
            with taken():
                tally.check(until(lambda: call.outcome), "accept does not return")  # noqa: B023
            tally.check(call.outcome == [None], f"accept: {call.outcome}")
    tally.report()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="calls pthread_create of glibc")


@needs_linux
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_another_thread_closes(transport: str) -> None:  # IPC-H5
    run(closed, arguments=[transport])


@needs_linux
def test_another_thread_closes_a_listener() -> None:  # IPC-H5
    run(accepting)
