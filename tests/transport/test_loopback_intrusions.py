"""What may strike a loopback in the middle of a call: signals, finalizers, forks, other threads."""

from __future__ import annotations

import gc
import itertools
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.helpers.children import in_child, status
from tests.helpers.intrusion import interrupt, intruding
from vfiipc import Delivery, Loopback, Message, loopback_pair

from .pipes import forks
from .suite.base import LIMIT, LONG, PATIENCE, PREFIX, Aside, until

MODULE = "loopback.py"


def at_each_step(test: Callable[[int], bool]) -> None:
    """Runs the test for step after step, as long as the call it makes has that many."""
    steps = next(step for step in itertools.count() if not test(step))
    assert steps > 1


@contextmanager
def limited() -> Iterator[None]:
    """Lets what is about to hang fail instead."""
    done = threading.Event()

    def kill() -> None:
        if not done.wait(PATIENCE):
            pytest.exit("a loopback hangs", 1)

    threading.Thread(target=kill, daemon=True).start()
    try:
        yield
    finally:
        done.set()


class TestExceptions:
    @pytest.mark.parametrize("pieces", [None, 2])
    def test_what_was_read_is_not_lost(self, pieces: int | None) -> None:  # IPC-H6
        def test(step: int) -> bool:
            first, second = loopback_pair(first_to_second=Delivery(pieces=pieces))
            with first, second:
                assert first.write(b"first")
                assert first.write(b"second")
                with suppress(KeyboardInterrupt), intruding(MODULE, step, interrupt) as struck:
                    assert second.read(11, LONG) == b"firstsecond"
                if struck:
                    assert second.peek(1, LONG).data == b"f"
                    assert second.read(11, LONG) == b"firstsecond"
                return bool(struck)

        at_each_step(test)

    def test_what_is_written_arrives_whole_or_not_at_all(self) -> None:
        def test(step: int) -> bool:
            first, second = loopback_pair()
            with first, second:
                with suppress(KeyboardInterrupt), intruding(MODULE, step, interrupt) as struck:
                    assert first.write_msg(PREFIX, 1, b"struck")
                went_on = first.write_msg(PREFIX, 2, b"next", LONG)
                assert went_on != first.error()
                first.close()
                messages = []
                while (message := second.read_msg(PREFIX, LIMIT, LONG)) is not None:
                    messages.append(message)
                whole = [Message(1, b"struck"), Message(2, b"next")]
                assert messages in (whole, whole[:1], whole[1:], [])
                assert second.eof()
                assert second.discarded == 0
                return bool(struck)

        at_each_step(test)

    def test_a_reader_that_waits_is_not_forgotten(self) -> None:
        def test(step: int) -> bool:
            first, second = loopback_pair()
            with first, second:
                reading = Aside(second.read, 3, LONG)
                with suppress(KeyboardInterrupt), intruding(MODULE, step, interrupt) as struck:
                    assert first.write(b"abc")
                first.close()
                assert reading.result() in (b"abc", b"")
                return bool(struck)

        at_each_step(test)

    def test_no_connection_is_left_without_an_owner(self, name: str) -> None:
        def test(step: int) -> bool:
            with Loopback() as server, Loopback() as client, warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                assert server.listen(name)
                assert client.connect(name)
                accepted = None
                with suppress(KeyboardInterrupt), intruding(MODULE, step, interrupt) as struck:
                    accepted = server.accept(LONG)
                accepted = accepted or server.accept(0)
                gc.collect()
                if accepted is None:
                    assert client.read(1, LONG) == b""
                    assert client.eof()
                else:
                    with accepted:
                        assert client.write(b"x")
                        assert accepted.read(1, LONG) == b"x"
                return bool(struck)

        at_each_step(test)

    def test_a_name_is_free_again(self, name: str) -> None:
        def test(step: int) -> bool:
            with Loopback() as server, Loopback() as other:
                with suppress(KeyboardInterrupt), intruding(MODULE, step, interrupt) as struck:
                    assert server.listen(name)
                server.close()
                assert other.listen(name), other.last_error
                return bool(struck)

        at_each_step(test)


class TestClosing:
    """``close`` in the middle of another call, as a signal handler or a finalizer makes it."""

    @pytest.mark.parametrize("which", [0, 1])
    @pytest.mark.parametrize(
        "call",
        [
            lambda pair: pair[0].write(bytes(50)),
            lambda pair: pair[1].read(20, LONG),
            lambda pair: pair[1].peek(20, LONG),
            lambda pair: pair[1].poll_in(LONG),
        ],
        ids=["write", "read", "peek", "poll_in"],
    )
    def test_does_not_hang(
        self, which: int, call: Callable[[tuple[Loopback, Loopback]], object]
    ) -> None:  # IPC-H7
        def test(step: int) -> bool:
            pair = loopback_pair(capacity=100)
            with pair[0], pair[1]:
                assert pair[0].write(bytes(20))
                with intruding(MODULE, step, pair[which].close) as struck:
                    call(pair)
                assert not pair[which].error()
                pair[which].close()
                assert pair[1 - which].read(100, LONG) in (b"", bytes(20), bytes(50), bytes(70))
                return bool(struck)

        with limited():
            at_each_step(test)

    def test_in_accept(self, name: str) -> None:
        def test(step: int) -> bool:
            with Loopback() as server, Loopback() as client:
                assert server.listen(name)
                assert client.connect(name)
                with intruding(MODULE, step, server.close) as struck:
                    accepted = server.accept(LONG)
                with accepted or Loopback():
                    assert client.write(b"x") == (accepted is not None)
                assert client.read(1, LONG) == b""
                server.close()
                assert client.listen(name)
                return bool(struck)

        with limited():
            at_each_step(test)

    def test_in_an_accept_that_waits(self, name: str) -> None:
        with Loopback() as server:
            assert server.listen(name)
            for _ in range(5):
                accepting = Aside(server.accept).until_blocked()
                server.close()
                assert accepting.result() is None
                assert server.listen(name)

    def test_in_listen(self, name: str) -> None:
        outcomes: list[tuple[bool, bool]] = []

        def test(step: int) -> bool:
            with Loopback() as server, Loopback() as other:
                with intruding(MODULE, step, server.close) as struck:
                    listens = server.listen(name)
                outcomes.append((listens, server.is_server()))
                assert server.last_error is None
                assert other.listen(name) != server.is_server()
                return bool(struck)

        with limited():
            at_each_step(test)
        # It came before, in the middle, or after; in the end nothing came.
        before, last = outcomes.index((False, False)), outcomes.pop()
        assert last == (True, True)
        assert set(outcomes[:before]) <= {(True, True)}
        assert set(outcomes[before:]) <= {(False, False), (True, False)}

    def test_in_connect(self, name: str) -> None:
        def test(step: int) -> bool:
            with Loopback() as server, Loopback() as client:
                assert server.listen(name)
                with intruding(MODULE, step, server.close) as struck:
                    connected = client.connect(name)
                assert connected != isinstance(client.last_error, ConnectionRefusedError)
                if connected and struck:
                    assert client.read(1, LONG) == b""
                    assert client.eof()
                return bool(struck)

        with limited():
            at_each_step(test)

    def test_ends_connections_that_wait_to_be_accepted(self, name: str) -> None:
        with ExitStack() as stack:
            server = stack.enter_context(Loopback())
            clients = [stack.enter_context(Loopback()) for _ in range(3)]
            assert server.listen(name)
            assert [client.connect(name) for client in clients] == [True] * 3
            server.close()
            for client in clients:
                assert client.read(1, LONG) == b""
                assert client.eof()
                assert not client.write(b"x")


class TestFinalizers:
    def test_may_strike_anywhere(self) -> None:
        def forget(peers: list[Loopback]) -> None:
            while peers:
                cycle = [peers.pop()]
                cycle.append(cycle)  # type: ignore[arg-type]

        former = gc.get_threshold()
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.set_threshold(5, 1, 1)
            try:
                for _ in range(200):
                    first, second = loopback_pair()
                    peers = [second]
                    del second
                    with first:
                        forget(peers)
                        while first.write_msg(PREFIX, 1, b"x", 0):
                            pass
            finally:
                gc.set_threshold(*former)


class TestCallbacks:
    def test_one_that_is_taken_back_harms_no_writer(self) -> None:
        def test(step: int) -> bool:
            first, second = loopback_pair()
            with first, second:
                second.set_callback(lambda _data, _ipc: None)
                with intruding(MODULE, step, lambda: second.set_callback(None)) as struck:
                    assert first.write(b"x"), first.last_error
                assert not first.error()
                return bool(struck)

        with limited():
            at_each_step(test)

    def test_one_that_is_taken_back_harms_nobody_who_connects(self, name: str) -> None:
        def test(step: int) -> bool:
            with Loopback() as server, Loopback() as client:
                assert server.listen(name)
                assert server.set_callback(lambda _data, _ipc: None)
                with intruding(MODULE, step, lambda: server.set_callback(None)) as struck:
                    assert client.connect(name), client.last_error
                return bool(struck)

        with limited():
            at_each_step(test)

    def test_delayed_bytes_need_no_threads(self) -> None:
        first, second = loopback_pair(first_to_second=Delivery(delay=0.2))
        with first, second:
            called = threading.Event()
            assert second.set_callback(lambda _data, _ipc: called.set())
            before = set(threading.enumerate())
            for _ in range(1500):
                assert first.write(b"x")
                assert before.issuperset(threading.enumerate())  # some of earlier tests may end
            assert called.wait(PATIENCE)
            assert second.read(1500, LONG) == b"x" * 1500


@pytest.mark.long
class TestForks:
    @forks
    def test_a_child_can_use_both_ends_whatever_threads_did(self, name: str) -> None:  # IPC-H4
        first, second = loopback_pair(capacity=300)
        server = Loopback()
        assert server.listen(name)
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                first.write(b"x" * 100, 50)

        def read() -> None:
            while not stop.is_set():
                second.read(70, 50)

        def work() -> bool:
            while second.read(1000, 0):
                pass
            with Loopback() as client:
                return (
                    first.write(b"mark", LONG)
                    and second.read(1000, 100).endswith(b"mark")
                    and client.connect(name)
                    and server.accept(LONG) is not None
                )

        with first, second, server:
            threads = [Aside(write), Aside(read)]
            try:
                for _ in range(20):
                    assert status(in_child(work)) == 0
            finally:
                stop.set()
            for thread in threads:
                thread.result()


def test_several_accept_at_once(name: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(Loopback())
        assert server.listen(name)
        accepting = [Aside(server.accept, LONG) for _ in range(4)]
        for _ in accepting:
            assert stack.enter_context(Loopback()).connect(name)
        for call in accepting:
            assert stack.enter_context(call.result())
        until(lambda: server.accept(0) is None)
