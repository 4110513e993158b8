"""close() from other threads, and what comes after it."""

from __future__ import annotations

from typing import Any

import pytest

from vfiipc import IPC

from .base import FLOOD, LIMIT, LONG, PREFIX, Aside, Pair, PairSuite

READING: list[tuple[str, tuple[object, ...], object]] = [
    ("read", (5,), b""),
    ("readinto", (bytearray(5),), 0),
    ("peek", (5,), (-2, b"")),
    ("read_msg", (PREFIX, LIMIT), None),
    ("read_msgs", (PREFIX, LIMIT), []),
    ("poll_in", (), False),
]
WRITING: list[tuple[str, tuple[object, ...], object]] = [
    ("write", (FLOOD,), False),
    ("write_msg", (PREFIX, 1, FLOOD), False),
    ("write_msgs", (PREFIX, [(1, FLOOD), (2, b"")]), False),
]


def untouched(ipc: IPC) -> bool:
    return not ipc.eof() and not ipc.error() and ipc.last_error is None


class Closing(PairSuite):
    @pytest.mark.parametrize(("member", "arguments", "result"), READING + WRITING)
    def test_wakes(
        self, pair: Pair, member: str, arguments: tuple[object, ...], result: Any
    ) -> None:  # IPC-Z1, IPC-Z2
        for timeout in [(), (LONG,)]:
            first, second = self.connected_pair()
            waiting = Aside(getattr(first, member), *arguments, *timeout).until_blocked()
            first.close()
            assert waiting.result() == result
            assert untouched(first)
            assert first.getFD() == -1
            second.close()

    @pytest.mark.parametrize(("member", "arguments", "result"), READING)
    def test_wakes_who_waits_for_a_reader(
        self, pair: Pair, member: str, arguments: tuple[object, ...], result: Any
    ) -> None:  # IPC-Z1
        reading = Aside(pair[0].read, 1).until_blocked()
        waiting = Aside(getattr(pair[0], member), *arguments).until_blocked()
        pair[0].close()
        assert waiting.result() == result
        assert reading.result() == b""
        assert untouched(pair[0])

    def test_wakes_who_waits_for_a_writer(self, pair: Pair) -> None:  # IPC-Z1
        writing = Aside(pair[0].write, FLOOD).until_blocked()
        waiting = [Aside(pair[0].write_msg, PREFIX, 1, b"").until_blocked() for _ in range(3)]
        pair[0].close()
        assert [call.result() for call in [writing, *waiting]] == [False] * 4
        assert untouched(pair[0])

    def test_wakes_a_reader_and_a_writer_together(self, pair: Pair) -> None:  # IPC-Z1
        reading = Aside(pair[0].read_msg, PREFIX, LIMIT).until_blocked()
        writing = Aside(pair[0].write, FLOOD).until_blocked()
        pair[0].close()
        assert reading.result() is None
        assert writing.result() is False

    def test_may_be_called_again_and_from_many_threads(self, pair: Pair) -> None:
        reading = Aside(pair[0].read, 1).until_blocked()
        for closing in [Aside(pair[0].close) for _ in range(5)]:
            closing.result()
        assert reading.result() == b""
        pair[0].close()
        assert untouched(pair[0])

    def test_drops_what_is_buffered(self, pair: Pair) -> None:  # IPC-Z6
        pair[0].write_msgs(PREFIX, [(1, b"a"), (2, b"b")])
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        pair[1].close()
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) is None

    def test_inside_the_iterable_of_a_writer(self, pair: Pair) -> None:  # IPC-Z4
        def messages() -> Any:
            for number in range(5000):
                if number == 2500:
                    pair[0].close()
                yield number, b"x" * 5

        writing = Aside(pair[0].write_msgs, PREFIX, messages())
        received = []
        while (message := pair[1].read_msg(PREFIX, LIMIT, LONG)) is not None:
            received.append(message.msg_id)
        assert writing.result() is False
        assert received == list(range(len(received)))
        assert len(received) <= 2500
