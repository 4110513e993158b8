"""Callbacks: when one comes, when none does, and what they may do."""

from __future__ import annotations

import logging
import queue
import threading
import time

import pytest

from vfiipc import IPC
from vfiipc.codec import encode

from .base import LIMIT, LONG, PATIENCE, PREFIX, Aside, Pair, PairSuite, arrived, until

#: Seconds in which a callback that must not come would have come.
A_WHILE = 0.03


class Calls:
    """A callback that keeps what it is called with."""

    def __init__(self) -> None:
        self.queue: queue.Queue[tuple[object, IPC]] = queue.Queue()

    def __call__(self, data: object, ipc: IPC) -> None:
        self.queue.put((data, ipc))

    def next(self) -> tuple[object, IPC]:
        return self.queue.get(timeout=PATIENCE)

    def none(self) -> bool:
        time.sleep(A_WHILE)
        return self.queue.empty()


class Callbacks(PairSuite):
    def test_one_call_until_something_is_read(self, pair: Pair) -> None:  # IPC-C2
        calls = Calls()
        assert pair[1].set_callback(calls, "mine")
        assert calls.none()
        pair[0].write(b"a")
        assert calls.next() == ("mine", pair[1])
        pair[0].write(b"b")
        assert pair[1].poll_in(LONG)
        assert pair[1].peek(1, LONG) == (1, b"a")
        assert calls.none()
        assert pair[1].read(1, LONG) == b"a"
        assert calls.next() == ("mine", pair[1])
        assert pair[1].read(1, LONG) == b"b"
        assert calls.none()

    def test_what_lies_there_already_is_told(self, pair: Pair) -> None:  # IPC-C1
        calls = Calls()
        pair[0].write(b"a")
        arrived(pair[1], 1)
        pair[1].set_callback(calls)
        assert calls.next() == (None, pair[1])
        assert calls.none()

    def test_what_is_buffered_is_told(self, pair: Pair) -> None:  # IPC-C1
        calls = Calls()
        pair[0].write_msgs(PREFIX, [(number, b"") for number in range(3)])
        arrived(pair[1], 36)
        pair[1].set_callback(calls)
        for number in range(3):
            calls.next()
            assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (number, b"")
        assert calls.none()

    def test_what_is_buffered_at_registration_is_told(self, pair: Pair) -> None:  # IPC-C1
        calls = Calls()
        pair[0].write_msgs(PREFIX, [(1, b""), (2, b"")])
        arrived(pair[1], 24)
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"")
        pair[1].set_callback(calls)
        calls.next()
        assert calls.none()

    def test_a_reading_call_without_success_counts(self, pair: Pair) -> None:  # IPC-C2
        calls = Calls()
        pair[1].set_callback(calls)
        pair[0].write(b"a")
        calls.next()
        pair[1].read(1, LONG)
        assert pair[1].read(1, 0) == b""
        pair[0].write(b"b")
        calls.next()

    def test_half_a_message_does_not_spin(self, pair: Pair) -> None:  # IPC-C3
        calls = Calls()
        received = []

        def read(data: object, ipc: IPC) -> None:
            received.append(ipc.read_msg(PREFIX, LIMIT, 0))
            calls(data, ipc)

        whole = encode(PREFIX, 1, b"12345")
        pair[1].set_callback(read)
        pair[0].write(whole[:14])
        calls.next()
        assert calls.none()
        pair[0].write(whole[14:])
        calls.next()
        assert received == [None, (1, b"12345")]

    def test_the_end_is_told_once(self, pair: Pair) -> None:  # IPC-C4
        calls = Calls()

        def read(data: object, ipc: IPC) -> None:
            assert ipc.read_msg(PREFIX, LIMIT, LONG) is None
            calls(data, ipc)

        pair[1].set_callback(read)
        pair[0].close()
        calls.next()
        assert pair[1].eof()
        assert calls.none()
        pair[1].read(1)
        assert calls.none()

    def test_half_a_message_and_the_end(self, pair: Pair) -> None:  # IPC-C3
        calls = Calls()
        pair[1].set_callback(calls)
        pair[0].write(encode(PREFIX, 1, b"12345")[:14])
        calls.next()
        assert pair[1].read_msg(PREFIX, LIMIT, 0) is None
        assert calls.none()
        pair[0].close()
        calls.next()
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) is None
        assert pair[1].eof()
        assert calls.none()

    def test_lost_synchronisation_is_no_spin(self, pair: Pair) -> None:
        calls = Calls()
        pair[1].strict = True

        def read(data: object, ipc: IPC) -> None:
            ipc.read_msg(PREFIX, LIMIT, 0)
            calls(data, ipc)

        pair[1].set_callback(read)
        pair[0].write(b"no header at all, never")
        until(pair[1].error)
        assert calls.next() == (None, pair[1])
        time.sleep(A_WHILE)
        assert calls.queue.qsize() <= 1

    def test_an_error_of_the_writer_is_told(self, pair: Pair) -> None:  # IPC-C4
        calls = Calls()
        pair[1].set_callback(calls)
        pair[0].close()
        calls.next()
        assert calls.none()

    def test_an_exception_is_logged_and_harms_nobody(
        self, pair: Pair, caplog: pytest.LogCaptureFixture
    ) -> None:  # IPC-C8
        calls = Calls()

        def fail(data: object, ipc: IPC) -> None:
            ipc.read(1, 0)
            raise LookupError("a mistake in the callback")

        pair[1].set_callback(fail)
        pair[0].set_callback(calls)
        with caplog.at_level(logging.ERROR, "vfiipc"):
            for _ in range(2):
                caplog.clear()
                pair[0].write(b"x")
                until(lambda: caplog.records)
                assert "LookupError" in caplog.text
            pair[1].write(b"y")
            calls.next()

    def test_one_replaces_another(self, pair: Pair) -> None:  # IPC-C5
        first, second = Calls(), Calls()
        pair[1].set_callback(first)
        pair[1].set_callback(second, 2)
        pair[0].write(b"x")
        assert second.next() == (2, pair[1])
        assert first.queue.empty()

    def test_unregistered_from_outside_none_runs_any_more(self, pair: Pair) -> None:  # IPC-C5
        inside, leave = threading.Event(), threading.Event()

        def slow(data: object, ipc: IPC) -> None:
            inside.set()
            assert leave.wait(PATIENCE)

        pair[1].set_callback(slow)
        pair[0].write(b"x")
        assert inside.wait(PATIENCE)
        ending = Aside(pair[1].set_callback, None).until_blocked()
        leave.set()
        assert ending.result() is True
        assert pair[1].read(1, LONG) == b"x"
        calls = Calls()
        pair[1].set_callback(calls)
        pair[1].set_callback(None)
        pair[0].write(b"y")
        assert calls.none()

    def test_unregistered_from_inside(self, pair: Pair) -> None:  # IPC-C5
        calls = Calls()

        def once(data: object, ipc: IPC) -> None:
            ipc.read(1, 0)
            assert ipc.set_callback(None)
            calls(data, ipc)

        pair[1].set_callback(once)
        pair[0].write(b"x")
        calls.next()
        pair[0].write(b"y")
        assert calls.none()

    def test_registered_anew_from_inside(self, pair: Pair) -> None:
        calls = Calls()

        def first(data: object, ipc: IPC) -> None:
            ipc.set_callback(calls, "second")

        pair[1].set_callback(first)
        pair[0].write(b"x")
        assert calls.next() == ("second", pair[1])
        assert pair[1].read(1, LONG) == b"x"
        assert calls.none()

    def test_closed_from_inside(self, pair: Pair) -> None:  # IPC-H3
        calls = Calls()

        def close(data: object, ipc: IPC) -> None:
            ipc.close()
            calls(data, ipc)

        pair[1].set_callback(close)
        pair[0].write(b"x")
        calls.next()
        until(lambda: not pair[0].write(b"x"))
        assert calls.none()

    def test_close_does_not_wait_for_one_that_runs(self, pair: Pair) -> None:  # IPC-C5
        inside, leave, calls = threading.Event(), threading.Event(), Calls()

        def slow(data: object, ipc: IPC) -> None:
            inside.set()
            assert leave.wait(PATIENCE)
            calls(data, ipc)

        pair[1].set_callback(slow)
        pair[0].write(b"x")
        assert inside.wait(PATIENCE)
        pair[1].close()
        leave.set()
        calls.next()
        assert calls.none()

    def test_answers(self, pair: Pair) -> None:  # IPC-H3
        def echo(data: object, ipc: IPC) -> None:
            message = ipc.read_msg(PREFIX, LIMIT, 0)
            if message is not None:
                ipc.write_msg(PREFIX, message.msg_id + 1, message.data)

        pair[1].set_callback(echo)
        pair[0].write_msgs(PREFIX, [(number, b"data") for number in range(0, 200, 2)])
        for number in range(1, 200, 2):
            assert pair[0].read_msg(PREFIX, LIMIT, LONG) == (number, b"data")

    def test_a_registered_object_stays_alive(self) -> None:  # IPC-C7
        first, second = self.connected_pair()
        calls = Calls()
        second.set_callback(calls)
        del second
        with first:
            first.write(b"x")
            _, ipc = calls.next()
            assert ipc.read(1, LONG) == b"x"
            ipc.close()

    def test_close_forgets_the_callback(self, pair: Pair) -> None:  # IPC-C6, IPC-Z6
        calls = Calls()
        pair[1].set_callback(calls)
        pair[1].close()
        pair[0].write(b"x")
        assert calls.none()

    def test_many_at_once(self) -> None:  # IPC-C9
        pairs = [self.connected_pair() for _ in range(30)]
        calls = Calls()
        for number, (_, reader) in enumerate(pairs):
            reader.set_callback(calls, number)
        for writer, _ in pairs:
            writer.write(b"x")
        assert {calls.next()[0] for _ in pairs} == set(range(30))
        for ends in pairs:
            for ipc in ends:
                ipc.close()
        assert calls.none()
