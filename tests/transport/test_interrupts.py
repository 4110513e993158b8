"""Ctrl-C that strikes as a call of the system ends, when its result is in nobody's hands yet."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from vfiipc import TCP, Message
from vfiipc.codec import encode
from vfiipc.transport.sockets import SocketStream

from .suite.base import LIMIT, LONG, PREFIX


@contextmanager
def struck(method: Callable[..., object]) -> Iterator[None]:
    """Interrupts the method as soon as the first call of the system that it makes has ended."""

    def strike(frame: FrameType, event: str, _: object) -> None:
        if event == "c_return" and frame.f_code is method.__code__:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(strike)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        sys.setprofile(None)


@pytest.fixture
def coupled() -> Iterator[tuple[TCP, socket.socket]]:
    near, far = socket.socketpair()
    with TCP() as ipc, far:
        assert ipc.setFD(near), ipc.last_error
        yield ipc, far


def test_what_was_received_is_there_for_the_next_call(coupled: tuple[TCP, socket.socket]) -> None:
    # IPC-H6
    ipc, far = coupled
    far.sendall(encode(PREFIX, 1, b"struck") + encode(PREFIX, 2, b"next"))
    with struck(SocketStream.receive):
        ipc.read_msg(PREFIX, LIMIT, LONG)
    assert ipc.peek(100, LONG).n > 0
    assert ipc.read_msg(PREFIX, LIMIT, LONG) == Message(1, b"struck")
    assert ipc.read_msg(PREFIX, LIMIT, LONG) == Message(2, b"next")
    assert not ipc.error()


def test_raw_reads_go_on_as_well(coupled: tuple[TCP, socket.socket]) -> None:  # IPC-H6
    ipc, far = coupled
    far.sendall(b"abc")
    with struck(SocketStream.receive):
        ipc.read(3, LONG)
    assert ipc.read(3, LONG) == b"abc"


@pytest.mark.parametrize(
    "write",
    [
        lambda ipc: ipc.write_msg(PREFIX, 1, b"x"),
        lambda ipc: ipc.write_msg(PREFIX, 1, bytearray(b"x")),
        lambda ipc: ipc.write_msgs(PREFIX, [(1, b"x")]),
        lambda ipc: ipc.write(b"x"),
    ],
)
def test_nothing_follows_what_may_be_half_a_message(
    coupled: tuple[TCP, socket.socket], write: Callable[[TCP], bool]
) -> None:  # IPC-X8
    ipc, _ = coupled
    with struck(SocketStream.send):
        write(ipc)
    assert ipc.error()
    assert isinstance(ipc.last_error, KeyboardInterrupt)
    assert not write(ipc)
