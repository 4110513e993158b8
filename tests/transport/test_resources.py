"""Descriptors, threads and processes: what is used, shared and left behind."""

from __future__ import annotations

import gc
import os
import queue
import select
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.helpers.children import in_child, status
from vfiipc import TCP
from vfiipc.transport import system

from .suite.base import LIMIT, LONG, PREFIX, Aside, until

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def connect(server: TCP) -> tuple[TCP, TCP]:
    client = TCP()
    assert client.connect(server.local_addr(), 0, LONG), client.last_error
    accepted = server.accept(LONG)
    assert accepted is not None
    return client, accepted


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@linux_only
@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.long
def test_connections_leave_nothing_behind(
    server: TCP, portable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "portable", portable)

    def use() -> None:
        client, accepted = connect(server)
        accepted.set_callback(lambda data, ipc: None)
        assert client.read(1, 0) == b""
        assert client.write_msg(PREFIX, 1, b"x")
        assert accepted.read_msg(PREFIX, LIMIT, LONG) == (1, b"x")
        client.close()
        accepted.close()

    for _ in range(5):
        use()
    before = descriptors(), threading.active_count()
    for _ in range(2000):
        use()
    until(lambda: threading.active_count() <= before[1])
    # A signal or two may be kept for the next wait.
    assert descriptors() <= before[0] + 4


@linux_only
def test_a_wait_keeps_one_descriptor_for_each_direction(server: TCP) -> None:  # IPC-H8
    client, accepted = connect(server)
    gc.collect()  # what earlier tests have left behind
    before = descriptors()
    for _ in range(3):
        assert accepted.read_msg(PREFIX, LIMIT, 1) is None
        assert accepted.read(1, 1) == b""
        assert not accepted.poll_in(1)
    assert descriptors() == before + 1
    while client.write(bytes(1 << 20), 10):
        pass
    assert isinstance(client.last_error, TimeoutError)
    assert descriptors() == before + 2
    client.close()
    accepted.close()
    assert descriptors() == before - 2


@linux_only
def test_failures_leave_nothing_behind(server: TCP) -> None:
    def fail() -> None:
        with TCP() as ipc:
            assert not ipc.connect("localhost", 1, LONG)
            assert not ipc.connect("127.0.0.1", 1, LONG)
            assert not ipc.listen(int(server.local_addr().rpartition(":")[2]), "127.0.0.1")
            assert not ipc.setFD(server.getFD())
            assert server.accept(0) is None

    fail()
    before = descriptors(), threading.active_count()
    for _ in range(50):
        fail()
    until(lambda: threading.active_count() <= before[1])
    assert descriptors() <= before[0] + 4


@linux_only
def test_descriptors_above_1023(server: TCP) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip(f"this process may have no more than {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    kept: list[int] = []
    try:
        while not kept or kept[-1] < 1100:
            kept.append(os.dup(0))
        client, accepted = connect(server)
        with client, accepted:
            assert accepted.getFD() > 1023
            called = threading.Event()
            client.set_callback(lambda data, ipc: called.set())
            reading = Aside(accepted.read_msg, PREFIX, LIMIT, LONG).until_blocked()
            assert client.write_msg(PREFIX, 1, b"high")
            assert reading.result() == (1, b"high")
            assert accepted.write(b"x")
            assert called.wait(20)
            waiting = Aside(accepted.read, 1).until_blocked()
            accepted.close()
            assert waiting.result() == b""
    finally:
        for descriptor in kept:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@linux_only
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
class TestForks:
    def test_a_child_keeps_what_the_parent_closes(self, server: TCP) -> None:  # IPC-Z5
        client, accepted = connect(server)
        start, go = os.pipe()

        def work() -> bool:
            os.read(start, 1)
            message = accepted.read_msg(PREFIX, LIMIT, LONG)
            return message is not None and accepted.write_msg(PREFIX, 2, message.data)

        with client:
            child = in_child(work)
            reading = Aside(accepted.read, 1).until_blocked()
            accepted.close()
            assert reading.result() == b""
            os.write(go, b"x")
            assert client.write_msg(PREFIX, 1, b"to the child")
            assert client.read_msg(PREFIX, LIMIT, LONG) == (2, b"to the child")
            assert status(child) == 0
        os.close(start)
        os.close(go)

    def test_a_parent_keeps_what_the_child_closes(self, server: TCP) -> None:  # IPC-Z5
        client, accepted = connect(server)

        def work() -> bool:
            accepted.close()
            client.close()
            return accepted.getFD() == -1

        with client, accepted:
            reading = Aside(accepted.read_msg, PREFIX, LIMIT, LONG).until_blocked()
            assert status(in_child(work)) == 0
            # Nothing of the parent's was woken: who waits does so at one place, and goes on so.
            used = time.process_time()
            reading.until_blocked()
            time.sleep(0.1)
            assert time.process_time() - used < 0.09
            assert client.write_msg(PREFIX, 1, b"x")
            assert reading.result() == (1, b"x")

    def test_a_child_has_callbacks_of_its_own(self, server: TCP) -> None:  # IPC-C10
        client, accepted = connect(server)
        called = threading.Event()

        def work() -> bool:
            mine, other = socket.socketpair()
            told = threading.Event()
            ipc = TCP()
            with other, ipc:
                assert ipc.setFD(mine)
                assert ipc.set_callback(lambda data, ipc: told.set())
                other.sendall(b"x")
                return told.wait(10)

        with client, accepted:
            accepted.set_callback(lambda data, ipc: called.set())
            assert status(in_child(work)) == 0
            assert not called.is_set()
            assert client.write(b"x")
            assert called.wait(20)


def test_a_descriptor_that_is_used_again_calls_nobody_else(server: TCP) -> None:  # IPC-Z4
    calls: queue.Queue[object] = queue.Queue()
    again = 0
    for number in range(20):
        client, accepted = connect(server)
        descriptor = accepted.getFD()
        accepted.set_callback(lambda data, ipc: calls.put(data), "closed")
        accepted.close()
        first, second = socket.socketpair()
        with client, second, TCP() as ipc:
            assert ipc.setFD(first)
            again += ipc.getFD() == descriptor
            ipc.set_callback(lambda data, ipc: calls.put(data), number)
            second.sendall(b"x")
            assert calls.get(timeout=20) == number
    assert again
    assert calls.empty()


def test_no_select_on_a_closed_object(server: TCP) -> None:
    client, accepted = connect(server)
    with client, accepted:
        assert client.write(b"x")
        assert select.select([accepted], [], [], 20)[0] == [accepted]
    with pytest.raises(ValueError, match="negative"):
        select.select([accepted], [], [], 0)
