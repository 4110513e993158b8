"""A process that forks while threads are inside: the child has the connections, and no more."""

from __future__ import annotations

import faulthandler
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import vfiipc
from vfiipc import IPC

from .base import (
    LIMIT,
    PATIENCE,
    PATIENCE_MSEC,
    PREFIX,
    TRANSPORTS,
    Listening,
    Loop,
    Tally,
    chance,
    is_torn,
    pair_of,
    run,
    until,
)

SECONDS = 0.4
FRAMING: Any = {"prefix": PREFIX, "size_limit": LIMIT}
LAST = 77


class Child:
    """A forked child that does its work when it is told to."""

    def __init__(self, work: Callable[[], None]) -> None:
        start, self._go = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(start)
            return
        status = 1
        try:
            # The thread that faulthandler waits for is not here: a signal does.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            faulthandler.register(signal.SIGALRM, chain=True)
            signal.alarm(int(2 * PATIENCE))
            os.close(self._go)
            os.read(start, 1)
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - told by the parent
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)

    def works(self) -> bool:
        """Lets it do its work; whether all was good."""
        os.close(self._go)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1]) == 0


@contextmanager
def busy(first: IPC, second: IPC, *, writing: bool) -> Iterator[None]:
    """Threads inside the members of both ends, some of which wait, and a callback.

    Args:
        writing: whether there are writers, too, and short waits. Not for TLS: a fork in the middle
            of a call of OpenSSL leaves a session that nothing can mend.
    """
    turns, short = itertools.count(), 1 if writing else 100
    calls: list[Callable[[], object]] = [
        lambda: first.read_msg(PREFIX, LIMIT, 100),
        lambda: first.read(1, short),
        lambda: first.poll_in(short),
        lambda: second.peek(1, short),
        lambda: first.set_callback(None if next(turns) % 2 else lambda data, ipc: None),
    ]
    if writing:
        # As many as the connection holds, for nobody takes them: a message cut off breaks it.
        left = iter(range(2000))
        calls.append(lambda: next(left, None) is not None and first.write_msg(PREFIX, 1, b"", 1))
    loops = [Loop(call) for call in calls]
    try:
        yield
    finally:
        for loop in loops:
            loop.stop()
        first.set_callback(None)


def inside(transport: str) -> None:
    """The child reads, writes, has callbacks of its own and closes."""
    tally, moment = Tally(SECONDS, 3), chance("forks", transport)
    while tally.going():
        first, second = pair_of(transport)
        with busy(first, second, writing=not transport.startswith("tls")):
            time.sleep(moment.uniform(0.001, 0.01))
            child = Child(lambda: _use(first, second))  # noqa: B023
        # Here the threads have ended, so that what comes now is the child's.
        good = tally.check(child.works(), "the child cannot use its connection")
        first.close()
        second.close()
        if not good:
            break
    tally.report()


def _use(first: IPC, second: IPC) -> None:
    first.poll_in(0)
    second.poll_in(0)
    if is_torn(first) or is_torn(second):
        return
    _exchange(first, second)
    _exchange(second, first)
    told = threading.Event()
    assert first.set_callback(lambda data, ipc: told.set()), first.last_error
    assert second.write_msg(PREFIX, LAST, b"", PATIENCE_MSEC), second.last_error
    assert told.wait(PATIENCE), "no callback"
    assert first.set_callback(None)
    first.close()
    assert second.read(1, 0) == b"" or second.read(1 << 20, PATIENCE_MSEC)
    second.close()
    assert first.getFD() == second.getFD() == -1


def _exchange(source: IPC, target: IPC) -> None:
    """Some messages, of which the first may be taken for the rest of one that was cut."""
    while target.read_msg(PREFIX, LIMIT, 20) is not None:
        pass
    for _ in range(4):
        assert source.write_msg(PREFIX, LAST, b"", PATIENCE_MSEC), source.last_error
    while (message := target.read_msg(PREFIX, LIMIT, PATIENCE_MSEC)) is not None:
        if message.msg_id == LAST:
            return
    raise AssertionError(f"nothing can be read: {target.last_error!r}")


def parents(transport: str) -> None:
    """Nothing that the child does wakes the parent, or takes anything from it."""
    tally = Tally(SECONDS, 3)
    while tally.going():
        first, second = pair_of(transport)
        got: list[object] = []
        returned = threading.Event()

        def read(
            first: IPC = first, got: list[object] = got, at: threading.Event = returned
        ) -> None:
            got.append(first.read_msg(PREFIX, LIMIT, 2 * PATIENCE_MSEC))
            at.set()

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        other, _ = kept = pair_of(transport)
        told = threading.Event()
        assert other.set_callback(lambda data, ipc: told.set())  # noqa: B023

        def work(ends: tuple[IPC, ...] = (first, second, *kept)) -> None:
            for ipc in ends:
                ipc.set_callback(lambda data, ipc: None)
                ipc.set_callback(None)
                ipc.close()

        tally.check(Child(work).works(), "the child cannot close")
        tally.check(not returned.wait(0.02) and not told.is_set(), "the parent was woken")
        tally.check(second.write_msg(PREFIX, 5, b""), f"nothing is sent: {second.last_error!r}")
        tally.check(returned.wait(PATIENCE) and got == [(5, b"")], f"the parent has read {got}")
        tally.check(kept[1].write_msg(PREFIX, 5, b""), "the parent cannot write")
        tally.check(told.wait(PATIENCE), "the parent gets no callback")
        for ipc in (first, second, *kept):
            ipc.close()
    tally.report()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_parent_and_child(transport: str) -> None:  # IPC-H4
    # Whoever closes a connection of TLS says so to the peer: it is closed for both.
    both = [inside] if transport.startswith("tls") else [inside, parents]
    run(*both, arguments=[transport])


def listeners(transport: str) -> None:
    """A thread is inside ``accept``: the child accepts and closes, and the parent goes on."""
    tally, moment = Tally(SECONDS, 3), chance("fork listeners", transport)
    listener = Listening(transport)
    with listener as (server, connect):
        while tally.going():
            accepting = Loop(lambda: _closed(server.accept(50)))
            time.sleep(moment.uniform(0.001, 0.01))
            child = Child(lambda: _accept(listener))
            tally.check(accepting.stop(), "accept does not return")
            tally.check(child.works(), "the child cannot accept, or close")
            client = connect(PATIENCE_MSEC)
            tally.check(client, "the parent's listener has gone")
            tally.check(_closed(server.accept(PATIENCE_MSEC)), "the parent accepts nothing")
            _closed(client)
    tally.report()


def _accept(listener: Listening) -> None:
    server, client = listener.server, listener.connect()
    assert client is not None
    accepted = server.accept(PATIENCE_MSEC)
    assert accepted is not None, server.last_error
    _exchange(client, accepted)
    for ipc in (client, accepted, server):
        ipc.close()
    assert server.getFD() == -1


def _closed(ipc: IPC | None) -> bool:
    """Closes what there is, if there is something."""
    if ipc is not None:
        ipc.close()
    return ipc is not None


@pytest.mark.parametrize("transport", ["tcp", "loopback", "pipe"])
def test_parent_and_child_accept(transport: str) -> None:  # IPC-H4
    run(listeners, arguments=[transport])


def servers() -> None:
    """``Server.close()`` in a child returns; a connection there works, whoever waited for it."""
    tally, moment = Tally(SECONDS, 3), chance("fork servers")
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    while tally.going():
        server = vfiipc.serve(_echo, "127.0.0.1:0", grace=60, **FRAMING)
        clients = [vfiipc.connect(server.address, **FRAMING) for _ in range(2)]
        receiving = Loop(lambda: _quietly(clients[0].recv))  # noqa: B023
        tally.check(until(lambda: server.connections == 2), "the clients are not served")  # noqa: B023
        time.sleep(moment.uniform(0, 0.005))
        closing = Child(server.close)
        tally.check(closing.works(), "Server.close() does not return in a child")
        tally.check(clients[1].request(b"x", PATIENCE), "the parent's server has ended")
        asking = Child(lambda: _ask(clients[0]))  # noqa: B023
        clients[0].close()
        receiving.stop()
        tally.check(asking.works(), "a connection does not work in a child")
        clients[1].close()
        server.close()
    tally.report()


def _ask(conn: vfiipc.Connection) -> None:
    assert conn.request(b"child", PATIENCE).data == b"child"
    conn.close()


def _quietly(call: Callable[[], object]) -> object:
    try:
        return call()
    except OSError:
        return None


def _echo(conn: vfiipc.Connection) -> None:
    for msg_id, data in conn:
        conn.send(data, msg_id)


def test_a_server_in_a_child() -> None:  # IPC-H4
    run(servers)
