"""Delayed messages of ``Loopback``: one who keeps time for all, however many are under way."""

from __future__ import annotations

import threading
import time

from tests.transport.suite.base import LIMIT, LONG, PATIENCE, PREFIX, until
from vfiipc import IPC, loopback_pair
from vfiipc.transport.loopback import Delivery

COUNT = 1500


def test_a_thousand_writes_take_no_thousand_threads() -> None:
    first, second = loopback_pair(1 << 20, first_to_second=Delivery(delay=0.3))
    got: list[int] = []

    def call(data: object, ipc: IPC) -> None:
        while (message := ipc.read_msg(PREFIX, LIMIT, 0)) is not None:
            got.append(message.msg_id)

    with first, second:
        assert second.set_callback(call)
        before, most = threading.active_count(), 0
        began = time.monotonic()
        for number in range(COUNT):
            assert first.write_msg(PREFIX, number, b"", LONG)
            most = max(most, threading.active_count())
        assert most <= before + 2
        until(lambda: len(got) == COUNT)
        assert got == list(range(COUNT))
        assert time.monotonic() - began >= 0.3
    until(lambda: threading.active_count() <= before + 1)


def test_each_comes_in_its_time() -> None:
    slow, far = loopback_pair(first_to_second=Delivery(delay=0.4))
    quick, near = loopback_pair(first_to_second=Delivery(delay=0.05))
    came: dict[str, float] = {}
    with slow, far, quick, near:
        for name, ipc in (("slow", far), ("quick", near)):
            ipc.set_callback(lambda name, ipc: came.setdefault(str(name), time.monotonic()), name)
        began = time.monotonic()
        assert slow.write(b"x")
        assert quick.write(b"x")
        until(lambda: len(came) == 2)
    assert 0.05 <= came["quick"] - began < came["slow"] - began
    assert 0.4 <= came["slow"] - began < PATIENCE


def test_closing_ends_the_wait() -> None:
    first, second = loopback_pair(first_to_second=Delivery(delay=60))
    called = threading.Event()
    second.set_callback(lambda data, ipc: called.set())
    for _ in range(50):
        assert first.write(b"x")
    before = threading.active_count()
    first.close()
    second.close()
    assert threading.active_count() <= before
    assert not called.wait(0.05)
    third, fourth = loopback_pair(first_to_second=Delivery(delay=0.01))
    with third, fourth:
        fourth.set_callback(lambda data, ipc: called.set())
        assert third.write(b"x")
        assert called.wait(PATIENCE)
