"""How many Python functions a message takes: what most of its time is made of.

A call of a function in Python costs some 50 ns, so their number is a measure of speed that no busy
machine spoils. Counted are those of the package.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from tests.helpers.profiling import profiled
from tests.helpers.source import PACKAGE
from vfiipc import TCP
from vfiipc.codec import encode

from .suite.base import LIMIT, LONG, PREFIX, Aside

ONE = encode(PREFIX, 1, b"x" * 64)


def calls(call: Callable[[], object]) -> Counter[str]:
    """The functions of the package that a call has called, and how often."""
    counted: Counter[str] = Counter()
    package = str(PACKAGE)

    def count(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(package):
            counted[f"{code.co_filename[len(package) + 1 :]}:{code.co_name}"] += 1

    with profiled(count):
        call()
    return counted


@pytest.fixture
def connected() -> Iterator[tuple[TCP, socket.socket]]:
    """A connection that has been used, and the plain socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener, TCP() as ipc:
        assert ipc.connect("127.0.0.1", listener.getsockname()[1], LONG), ipc.last_error
        with listener.accept()[0] as peer:
            for _ in range(3):
                peer.sendall(ONE)
                assert ipc.read_msg(PREFIX, LIMIT, LONG) == (1, b"x" * 64)
                assert ipc.write_msg(PREFIX, 1, b"x" * 64)
                assert len(peer.recv(4096)) == len(ONE)
            yield ipc, peer


def test_reading_what_is_there(connected: tuple[TCP, socket.socket]) -> None:
    """A message that the kernel has, and one that came with the one before."""
    ipc, peer = connected
    for messages, most in ((1, 10), (2, 10)):
        peer.sendall(ONE * messages)
        assert ipc.poll_in(LONG)
        for _ in range(messages):
            counted = calls(lambda: ipc.read_msg(PREFIX, LIMIT))
            assert counted.total() <= most, counted
    assert ipc.read_msg(PREFIX, LIMIT, 0) is None


@pytest.mark.parametrize("timeout", [-1, LONG])
def test_reading_what_has_to_be_waited_for(
    connected: tuple[TCP, socket.socket], timeout: int
) -> None:
    ipc, peer = connected
    found: list[Counter[str]] = []

    def read() -> None:
        found.append(calls(lambda: ipc.read_msg(PREFIX, LIMIT, timeout)))

    for _ in range(3):  # the last of them knows that it had to wait before
        reading = Aside(read).until_blocked()
        peer.sendall(ONE)
        reading.result()
        assert found[-1]
    assert found[-1].total() <= 10, found[-1]


def test_writing(connected: tuple[TCP, socket.socket]) -> None:
    ipc, _ = connected
    for data in (b"", b"x" * 64, b"x" * 1024):
        counted = calls(lambda: ipc.write_msg(PREFIX, 1, data))  # noqa: B023
        assert counted.total() <= 6, counted
