"""What only the loopback can do: names, capacity, and the ways in which bytes arrive."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc import IPC, Delivery, Loopback, Message, loopback_pair
from vfiipc.codec import encode

PREFIX = 0x00C0FFEE
LIMIT = 1 << 20
SOON = 5000


@pytest.fixture
def pair() -> Iterator[tuple[Loopback, Loopback]]:
    first, second = loopback_pair()
    with first, second:
        yield first, second


def test_it_has_no_descriptor_and_no_address(pair: tuple[Loopback, Loopback]) -> None:
    for end in pair:
        assert isinstance(end, IPC)
        assert (end.getFD(), end.local_addr(), end.remote_addr()) == (-1, "", "")
        assert not end.is_server()


def test_a_full_one_blocks_the_writer_until_there_is_room() -> None:
    first, second = loopback_pair(capacity=100)
    with first, second:
        assert first.write(bytes(100), timeout_msec=0)
        assert not first.write(b"more", timeout_msec=0)
        assert isinstance(first.last_error, TimeoutError)
        assert not first.error()
        writer = threading.Thread(target=first.write, args=(b"more",))
        writer.start()
        assert second.read(104, SOON) == bytes(100) + b"more"
        writer.join(5)
        assert not writer.is_alive()


def test_a_message_above_the_capacity_goes_through_in_parts() -> None:
    first, second = loopback_pair(capacity=7)
    with first, second:
        writer = threading.Thread(target=first.write_msg, args=(PREFIX, 1, bytes(range(200))))
        writer.start()
        assert second.read_msg(PREFIX, LIMIT, SOON) == Message(1, bytes(range(200)))
        writer.join(5)


def test_a_message_cut_off_by_the_time_breaks_the_connection() -> None:
    first, second = loopback_pair(capacity=7)
    with first, second:
        assert not first.write_msg(PREFIX, 1, b"longer", timeout_msec=0)
        assert first.error()
        assert isinstance(first.last_error, TimeoutError)
        assert not first.write(b"x", 0)


@given(data=st.binary(min_size=1, max_size=60), pieces=st.lists(st.integers(1, 9), max_size=20))
def test_pieces_decide_what_each_receive_gives(data: bytes, pieces: list[int]) -> None:
    first, second = loopback_pair(first_to_second=Delivery(pieces=pieces))
    with first, second:
        assert first.write_msg(PREFIX, 5, data)
        assert second.read_msg(PREFIX, LIMIT, SOON) == Message(5, data)


def test_a_piece_is_what_a_look_shows() -> None:
    first, second = loopback_pair(first_to_second=Delivery(pieces=(2, 3)))
    with first, second:
        first.write(b"abcdefgh")
        assert second.peek(10, 0).data == b"ab"
        assert second.read(2, 0) == b"ab"
        assert second.peek(10, 0).data == b"cde"
        assert second.read(8, 0) == b"cdefgh"


def test_cut_off_after_so_many_bytes() -> None:
    whole = encode(PREFIX, 1, b"whole")
    first, second = loopback_pair(first_to_second=Delivery(cut_after=len(whole) + 5))
    with first, second:
        assert first.write_msg(PREFIX, 1, b"whole")
        assert first.write_msg(PREFIX, 2, b"cut")
        assert second.read_msg(PREFIX, LIMIT, SOON) == Message(1, b"whole")
        assert second.read_msg(PREFIX, LIMIT, SOON) is None
        assert second.eof()
        assert not second.error()
        assert second.read(100, 0) == encode(PREFIX, 2, b"cut")[:5]


def test_damage_turns_bits_over_at_an_offset() -> None:
    size = len(encode(PREFIX, 1, b"one"))
    damage = {0: 0x80, size + size - 1: 0x01}
    first, second = loopback_pair(first_to_second=Delivery(damage=damage))
    with first, second:
        first.write_msgs(PREFIX, [(1, b"one"), (2, b"two")])
        assert second.read_msg(PREFIX, LIMIT, SOON) == Message(2, b"twn")
        assert second.discarded == size


def test_delayed_bytes_arrive_later_and_are_announced_then(
    pair: tuple[Loopback, Loopback],
) -> None:
    first, second = loopback_pair(first_to_second=Delivery(delay=0.1))
    with first, second:
        called = threading.Event()
        assert second.set_callback(lambda _data, _ipc: called.set())
        first.write(b"late")
        assert second.peek(4, 0).n == -2
        assert called.wait(5)
        assert second.read(4, SOON) == b"late"
        assert pair[0].peek(1, 0).n == -2


def test_garbage_comes_first_and_does_not_count() -> None:
    whole = encode(PREFIX, 1, b"one")
    delivery = Delivery(garbage=b"noise", damage={len(whole) - 1: 1}, cut_after=len(whole) + 2)
    first, second = loopback_pair(len(whole), first_to_second=delivery)
    with first, second:
        assert second.read(3, SOON) == b"noi"
        assert second.peek(10, 0).data == b"se"
        writer = threading.Thread(target=first.write, args=(whole * 2, SOON))
        writer.start()
        assert second.read_msg(PREFIX, LIMIT, SOON) == Message(1, b"ond")
        assert second.read(9, SOON) == whole[:2]
        writer.join(5)
        assert second.discarded == 2
        assert second.eof()


def test_garbage_may_exceed_the_capacity() -> None:
    first, second = loopback_pair(2, first_to_second=Delivery(garbage=b"noise"))
    with first, second:
        assert not first.write(b"x", timeout_msec=0)
        assert second.read(5, SOON) == b"noise"
        assert first.write(b"x", timeout_msec=0)
        assert second.read(1, SOON) == b"x"


@pytest.mark.parametrize("pieces", [2, [2], [2, 1, 3]])
def test_a_pause_keeps_pieces_apart(pieces: int | list[int]) -> None:
    first, second = loopback_pair(first_to_second=Delivery(pieces=pieces, pause=0.05))
    with first, second:
        called = threading.Event()
        assert second.set_callback(lambda _data, _ipc: called.set())
        assert first.write(b"abcdef")
        began = time.monotonic()
        assert second.read(2, SOON) == b"ab"
        called.clear()
        assert second.peek(9, 0).n == -2
        assert second.read(9, 0) == b""
        assert called.wait(5)
        assert second.read(4, SOON, SOON) == b"cdef"
        assert time.monotonic() - began >= (0.05 if pieces == [2] else 0.1)


def test_a_reset_comes_after_the_bytes_before_the_cut() -> None:
    first, second = loopback_pair(first_to_second=Delivery(cut_after=3, ending="reset"))
    with first, second:
        assert first.write(b"abcdef")
        assert second.read(3, SOON) == b"abc"
        assert second.read(1, SOON) == b""
        assert second.error()
        assert isinstance(second.last_error, ConnectionResetError)
        assert not second.write(b"x")


def test_a_reset_when_the_sender_closes() -> None:
    first, second = loopback_pair(first_to_second=Delivery(ending="reset"))
    with first, second:
        reading = threading.Thread(target=second.read, args=(1, SOON))
        reading.start()
        first.close()
        reading.join(5)
        assert isinstance(second.last_error, ConnectionResetError)


def test_silence_is_not_an_end() -> None:
    first, second = loopback_pair(first_to_second=Delivery(cut_after=3, ending="silence"))
    with first, second:
        assert first.write(b"abcdef")
        first.close()
        assert second.read(3, SOON) == b"abc"
        assert second.read(1, 20) == b""
        assert not second.eof()
        assert not second.error()
        assert not second.poll_in(0)


def test_the_other_end_has_closed(pair: tuple[Loopback, Loopback]) -> None:
    first, second = pair
    first.write(b"last words")
    first.close()
    assert second.read(100, SOON) == b"last words"
    assert second.eof()
    assert not second.write(b"too late")
    assert second.error()
    assert isinstance(second.last_error, BrokenPipeError)


def test_a_server_and_its_clients(name: str) -> None:
    with Loopback() as server:
        assert server.listen(name)
        assert server.is_server()
        assert server.local_addr() == name
        assert server.accept(0) is None
        for number in range(3):
            with Loopback() as client:
                assert client.connect(name)
                peer = server.accept(SOON)
                assert peer is not None
                with peer:
                    assert client.write_msg(PREFIX, number, b"hello")
                    assert peer.read_msg(PREFIX, LIMIT, SOON) == Message(number, b"hello")
                    assert client.remote_addr() == name


def test_the_client_decides_how_bytes_arrive(name: str) -> None:
    with Loopback() as server, Loopback() as client:
        assert server.listen(name)
        assert client.connect(name, outgoing=Delivery(cut_after=1), incoming=Delivery(cut_after=2))
        peer = server.accept(SOON)
        assert peer is not None
        with peer:
            client.write(b"abc")
            peer.write(b"abc")
            assert (peer.read(9, SOON), client.read(9, SOON)) == (b"a", b"ab")


def test_a_name_is_given_once_and_free_again_after_close(name: str) -> None:
    with Loopback() as first, Loopback() as second:
        assert first.listen(name)
        assert not second.listen(name)
        assert "taken" in str(second.last_error)
        first.close()
        assert second.listen(name)


def test_nobody_listens(name: str) -> None:
    with Loopback() as client:
        assert not client.connect(name)
        assert isinstance(client.last_error, ConnectionRefusedError)
        assert client.accept(0) is None


def test_closing_a_listener_wakes_accept_and_ends_those_that_wait(name: str) -> None:
    with Loopback() as server, Loopback() as client:
        assert server.listen(name)
        assert client.connect(name)
        waiting = server.accept(SOON)
        assert waiting is not None
        results: list[object] = []
        accepting = threading.Thread(target=lambda: results.append(server.accept()))
        accepting.start()
        time.sleep(0.02)
        server.close()
        accepting.join(5)
        assert results == [None]
        assert not client.eof()
        waiting.close()
        assert client.read(1, SOON) == b""
        assert client.eof()


def test_a_callback_tells_of_a_connection(name: str) -> None:
    accepted: list[Loopback | None] = []
    told = threading.Event()

    def on_connection(_data: object, server: IPC) -> None:
        peer = server.accept(0)
        assert peer is None or isinstance(peer, Loopback)
        accepted.append(peer)
        told.set()

    with Loopback() as server, Loopback() as client, Loopback() as another:
        assert server.listen(name)
        assert server.set_callback(on_connection)
        for end in (client, another):
            told.clear()
            assert end.connect(name)
            assert told.wait(5)
    assert len(accepted) == 2
    for peer in accepted:
        assert peer is not None
        peer.close()


@pytest.mark.parametrize(
    "wrong",
    [{"pieces": 0}, {"cut_after": -1}, {"damage": {0: 0}}, {"damage": {-1: 1}}, {"delay": -1.0}],
)
def test_a_delivery_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Delivery(**wrong)  # type: ignore[arg-type]


def test_a_capacity_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="capacity is 0"):
        loopback_pair(0)
    with pytest.raises(TypeError, match="capacity must be an int"):
        Loopback(capacity="many")  # type: ignore[arg-type]


def _forget_one() -> Loopback:
    _, second = loopback_pair()
    gc.collect()
    return second


def test_one_that_is_forgotten_is_closed_with_a_warning() -> None:
    with pytest.warns(ResourceWarning, match="was not closed"):
        second = _forget_one()
    with second:
        assert second.read(1, SOON) == b""
        assert second.eof()
