"""Ctrl-C that strikes as a call of the system ends, when its result is in nobody's hands yet."""

from __future__ import annotations

import itertools
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import pytest

from tests.helpers.intrusion import interrupt, intruding
from vfiipc import TCP, Message
from vfiipc.codec import encode
from vfiipc.transport.sockets import SocketStream

from .suite.base import LIMIT, LONG, PREFIX

#: Where the steps of a reading call are.
MODULE = "message_stream.py"


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


@contextmanager
def coupled_pair() -> Iterator[tuple[TCP, socket.socket]]:
    near, far = socket.socketpair()
    with TCP() as ipc, far:
        assert ipc.setFD(near), ipc.last_error
        yield ipc, far


@pytest.fixture
def coupled() -> Iterator[tuple[TCP, socket.socket]]:
    with coupled_pair() as pair:
        yield pair


READS: dict[str, Callable[[TCP], object]] = {
    "read_msg": lambda ipc: ipc.read_msg(PREFIX, LIMIT, LONG),
    "read_msgs": lambda ipc: ipc.read_msgs(PREFIX, LIMIT, LONG),
    "peek": lambda ipc: ipc.peek(100, LONG),
    "poll_in": lambda ipc: ipc.poll_in(LONG),
}


@pytest.mark.parametrize("name", READS)
def test_what_was_received_is_there_for_the_next_call(name: str) -> None:
    """Whatever step of the call the signal strikes at (IPC-H6)."""
    for step in itertools.count():
        with coupled_pair() as (ipc, far):
            far.sendall(encode(PREFIX, 1, b"struck") + encode(PREFIX, 2, b"next"))
            with suppress(KeyboardInterrupt), intruding(MODULE, step, interrupt) as happened:
                READS[name](ipc)
            if not happened:
                break
            assert ipc.poll_in(LONG)
            assert ipc.read_msg(PREFIX, LIMIT, LONG) == Message(1, b"struck")
            assert ipc.read_msg(PREFIX, LIMIT, LONG) == Message(2, b"next")
            assert not ipc.error()
    assert step > 5


def test_raw_reads_lose_at_most_what_they_were_about_to_return() -> None:
    for step in itertools.count():
        with coupled_pair() as (ipc, far):
            far.sendall(b"abc")
            with suppress(KeyboardInterrupt), intruding(MODULE, step, interrupt) as happened:
                ipc.read(3, LONG)
            if not happened:
                break
            far.sendall(b"def")
            assert ipc.read(3, LONG) in (b"abc", b"def")
    assert step > 5


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
