"""Raw reading, looking without taking, and time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from vfiipc import PeekResult
from vfiipc.codec import encode

from .base import LIMIT, LONG, PATIENCE, PREFIX, Aside, Pair, PairSuite, arrived


class Reading(PairSuite):
    def test_read_waits_for_all_of_it(self, pair: Pair) -> None:
        reading = Aside(pair[1].read, 6, LONG).until_blocked()
        pair[0].write(b"abc")
        reading.until_blocked()
        pair[0].write(b"defg")
        assert reading.result() == b"abcdef"
        assert pair[1].read(1, LONG) == b"g"

    def test_read_gives_what_came_in_time(self, pair: Pair) -> None:  # IPC-T1
        assert pair[1].read(4, 0) == b""
        pair[0].write(b"ab")
        assert pair[1].read(4, 50) == b"ab"
        assert pair[1].last_error is None
        assert not pair[1].eof()

    def test_the_second_timeout_is_for_all_of_the_rest(self, pair: Pair) -> None:  # IPC-T3
        pair[0].write(b"a")
        begin = time.monotonic()
        assert pair[1].read(2, LONG, 50) == b"a"
        assert time.monotonic() - begin < PATIENCE / 2
        reading = Aside(pair[1].read, 3, LONG, LONG).until_blocked()
        pair[0].write(b"b")
        reading.until_blocked()
        pair[0].write(b"cd")
        assert reading.result() == b"bcd"

    def test_the_second_timeout_goes_without_the_first(self, pair: Pair) -> None:  # IPC-T3
        pair[0].write(b"ab")
        arrived(pair[1], 2)
        reading = Aside(pair[1].read, 3, 0, LONG).until_blocked()
        pair[0].write(b"c")
        assert reading.result() == b"abc"

    def test_nothing_is_wanted(self, pair: Pair) -> None:
        assert pair[1].read(0) == b""
        assert pair[1].readinto(bytearray()) == 0
        assert not pair[1].eof()

    def test_readinto_fills_the_front(self, pair: Pair) -> None:
        pair[0].write(b"abc")
        target = bytearray(b".....")
        assert pair[1].readinto(target, 50) == 3
        assert target == b"abc.."

    def test_readinto_counts_the_bytes_of_wider_items(self, pair: Pair) -> None:
        pair[0].write(bytes(range(8)))
        target = memoryview(bytearray(8)).cast("I")
        assert pair[1].readinto(target, LONG) == 8
        assert bytes(target) == bytes(range(8))

    def test_readinto_times_as_read_does(self, pair: Pair) -> None:
        pair[0].write(b"a")
        assert pair[1].readinto(bytearray(2), LONG, 20) == 1

    def test_what_waits_for_its_turn_keeps_its_time(self, pair: Pair) -> None:  # IPC-T2
        first = Aside(pair[1].read, 1, LONG).until_blocked()
        assert pair[1].read(1, 30) == b""
        assert pair[1].read_msg(PREFIX, LIMIT, 0) is None
        assert pair[1].peek(1, 30) == (-2, b"")
        assert pair[1].poll_in(30) is False
        assert pair[1].last_error is None
        assert not pair[1].error()
        pair[0].write(b"x")
        assert first.result() == b"x"

    def test_garbage_without_end_does_not_hold_a_call(self, pair: Pair) -> None:  # IPC-T5
        garbage = b"\xff" * 65536

        def flood() -> None:
            while pair[0].write(garbage, 100):
                pass

        flooding = Aside(flood)
        begin = time.monotonic()
        assert pair[1].read_msg(PREFIX, LIMIT, 100) is None
        assert time.monotonic() - begin < PATIENCE / 2
        assert pair[1].discarded > 0
        assert not pair[1].error()
        pair[0].close()
        flooding.result()

    @pytest.mark.parametrize("timeout", [0, 0.5, 1, -1, -7, 1e30, True])
    def test_takes_any_number_as_a_timeout(self, pair: Pair, timeout: float) -> None:
        pair[0].write(b"x")
        arrived(pair[1], 1)
        assert pair[1].read(1, timeout) == b"x"


class Looking(PairSuite):
    def test_peek_takes_nothing(self, pair: Pair) -> None:  # IPC-A3
        pair[0].write(b"abcdef")
        arrived(pair[1], 6)
        assert pair[1].peek(3) == PeekResult(3, b"abc")
        assert pair[1].peek(100) == (6, b"abcdef")
        assert pair[1].read(6, LONG) == b"abcdef"

    def test_peek_waits_for_the_first_byte(self, pair: Pair) -> None:
        peeking = Aside(pair[1].peek, 10, LONG).until_blocked()
        pair[0].write(b"z")
        assert peeking.result() == (1, b"z")

    def test_peek_in_time(self, pair: Pair) -> None:  # IPC-T6
        assert pair[1].peek(1, 0) == (-2, b"")
        assert pair[1].peek(1, 20) == (-2, b"")
        assert pair[1].last_error is None

    def test_peek_at_the_end(self, pair: Pair) -> None:  # IPC-X4
        pair[0].write(b"ab")
        pair[0].close()
        arrived(pair[1], 2)
        assert pair[1].peek(10, LONG) == (2, b"ab")
        assert pair[1].read(2, LONG) == b"ab"
        for _ in range(2):
            assert pair[1].peek(10, LONG) == (0, b"")
        assert not pair[1].eof()

    def test_peek_shows_what_is_buffered_and_what_is_not(self, pair: Pair) -> None:  # IPC-A1
        pair[0].write(encode(PREFIX, 1, b"") + b"abc")
        arrived(pair[1], 15)
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"")
        pair[0].write(b"def")
        arrived(pair[1], 6)
        assert pair[1].peek(4, LONG) == (4, b"abcd")
        assert pair[1].peek(5, LONG) == (5, b"abcde")
        assert pair[1].read(6, LONG) == b"abcdef"

    def test_peek_sees_half_a_message(self, pair: Pair) -> None:
        half = encode(PREFIX, 1, b"12345")[:14]
        pair[0].write(half)
        assert pair[1].read_msg(PREFIX, LIMIT, 30) is None
        assert pair[1].peek(100, LONG) == (14, half)

    def test_peek_of_nothing_raises(self, pair: Pair) -> None:
        with pytest.raises(ValueError, match="maxsize"):
            pair[1].peek(0)

    def test_a_peek_shows_no_more_than_8_bytes_of_itself(self) -> None:  # IPC-G4
        assert "12345678" in repr(PeekResult(9, b"123456789"))
        assert "9'" not in repr(PeekResult(9, b"123456789"))

    def test_poll_in(self, pair: Pair) -> None:  # IPC-A3
        assert pair[1].poll_in(0) is False
        assert pair[1].poll_in(20) is False
        polling = Aside(pair[1].poll_in, LONG).until_blocked()
        pair[0].write(b"x")
        assert polling.result() is True
        assert pair[1].poll_in() is True
        assert pair[1].read(1, LONG) == b"x"
        assert pair[1].poll_in(0) is False

    def test_poll_in_counts_what_is_buffered(self, pair: Pair) -> None:  # IPC-A1
        pair[0].write(encode(PREFIX, 1, b"a") + encode(PREFIX, 2, b"b"))
        arrived(pair[1], 26)
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        assert pair[1].poll_in(0) is True
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (2, b"b")
        assert pair[1].poll_in(0) is False

    def test_poll_in_counts_no_message_that_is_not_whole(self, pair: Pair) -> None:  # IPC-C3
        whole = encode(PREFIX, 1, b"12345")
        pair[0].write(whole[:14])
        assert pair[1].read_msg(PREFIX, LIMIT, 30) is None
        assert pair[1].poll_in(0) is False
        pair[0].write(whole[14:15])
        assert pair[1].poll_in(LONG) is True
        assert pair[1].read_msg(PREFIX, LIMIT, 30) is None
        assert pair[1].poll_in(0) is False
        pair[0].close()
        assert pair[1].poll_in(LONG) is True
        assert pair[1].read(100, LONG) == whole[:15]

    def test_poll_in_counts_what_a_raw_read_has_left(self, pair: Pair) -> None:
        pair[0].write(encode(PREFIX, 1, b"12345")[:14])
        assert pair[1].read_msg(PREFIX, LIMIT, 30) is None
        assert pair[1].poll_in(0) is False
        assert pair[1].read(4, LONG) == encode(PREFIX, 1, b"12345")[:4]
        assert pair[1].poll_in(0) is True


class Arguments(PairSuite):
    def test_reading_ranges(self, pair: Pair) -> None:  # IPC-G2
        ipc = pair[1]
        for prefix, limit in [(-1, 0), (2**32, 0), (0, -1), (0, 2**31 - 4)]:
            with pytest.raises(ValueError, match=r"prefix|size_limit"):
                ipc.read_msg(prefix, limit, 0)
        with pytest.raises(ValueError, match="maxsize"):
            ipc.read(-1, 0)
        with pytest.raises(ValueError, match="maxsize"):
            ipc.peek(-1, 0)
        with pytest.raises(ValueError, match="nan"):
            ipc.read(1, float("nan"))

    def test_reading_types(self, pair: Pair) -> None:  # IPC-G2
        ipc = pair[1]
        calls: list[Callable[[], object]] = [
            lambda: ipc.read("1", 0),  # type: ignore[arg-type]
            lambda: ipc.read(1.5, 0),  # type: ignore[arg-type]
            lambda: ipc.read(1, "0"),  # type: ignore[arg-type]
            lambda: ipc.read(1, 0, "0"),  # type: ignore[arg-type]
            lambda: ipc.peek(None, 0),  # type: ignore[arg-type]
            lambda: ipc.poll_in(None),  # type: ignore[arg-type]
            lambda: ipc.readinto(b"read only", 0),
            lambda: ipc.readinto("text", 0),  # type: ignore[arg-type]
            lambda: ipc.readinto(memoryview(bytearray(4))[::2], 0),
            lambda: ipc.read_msg("p", 0, 0),  # type: ignore[arg-type]
            lambda: ipc.set_callback(1),  # type: ignore[arg-type]
        ]
        for call in calls:
            with pytest.raises(TypeError):
                call()
        assert not ipc.error()
        assert pair[0].write(b"still")
        assert ipc.read(5, LONG) == b"still"

    def test_writing(self, pair: Pair) -> None:  # IPC-G2
        ipc = pair[0]
        for prefix, msg_id in [(-1, 0), (2**32, 0), (0, 2**31), (0, -(2**31) - 1)]:
            with pytest.raises(ValueError, match=r"prefix|msg_id"):
                ipc.write_msg(prefix, msg_id, b"")
            with pytest.raises(ValueError, match=r"prefix|msg_id"):
                ipc.write_msgs(prefix, [(msg_id, b"")])
            with pytest.raises(ValueError, match=r"prefix|msg_id"):
                ipc.write_msg(prefix, msg_id, bytes(100_000))
        calls: list[Callable[[], object]] = [
            lambda: ipc.write("text"),  # type: ignore[arg-type]
            lambda: ipc.write(5),  # type: ignore[arg-type]
            lambda: ipc.write_msg(0, 0, "text"),  # type: ignore[arg-type]
            lambda: ipc.write_msg(0, "0", b""),  # type: ignore[arg-type]
            lambda: ipc.write_msg(0, 0, b"", "1"),  # type: ignore[arg-type]
            lambda: ipc.write_msgs(0, [(0, "text")]),  # type: ignore[list-item]
            lambda: ipc.write_msgs(0, 5),  # type: ignore[arg-type]
        ]
        for call in calls:
            with pytest.raises(TypeError):
                call()
        assert not ipc.error()
        assert ipc.last_error is None
        assert pair[1].poll_in(0) is False

    def test_mistakes_are_mistakes_on_closed_objects_too(self, pair: Pair) -> None:  # IPC-G2
        ipc = pair[0]
        ipc.close()
        with pytest.raises(ValueError, match="prefix"):
            ipc.read_msg(-1, 0)
        with pytest.raises(ValueError, match="size_limit"):
            ipc.read_msg(0, -1)
        with pytest.raises(ValueError, match="maxsize"):
            ipc.read(-1)
        with pytest.raises(ValueError, match="prefix"):
            ipc.write_msg(-1, 0, b"")
        with pytest.raises(TypeError):
            ipc.write("text")  # type: ignore[arg-type]
        assert not ipc.error()
