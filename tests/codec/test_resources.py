"""Memory stays near what arrived, and work grows as the stream does, however it is cut."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.cost import peak_of, quickest
from tests.spec.vectors import byte_by_byte
from vfiipc.codec import MAX_DATA_SIZE, Framer, Message, encode, encode_header, encode_many
from vfiipc.codec.backlog import PORTION

PREFIX = 0xA1B2C3D4
MIB = 1 << 20
#: What a framer may take besides what it holds.
CONSTANT = 64 << 10


# Memory


def made_as_fed(size: int, chunk: int) -> Iterator[bytes]:
    yield encode_header(PREFIX, 1, size)
    for _ in range(size // chunk):
        yield bytes(chunk)


@pytest.mark.long
@pytest.mark.parametrize(
    ("size", "chunk", "ask", "times_the_size"),
    [
        (4 * MIB, 1024, "always", 1.2),
        (4 * MIB, 1024, "at the end", 1.2),
        (8 * MIB, 65536, "always", 1.2),
        (8 * MIB, 65536, "at the end", 1.2),
        (MIB + 65536, 65536, "always", 1.2),
        (MIB, 16, "always", 1.2),
        (MIB // 4, 2, "always", 1.2),
        # Up to 1 MiB, pieces that are not small are joined: twice the size for a moment.
        (MIB, 65536, "always", 2.0),
        (MIB, 16, "at the end", 2.0),
        (MIB // 4, 2, "at the end", 2.0),
    ],
)
def test_a_large_message_peaks_near_its_size(
    size: int, chunk: int, ask: str, times_the_size: float
) -> None:
    framer = Framer(PREFIX, size)
    delivered: list[Message] = []

    def run() -> None:
        for piece in made_as_fed(size, chunk):
            framer.receive_data(piece)
            if ask == "always":
                delivered.extend(framer.drain())
        delivered.extend(framer.drain())

    peak = peak_of(run)
    assert [len(message.data) for message in delivered] == [size]
    assert size < peak < times_the_size * size + PORTION
    assert framer.pending == 0


def test_the_beginning_of_a_message_does_not_keep_a_large_block() -> None:
    framer = Framer(PREFIX, MIB)
    tracemalloc.start()
    try:
        framer.receive_data(bytes(4 * MIB) + encode_header(PREFIX, 1, MIB) + bytes(100))
        assert framer.drain() == []
        assert framer.bytes_wanted() == MIB - 100
        assert tracemalloc.get_traced_memory()[0] < CONSTANT
    finally:
        tracemalloc.stop()


def test_a_change_that_does_not_concern_the_message_moves_none_of_it() -> None:
    framer = Framer(PREFIX, 3 * MIB)
    message = encode(PREFIX, 1, bytes(2 * MIB))
    framer.receive_data(message[:-1])
    assert framer.next_message() is None

    def change() -> None:
        for limit in (2 * MIB, MAX_DATA_SIZE, 2 * MIB):
            framer.size_limit = limit
        framer.prefix = int(str(PREFIX))  # another object, the same number

    assert peak_of(change) < CONSTANT
    framer.receive_data(message[-1:])
    assert framer.drain() == [(1, bytes(2 * MIB))]


def test_a_header_that_claims_a_gigabyte_takes_nothing() -> None:
    framer = Framer(PREFIX, 1 << 30)

    def run() -> None:
        framer.receive_data(encode_header(PREFIX, 1, 1 << 30))
        assert framer.next_message() is None
        assert framer.bytes_wanted() == 1 << 30
        framer.receive_data(b"some")
        assert framer.drain() == []

    assert peak_of(run) < CONSTANT


def test_a_block_that_is_used_up_is_let_go_of() -> None:
    framer = Framer(PREFIX, 8)
    tracemalloc.start()
    try:
        for ask in (framer.drain, framer.next_message, lambda: framer.take(4 * MIB)):
            framer.receive_data(bytes(4 * MIB))
            ask()
            assert tracemalloc.get_traced_memory()[0] < CONSTANT
            framer.receive_data(encode(PREFIX, 1, bytes(8)) + bytes(3))
            assert framer.next_message() == (1, bytes(8))
            framer.take(3)
    finally:
        tracemalloc.stop()


def test_a_small_tail_does_not_keep_a_large_block() -> None:
    framer = Framer(PREFIX, 8)
    tracemalloc.start()
    try:
        framer.receive_data(bytes(4 * MIB) + encode_header(PREFIX, 1, 8))
        assert framer.drain() == []
        assert framer.pending == 12
        assert tracemalloc.get_traced_memory()[0] < CONSTANT
    finally:
        tracemalloc.stop()


# Work: eight times the stream, whatever it is made of, in about eight times the processor time.
# Quadratic work would be 64 times as much; the bound lies between, far from both.

TIMES = 8
BOUND = 28


def drained(chunks: list[bytes], prefix: int = PREFIX, limit: int = 100) -> Framer:
    framer = Framer(prefix, limit)
    for chunk in chunks:
        framer.receive_data(chunk)
        framer.drain()
    return framer


def fed_first(chunks: list[bytes]) -> None:
    framer = Framer(PREFIX, MAX_DATA_SIZE)
    for chunk in chunks:
        framer.receive_data(chunk)
    while framer.next_message() is not None:
        pass


def taken(chunks: list[bytes]) -> None:
    framer = Framer(PREFIX, MAX_DATA_SIZE)
    for chunk in chunks:
        framer.receive_data(chunk)
    while framer.peek(20):
        framer.take(7)


MARK = encode_header(PREFIX, 0, 0)[:4]
STREAMS: dict[str, Callable[[int], object]] = {
    "false headers at once": lambda n: drained([(MARK + b"\xff" * 4) * 4000 * n]),
    "false headers byte by byte": lambda n: drained(byte_by_byte((MARK + b"\xff" * 4) * 700 * n)),
    "marks alone": lambda n: drained([MARK * 8000 * n]),
    "zeros for a prefix of zeros": lambda n: drained([bytes(20_000 * n)], prefix=0),
    "zeros byte by byte": lambda n: drained(byte_by_byte(bytes(4000 * n)), prefix=0),
    "a prefix that repeats itself": lambda n: drained([b"\xab" * 20_000 * n], prefix=0xABABABAB),
    "data above the limit, full of headers": lambda n: drained(
        [encode(PREFIX, 0, encode_header(PREFIX, 0, 101) * 2000 * n)]
    ),
    "a large message byte by byte": lambda n: drained(
        byte_by_byte(encode(PREFIX, 0, bytes(6000 * n))), limit=MAX_DATA_SIZE
    ),
    "small messages byte by byte": lambda n: drained(
        byte_by_byte(encode(PREFIX, 0, b"1") * 400 * n)
    ),
    "small messages in one block, one by one": lambda n: fed_first(
        [encode_many(PREFIX, [(1, b"1")] * 4000 * n)]
    ),
    "byte by byte, not asked until the end": lambda n: fed_first(
        byte_by_byte(encode_many(PREFIX, [(1, bytes(30))] * 200 * n))
    ),
    "large blocks, not asked until the end": lambda n: fed_first(
        [encode(PREFIX, 1, bytes(MIB))] * n
    ),
    "taken in small pieces from one block": lambda n: taken([bytes(20_000 * n)]),
    "taken in small pieces from many": lambda n: taken([bytes(9)] * 3000 * n),
}


@pytest.mark.long
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_work_grows_as_the_stream_does(stream: Callable[[int], object]) -> None:
    """FRM-C7."""
    small, large = (quickest(lambda times=times: stream(times)) for times in (1, TIMES))  # type: ignore[misc]
    assert large < BOUND * max(small, 0.001)
