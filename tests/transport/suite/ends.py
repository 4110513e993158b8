"""The end of the stream, errors, and objects that are not open."""

from __future__ import annotations

import contextlib
import copy
import errno
import gc
import logging
import pickle

import pytest

from vfiipc import IPC
from vfiipc.codec import encode

from .base import FLOOD, LIMIT, LONG, PREFIX, Aside, Pair, PairSuite, arrived, until


class Ends(PairSuite):
    def test_a_short_read_meets_the_end(self, pair: Pair) -> None:  # IPC-E1
        pair[0].write(b"abc")
        pair[0].close()
        assert pair[1].read(3, LONG) == b"abc"
        assert not pair[1].eof()
        assert pair[1].read(1, LONG) == b""
        assert pair[1].eof()
        assert not pair[1].error()
        assert pair[1].last_error is None

    def test_a_short_readinto_meets_the_end(self, pair: Pair) -> None:  # IPC-E1
        pair[0].write(b"abc")
        pair[0].close()
        target = bytearray(4)
        assert pair[1].readinto(target, LONG) == 3
        assert pair[1].eof()

    def test_read_msg_meets_the_end_when_no_message_can_come(self, pair: Pair) -> None:  # IPC-E1
        pair[0].write_msgs(PREFIX, [(1, b"a"), (2, b"b")])
        pair[0].close()
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (2, b"b")
        assert not pair[1].eof()
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) is None
        assert pair[1].eof()
        assert not pair[1].error()

    def test_what_was_cut_off_stays_readable(self, pair: Pair) -> None:  # IPC-E2
        cut = encode(PREFIX, 1, b"12345")[:-2]
        pair[0].write(cut)
        pair[0].close()
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) is None
        assert pair[1].eof()
        assert pair[1].poll_in(0) is True
        assert pair[1].peek(100, 0) == (len(cut), cut)
        assert pair[1].read(100, 0) == cut
        assert pair[1].read(1, 0) == b""
        assert pair[1].peek(1, 0) == (0, b"")
        assert not pair[1].error()

    @pytest.mark.parametrize(
        ("member", "result"), [("read", b""), ("peek", (0, b"")), ("poll_in", True)]
    )
    def test_wakes_who_waits(self, pair: Pair, member: str, result: object) -> None:
        arguments = () if member == "poll_in" else (5,)
        waiting = Aside(getattr(pair[1], member), *arguments).until_blocked()
        pair[0].close()
        assert waiting.result() == result

    def test_poll_in_meets_the_end_when_nothing_else_is_left(self, pair: Pair) -> None:  # IPC-E1
        pair[0].write(b"ab")
        pair[0].close()
        assert pair[1].poll_in(LONG) is True
        assert not pair[1].eof()
        assert pair[1].read(2, LONG) == b"ab"
        assert pair[1].poll_in(LONG) is True
        assert pair[1].eof()

    def test_the_flag_stays(self, pair: Pair) -> None:  # IPC-X5
        pair[0].close()
        for _ in range(3):
            assert pair[1].read_msg(PREFIX, LIMIT, LONG) is None
            assert pair[1].eof()
        pair[1].close()
        assert not pair[1].eof()


class Failures(PairSuite):
    def broken(self, pair: Pair) -> IPC:
        """The second object, after the first has gone while it was writing."""
        pair[0].close()

        def failed() -> bool:
            return not pair[1].write(b"x", LONG)

        until(failed)
        return pair[1]

    def test_writing_to_who_has_gone_latches_the_cause(self, pair: Pair) -> None:  # IPC-X1, IPC-G1
        ipc = self.broken(pair)
        assert ipc.error()
        first = ipc.last_error
        assert isinstance(first, OSError)
        assert first.errno in {errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED}
        assert ipc.write(b"more") is False
        assert ipc.write_msg(PREFIX, 1, b"more") is False
        assert ipc.write_msgs(PREFIX, [(1, b"more")]) is False
        assert ipc.error()
        assert ipc.last_error is first

    def test_the_end_after_a_break_is_part_of_the_break(self, pair: Pair) -> None:  # IPC-E4
        ipc = self.broken(pair)
        for _ in range(2):
            assert ipc.read(1) == b""
            assert ipc.read_msg(PREFIX, LIMIT) is None
            assert ipc.error()
            assert not ipc.eof()

    def test_a_read_loop_ends(self, pair: Pair) -> None:  # IPC-X6
        ipc = self.broken(pair)
        rounds = 0
        while not (ipc.eof() or ipc.error()) or ipc.read_msg(PREFIX, LIMIT) is not None:
            rounds += 1
            assert rounds < 10
        assert ipc.read(1) == b""
        assert ipc.peek(1).n in {0, -1}
        assert ipc.poll_in() is True

    def test_data_from_before_is_given_out_first(self, pair: Pair) -> None:  # IPC-X2
        pair[0].write_msgs(PREFIX, [(1, b"a"), (2, b"b")])
        arrived(pair[1], 26)
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
        ipc = self.broken(pair)
        assert ipc.read_msg(PREFIX, LIMIT, LONG) == (2, b"b")
        assert ipc.error()
        assert ipc.read_msg(PREFIX, LIMIT, LONG) is None

    def test_a_write_that_ran_out_of_time_inside_latches(self, pair: Pair) -> None:  # IPC-X8
        assert pair[0].write(FLOOD, 50) is False
        assert pair[0].error()
        assert isinstance(pair[0].last_error, TimeoutError)
        assert str(len(FLOOD)) in str(pair[0].last_error)
        assert pair[0].write(b"x", 0) is False

    def test_a_message_that_ran_out_of_time_inside_latches(self, pair: Pair) -> None:  # IPC-X8
        assert pair[0].write_msg(PREFIX, 1, FLOOD, 50) is False
        assert pair[0].error()
        assert pair[0].write_msg(PREFIX, 1, b"") is False

    # IPC-X8, IPC-T6; over TLS IPC-S10: nothing is encrypted while the system takes nothing
    def test_a_write_that_did_not_begin_latches_nothing(self) -> None:
        # Whether the last piece is divided is up to the system; a single byte cannot be.
        for size in (512, 64, 1):
            first, second = self.connected_pair()
            with first, second:
                pieces = 0
                while first.write(b"x" * size, 20):
                    pieces += 1
                assert isinstance(first.last_error, TimeoutError)
                if first.error():
                    assert second.read(size * (pieces + 1), 100).count(b"x") % size > 0
                    continue
                assert second.read(size * pieces, LONG) == b"x" * size * pieces
                assert first.write_msg(PREFIX, 1, b"goes on", LONG)
                assert second.read_msg(PREFIX, LIMIT, LONG) == (1, b"goes on")
                return
        pytest.fail("a single byte was divided")

    def test_a_write_without_time_may_succeed(self, pair: Pair) -> None:
        assert pair[0].write(b"abc", 0)
        assert pair[1].read(3, LONG) == b"abc"

    def test_a_writer_that_waits_for_its_turn_keeps_its_time(self, pair: Pair) -> None:  # IPC-T2
        first = Aside(pair[0].write, FLOOD, LONG).until_blocked()
        assert pair[0].write_msg(PREFIX, 1, b"x", 30) is False
        assert isinstance(pair[0].last_error, TimeoutError)
        assert not pair[0].error()
        got = 0
        while got < len(FLOOD):
            got += len(pair[1].read(2**20, LONG))
        assert first.result() is True


class NotOpen(PairSuite):
    def closed(self, pair: Pair) -> IPC:
        pair[1].close()
        assert pair[1].last_error is None
        return pair[1]

    @pytest.mark.parametrize(
        ("member", "arguments", "result"),
        [
            ("read", (5,), b""),
            ("readinto", (bytearray(5),), 0),
            ("read_msg", (PREFIX, LIMIT), None),
            ("read_msgs", (PREFIX, LIMIT), []),
            ("poll_in", (), True),
            ("write", (b"abc",), False),
            ("write_msg", (PREFIX, 1, b"abc"), False),
            ("write_msgs", (PREFIX, [(1, b"abc")]), False),
        ],
    )
    def test_reading_and_writing_is_an_error(
        self, pair: Pair, member: str, arguments: tuple[object, ...], result: object
    ) -> None:  # IPC-X6
        ipc = self.closed(pair)
        assert getattr(ipc, member)(*arguments) == result
        assert ipc.error()
        assert isinstance(ipc.last_error, OSError)
        assert ipc.last_error.errno == errno.ENOTCONN

    def test_looking_sets_no_flag(self, pair: Pair) -> None:  # IPC-X4
        ipc = self.closed(pair)
        assert ipc.peek(5) == (-1, b"")
        assert not ipc.error()
        assert isinstance(ipc.last_error, OSError)

    def test_the_rest(self, pair: Pair) -> None:
        ipc = self.closed(pair)
        assert ipc.set_callback(lambda data, ipc: None) is False
        assert isinstance(ipc.last_error, OSError)
        assert ipc.last_error.errno == errno.ENOTCONN
        assert ipc.set_callback(None) is True
        assert ipc.getFD() == ipc.fileno() == -1
        assert ipc.local_addr() == ipc.remote_addr() == ""
        assert ipc.is_server() is False
        assert ipc.discarded == 0
        assert "not open" in repr(ipc)
        assert ipc.accept(0) is None
        ipc.close()
        assert ipc.last_error is None

    def test_an_open_one_accepts_nothing(self, pair: Pair) -> None:
        assert pair[0].accept(0) is None
        assert isinstance(pair[0].last_error, OSError)
        assert not pair[0].error()
        assert pair[0].is_server() is False

    def test_addresses(self, pair: Pair) -> None:
        if self.has_addresses:
            assert pair[0].remote_addr() == pair[1].local_addr() != ""
            assert pair[1].remote_addr() == pair[0].local_addr() != ""
        assert pair[1].remote_addr() in repr(pair[1])

    def test_descriptors(self, pair: Pair) -> None:
        descriptor = pair[0].getFD()
        assert descriptor == pair[0].fileno()
        assert (descriptor >= 0) is self.has_descriptor

    def test_the_context_closes(self, pair: Pair) -> None:
        with pair[0] as entered:
            assert entered is pair[0]
            entered.write(b"bye")
        assert pair[1].read(4, LONG) == b"bye"
        assert pair[1].eof()

    def test_the_context_closes_after_an_exception(self, pair: Pair) -> None:
        with contextlib.suppress(LookupError), pair[0]:
            raise LookupError
        assert pair[1].read(1, LONG) == b""
        assert pair[1].eof()

    def test_garbage_collection_warns_and_closes(self) -> None:
        ends = list(self.connected_pair())
        with ends[1] as second:
            with pytest.warns(ResourceWarning, match="was not closed"):
                del ends[0]
            assert second.read(1, LONG) == b""
            assert second.eof()

    def test_closed_ones_are_collected_in_silence(self, caplog: pytest.LogCaptureFixture) -> None:
        first, second = self.connected_pair()
        first.close()
        second.close()
        del first, second
        gc.collect()
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    def test_there_is_no_copy_that_could_close_it(self, pair: Pair) -> None:
        for copied in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                copied(pair[0])
        assert pair[0].write_msg(PREFIX, 1, b"")
        assert pair[1].read_msg(PREFIX, LIMIT, LONG) == (1, b"")

    def test_versions(self, pair: Pair) -> None:
        version = pair[0].ipc_GetVersion()
        numbers, _, build = version.partition("-")
        assert [part.isdigit() for part in [*numbers.split("."), build]] == [True] * 4
        assert numbers in pair[0].getVersion()
        with pytest.warns(DeprecationWarning, match="no effect"):
            pair[0].set_callback_stacksize()
        with pytest.warns(DeprecationWarning, match="no effect"):
            pair[0].set_callback_stacksize(65536)
