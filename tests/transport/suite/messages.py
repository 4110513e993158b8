"""Messages and raw bytes, in whole and in part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from vfiipc.codec import Message, SyncLostError, encode

from .base import LIMIT, LONG, OTHER_PREFIX, PREFIX, Aside, Pair, PairSuite, arrived

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Messages(PairSuite):
    def test_go_both_ways(self, pair: Pair) -> None:
        for writer, reader in [pair, pair[::-1]]:
            assert writer.write_msg(PREFIX, 7, b"hello", LONG)
            assert reader.read_msg(PREFIX, LIMIT, LONG) == Message(7, b"hello")
            assert not reader.eof()
            assert not reader.error()
            assert reader.last_error is None

    @pytest.mark.parametrize("msg_id", [-(2**31), -1, 0, 2**31 - 1])
    def test_have_any_id(self, pair: Pair, msg_id: int) -> None:
        assert pair[0].write_msg(PREFIX, msg_id, b"")
        assert pair[1].read_msg(PREFIX, 0, LONG) == (msg_id, b"")

    @pytest.mark.parametrize("size", [0, 1, 32767, 32768, LIMIT])
    def test_have_any_size(self, pair: Pair, size: int) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        writing = Aside(pair[0].write_msg, PREFIX, 1, data[:size], LONG)
        message = pair[1].read_msg(PREFIX, LIMIT, LONG)
        assert message == (1, data[:size])
        assert writing.result() is True

    @pytest.mark.parametrize("prefix", [0, 2**32 - 1])
    def test_have_any_prefix(self, pair: Pair, prefix: int) -> None:
        assert pair[0].write_msg(prefix, 3, b"x")
        assert pair[1].read_msg(prefix, 1, LONG) == (3, b"x")

    def test_many_in_one_call(self, pair: Pair) -> None:
        sent = [(number, b"d" * (number % 50)) for number in range(3000)]
        sent.insert(1500, (-5, bytes(100_000)))
        writing = Aside(pair[0].write_msgs, PREFIX, iter(sent), LONG)
        received = [pair[1].read_msg(PREFIX, LIMIT, LONG) for _ in sent]
        assert received == sent
        assert writing.result() is True

    def test_many_are_read_in_one_call(self, pair: Pair) -> None:
        sent = [(number, b"d" * (number % 50)) for number in range(3000)]
        writing = Aside(pair[0].write_msgs, PREFIX, sent, LONG)
        received: list[Message] = []
        calls = 0
        while len(received) < len(sent):
            messages = pair[1].read_msgs(PREFIX, LIMIT, LONG)
            assert messages
            received += messages
            calls += 1
        assert received == sent
        assert calls < len(sent) / 5
        assert writing.result() is True

    def test_reading_many_waits_for_the_first_alone(self, pair: Pair) -> None:
        pair[0].write(
            encode(PREFIX, 1, b"a") + encode(PREFIX, 2, b"b") + encode(PREFIX, 3, b"c")[:9]
        )
        arrived(pair[1], 35)
        assert pair[1].read_msgs(PREFIX, LIMIT, LONG) == [(1, b"a"), (2, b"b")]
        assert pair[1].read_msgs(PREFIX, LIMIT, 0) == []
        waiting = Aside(pair[1].read_msgs, PREFIX, LIMIT, LONG).until_blocked()
        pair[0].write(encode(PREFIX, 3, b"c")[9:])
        assert waiting.result() == [(3, b"c")]
        assert not pair[1].error()

    def test_what_reading_many_leaves_is_incomplete(self, pair: Pair) -> None:  # IPC-C3
        pair[0].write(encode(PREFIX, 1, b"a") + encode(PREFIX, 2, b"b")[:9])
        arrived(pair[1], 22)
        assert pair[1].read_msgs(PREFIX, LIMIT, LONG) == [(1, b"a")]
        assert pair[1].poll_in(0) is False
        assert pair[1].peek(9, 0).n == 9
        pair[0].write(encode(PREFIX, 2, b"b")[9:])
        assert pair[1].poll_in(LONG) is True
        assert pair[1].read_msgs(PREFIX, LIMIT, LONG) == [(2, b"b")]

    def test_reading_many_meets_the_end(self, pair: Pair) -> None:  # IPC-E1
        pair[0].write_msgs(PREFIX, [(1, b"a"), (2, b"b")])
        arrived(pair[1], 26)
        pair[0].close()
        received = pair[1].read_msgs(PREFIX, LIMIT, LONG)
        assert received == [(1, b"a"), (2, b"b")]
        assert not pair[1].eof()
        assert pair[1].read_msgs(PREFIX, LIMIT, LONG) == []
        assert pair[1].eof()
        assert not pair[1].error()

    def test_reading_many_gives_out_what_came_before_a_fault(self, pair: Pair) -> None:
        pair[1].strict = True
        pair[0].write(encode(PREFIX, 1, b"a") + encode(PREFIX, 2, b"b") + b"stray")
        arrived(pair[1], 31)
        assert pair[1].read_msgs(PREFIX, LIMIT, LONG) == [(1, b"a"), (2, b"b")]
        assert not pair[1].error()
        assert pair[1].poll_in(LONG) is True
        assert pair[1].read_msgs(PREFIX, LIMIT, LONG) == []
        assert isinstance(pair[1].last_error, SyncLostError)

    def test_reading_many_after_the_descriptor_was_handed_out(self, pair: Pair) -> None:  # IPC-A2
        pair[1].getFD()
        sent = [(number, b"data") for number in range(5)]
        pair[0].write_msgs(PREFIX, sent)
        arrived(pair[1], 80)
        received: list[Message] = []
        while len(received) < len(sent):
            messages = pair[1].read_msgs(PREFIX, LIMIT, LONG)
            assert messages
            received += messages
        assert received == sent
        assert pair[1].read_msgs(PREFIX, LIMIT, 0) == []

    def test_what_the_iterable_raises_comes_after_what_was_before(self, pair: Pair) -> None:
        def some() -> Iterator[tuple[int, Buffer]]:
            yield 1, b"one"
            yield 2, bytearray(b"two")
            raise LookupError("no more")

        with pytest.raises(LookupError, match="no more"):
            pair[0].write_msgs(PREFIX, some())
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"one")
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (2, b"two")
        assert not pair[0].error()
        assert pair[0].write_msg(PREFIX, 3, b"three")
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (3, b"three")

    def test_a_message_that_cannot_be_comes_after_those_before(self, pair: Pair) -> None:
        with pytest.raises(ValueError, match="msg_id"):
            pair[0].write_msgs(PREFIX, [(1, b"one"), (2**31, b"two"), (3, b"three")])
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"one")
        assert pair[1].read_msg(PREFIX, LIMIT, 0) is None

    def test_one_buffer_may_be_filled_again(self, pair: Pair) -> None:
        buffer = bytearray(1)

        def fill() -> Iterator[tuple[int, Buffer]]:
            for number in range(5):
                buffer[0] = number
                yield number, buffer

        assert pair[0].write_msgs(PREFIX, fill())
        for number in range(5):
            assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (number, bytes([number]))

    def test_no_message_at_all(self, pair: Pair) -> None:
        assert pair[0].write_msgs(PREFIX, [])
        assert pair[0].write(b"")
        assert pair[1].poll_in(0) is False

    def test_a_wider_buffer_counts_its_bytes(self, pair: Pair) -> None:
        wide = memoryview(bytearray(range(8))).cast("I")
        assert pair[0].write_msg(PREFIX, 1, wide)
        assert pair[0].write(wide)
        assert pair[1].read_msg(PREFIX, 8, LONG) == (1, bytes(range(8)))
        assert pair[1].read(8, LONG) == bytes(range(8))

    def test_cut_by_a_timeout_go_on_in_the_next_call(self, pair: Pair) -> None:  # IPC-T4
        whole = encode(PREFIX, 9, b"payload")
        for part in (whole[:3], whole[3:8], whole[8:15]):
            assert pair[0].write(part)
            assert pair[1].read_msg(PREFIX, LIMIT, 30) is None
            assert pair[1].last_error is None
        assert pair[0].write(whole[15:])
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (9, b"payload")
        assert not pair[1].error()

    def test_another_prefix_and_limit_in_each_call(self, pair: Pair) -> None:  # IPC-T4
        pair[0].write(encode(PREFIX, 1, b"12345") + encode(OTHER_PREFIX, 2, b"12"))
        arrived(pair[1], 31)
        assert pair[1].read_msg(OTHER_PREFIX, 1, 0) is None
        assert pair[1].discarded > 0
        pair[0].write(encode(PREFIX, 3, b"123") + encode(OTHER_PREFIX, 4, b"1234"))
        assert pair[1].read_msg(PREFIX, 3, LONG) == (3, b"123")
        assert pair[1].read_msg(OTHER_PREFIX, 4, LONG) == (4, b"1234")

    def test_half_a_message_is_judged_anew(self, pair: Pair) -> None:
        half = encode(PREFIX, 1, b"12345" * 4)[:20]
        pair[0].write(half)
        assert pair[1].read_msg(PREFIX, LIMIT, 30) is None
        pair[0].write(encode(OTHER_PREFIX, 2, b"x"))
        assert pair[1].read_msg(OTHER_PREFIX, LIMIT, LONG) == (2, b"x")
        assert pair[1].discarded == len(half)

    def test_raw_after_messages_and_the_reverse(self, pair: Pair) -> None:  # IPC-A1
        message = encode(PREFIX, 1, b"a")
        pair[0].write(message + b"raw bytes" + message + b"more" + message)
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        assert pair[1].read(9, LONG) == b"raw bytes"
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        target = bytearray(4)
        assert pair[1].readinto(target, LONG) == 4
        assert target == b"more"
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        assert pair[1].discarded == 0

    def test_raw_out_of_a_message_under_way(self, pair: Pair) -> None:
        whole = encode(PREFIX, 1, b"data")
        pair[0].write(whole[:14])
        assert pair[1].read_msg(PREFIX, LIMIT, 30) is None
        assert pair[1].read(14, LONG) == whole[:14]

    def test_garbage_is_counted(self, pair: Pair) -> None:
        pair[0].write(b"noise" + encode(PREFIX, 1, b"a") + b"!" + encode(PREFIX, 2, b"b"))
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        assert pair[1].discarded == 5
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (2, b"b")
        assert pair[1].discarded == 6

    def test_strict_makes_garbage_an_error(self, pair: Pair) -> None:  # IPC-X9
        pair[1].strict = True
        pair[0].write(encode(PREFIX, 1, b"a") + b"noise, then" + encode(PREFIX, 2, b"b"))
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        assert not pair[1].error()
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) is None
        assert pair[1].error()
        assert isinstance(pair[1].last_error, SyncLostError)
        assert pair[1].last_error.position == 13
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) is None
        assert not pair[1].eof()
