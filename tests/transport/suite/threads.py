"""Several threads on one connection, descriptors for others, and exceptions in the middle."""

from __future__ import annotations

import select
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from types import FrameType

import pytest

from vfiipc import IPC
from vfiipc.codec import Message, encode

from .base import FLOOD, LIMIT, LONG, PREFIX, Aside, Pair, PairSuite, arrived

MUCH = 16 * 2**20


class Threads(PairSuite):
    def test_much_both_ways_at_the_same_time(self, pair: Pair) -> None:  # IPC-H2
        data = bytes(range(256)) * (MUCH // 256)
        writing = [Aside(ipc.write_msg, PREFIX, 1, data) for ipc in pair]
        reading = [Aside(ipc.read_msg, PREFIX, MUCH) for ipc in pair]
        assert [call.result() for call in reading] == [(1, data)] * 2
        assert [call.result() for call in writing] == [True, True]

    def test_several_readers_get_every_message_once(self, pair: Pair) -> None:  # IPC-H1
        def read() -> list[int]:
            found = []
            while (message := pair[1].read_msg(PREFIX, LIMIT, LONG)) is not None:
                found.append(message.msg_id)
            return found

        readers = [Aside(read) for _ in range(4)]
        assert pair[0].write_msgs(PREFIX, [(number, b"x" * 30) for number in range(2000)])
        pair[0].close()
        found = [reader.result() for reader in readers]
        assert all(ids == sorted(ids) for ids in found)
        assert sorted(chain.from_iterable(found)) == list(range(2000))

    def test_several_writers_do_not_mix(self, pair: Pair) -> None:  # IPC-H1
        def write(ipc: IPC, number: int) -> bool:
            data = bytes([number])
            return (
                all(ipc.write_msg(PREFIX, number, data * size) for size in range(0, 100_000, 9000))
                and ipc.write_msgs(PREFIX, [(number, data * size) for size in range(300)])
                and ipc.write(encode(PREFIX, number, data))
            )

        writers = [Aside(write, pair[0], number) for number in range(4)]
        count: Counter[int] = Counter()
        for _ in range(4 * 313):
            message = pair[1].read_msg(PREFIX, LIMIT, LONG)
            assert message is not None
            assert set(message.data) <= {message.msg_id}
            count[message.msg_id] += 1
        assert count == dict.fromkeys(range(4), 313)
        assert [writer.result() for writer in writers] == [True] * 4
        assert pair[1].discarded == 0

    def test_a_reader_does_not_hold_a_writer(self, pair: Pair) -> None:  # IPC-H2
        reading = Aside(pair[0].read_msg, PREFIX, LIMIT).until_blocked()
        assert pair[0].write_msg(PREFIX, 1, b"a", LONG)
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        assert pair[1].write_msg(PREFIX, 2, b"b", LONG)
        assert reading.result() == (2, b"b")

    def test_a_writer_does_not_hold_a_reader(self, pair: Pair) -> None:  # IPC-H2
        writing = Aside(pair[0].write, FLOOD).until_blocked()
        assert pair[1].write_msg(PREFIX, 2, b"b", LONG)
        assert pair[0].read_msg(PREFIX, LIMIT, LONG) == (2, b"b")
        pair[0].close()
        assert writing.result() is False

    def test_an_iterable_that_waits_holds_no_other_writer(self, pair: Pair) -> None:
        go_on = threading.Event()

        def slowly() -> Iterator[tuple[int, bytes]]:
            yield 1, b"first"
            assert go_on.wait(20)
            yield 2, b"last"

        writing = Aside(pair[0].write_msgs, PREFIX, slowly())
        assert pair[0].write_msg(PREFIX, 3, b"other", LONG)
        go_on.set()
        assert writing.result() is True
        received = [pair[1].read_msg(PREFIX, LIMIT, LONG) for _ in range(3)]
        assert sorted(filter(None, received)) == [(1, b"first"), (2, b"last"), (3, b"other")]


class Descriptors(PairSuite):
    """Whoever selects on ``getFD()`` never waits for what sits in a buffer."""

    def test_one_message_for_each_wake_up(self, pair: Pair) -> None:  # IPC-A2
        descriptor = pair[1].getFD()
        if not self.has_descriptor:
            assert descriptor == -1
            return
        sent = [(number, b"x" * (number % 40)) for number in range(300)]
        pair[0].write_msgs(PREFIX, sent)
        pair[0].write(b"garbage between")
        sent.append((301, b"last"))
        pair[0].write_msgs(PREFIX, sent[-1:])
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        received: list[Message] = []
        while len(received) < len(sent):
            assert poller.poll(LONG), f"a message is stranded after {len(received)}"
            message = pair[1].read_msg(PREFIX, LIMIT, 0)
            if message is not None:
                received.append(message)
        assert received == sent
        assert not poller.poll(0)

    def test_half_a_message_is_no_wake_up_for_ever(self, pair: Pair) -> None:  # IPC-C3
        descriptor = pair[1].fileno()
        if descriptor < 0:
            assert not self.has_descriptor
            return
        whole = encode(PREFIX, 1, b"12345")
        pair[0].write(whole[:15])
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        assert poller.poll(LONG)
        assert pair[1].read_msg(PREFIX, LIMIT, 0) is None
        assert not poller.poll(0)
        pair[0].write(whole[15:] + whole)
        assert poller.poll(LONG)
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"12345")
        assert poller.poll(LONG)
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"12345")

    def test_raw_reads_take_no_more_than_they_give(self, pair: Pair) -> None:  # IPC-A2
        descriptor = pair[1].fileno()
        if descriptor < 0:
            assert not self.has_descriptor
            return
        pair[0].write(b"abcdef")
        arrived(pair[1], 6)
        assert pair[1].read(2, 0) == b"ab"
        assert select.select([descriptor], [], [], 20)[0]
        assert pair[1].read(4, 0) == b"cdef"
        assert not select.select([descriptor], [], [], 0)[0]


class Interrupted(Exception):
    """Raised by a signal handler, as Ctrl-C raises."""


class Exceptions(PairSuite):
    """An exception that strikes a waiting call, as a signal handler may raise it."""

    @pytest.fixture(autouse=True)
    def alarm(self) -> Iterator[None]:
        def interrupt(number: int, frame: FrameType | None) -> None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise Interrupted

        former = signal.signal(signal.SIGALRM, interrupt)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)

    def strike(self) -> None:
        # Again and again: Python does not see one that comes just before a call of the system.
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)

    def test_loses_nothing_of_a_read(self, pair: Pair) -> None:  # IPC-H6
        pair[0].write(b"abc")
        self.strike()
        with pytest.raises(Interrupted):
            pair[1].read(5)
        pair[0].write(b"de")
        assert pair[1].read(5, LONG) == b"abcde"
        assert not pair[1].error()

    def test_loses_nothing_of_a_readinto(self, pair: Pair) -> None:  # IPC-H6
        pair[0].write(b"abc")
        self.strike()
        with pytest.raises(Interrupted):
            pair[1].readinto(bytearray(5))
        assert pair[1].read(3, LONG) == b"abc"

    def test_loses_nothing_of_a_message(self, pair: Pair) -> None:  # IPC-H6
        whole = encode(PREFIX, 1, b"12345")
        pair[0].write(whole[:14])
        self.strike()
        with pytest.raises(Interrupted):
            pair[1].read_msg(PREFIX, LIMIT)
        pair[0].write(whole[14:])
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"12345")

    def test_leaves_the_turn_to_others(self, pair: Pair) -> None:  # IPC-H6
        for call in (pair[1].poll_in, lambda: pair[1].peek(1)):
            self.strike()
            with pytest.raises(Interrupted):
                call()
        pair[0].write(b"x")
        assert Aside(pair[1].read, 1, LONG).result() == b"x"

    def test_inside_a_message_latches(self, pair: Pair) -> None:  # IPC-X8, IPC-H6
        self.strike()
        with pytest.raises(Interrupted):
            pair[0].write_msg(PREFIX, 1, FLOOD)
        assert pair[0].error()
        assert isinstance(pair[0].last_error, Interrupted)
        assert pair[0].write(b"x") is False

    def test_close_comes_through(self, pair: Pair) -> None:
        self.strike()
        with pytest.raises(Interrupted), pair[1]:
            pair[1].read(1)
        assert pair[0].read(1, LONG) == b""
        assert pair[0].eof()
