from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from vfiipc.codec import HEADER, HEADER_SIZE, MSG_ID_SIZE, encode, encode_header, encode_many
from vfiipc.recording import guess_prefixes
from vfiipc.recording.guess import _links
from vfiipc.testing import Stream, streams

LIMIT = 1 << 20
PREFIX = 0x004E4659


def _bytes(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)


def _stream(prefix: int, count: int) -> bytes:
    return encode_many(prefix, [(index, _bytes(50 + index, index)) for index in range(count)])


def test_messages_one_behind_the_other_are_sure() -> None:
    (best,) = guess_prefixes([_stream(PREFIX, 5)], LIMIT)
    assert (best.prefix, best.messages, best.links) == (PREFIX, 5, 5)
    assert (best.share, best.confidence) == (1.0, "sure")


def test_garbage_between_them_makes_it_less_sure() -> None:
    stream = _bytes(300) + _stream(PREFIX, 2) + _bytes(100, 2)
    (best,) = guess_prefixes([stream], LIMIT)
    assert (best.prefix, best.messages, best.confidence) == (PREFIX, 2, "possible")
    (best,) = guess_prefixes([_bytes(300) + _stream(PREFIX, 4)], LIMIT)
    assert (best.prefix, best.confidence) == (PREFIX, "likely")


def test_one_message_that_ends_where_the_stream_does() -> None:
    (best,) = guess_prefixes([encode(PREFIX, 1, b"hello")], LIMIT)
    assert (best.prefix, best.confidence) == (PREFIX, "possible")
    (best,) = guess_prefixes([encode(PREFIX, 1, b"hello"), encode(PREFIX, 2, b"")], LIMIT)
    assert (best.prefix, best.messages, best.confidence) == (PREFIX, 2, "likely")


def test_a_large_message_first() -> None:
    stream = encode(PREFIX, 1, bytes(1 << 20)) + encode(PREFIX, 1, b"") + encode(PREFIX, 1, b"")
    best = guess_prefixes([stream], LIMIT)[0]
    assert (best.prefix, best.confidence) == (PREFIX, "sure")


def test_messages_within_messages_come_second() -> None:
    inner = _stream(0xC0DEFACE, 3)
    outer = encode_many(PREFIX, [(1, inner), (2, inner)])
    guesses = guess_prefixes([outer], LIMIT)
    assert [guess.prefix for guess in guesses][:2] == [PREFIX, 0xC0DEFACE]


def test_two_prefixes() -> None:
    guesses = guess_prefixes([_stream(PREFIX, 9), _stream(0xC0DEFACE, 3)], LIMIT)
    assert [guess.prefix for guess in guesses] == [PREFIX, 0xC0DEFACE]


def test_nothing_is_found_where_nothing_is() -> None:
    for stream in (b"", b"short", _bytes(4000), bytes(4000), b"GET / HTTP/1.1\r\n\r\n" * 50):
        assert guess_prefixes([stream], LIMIT) == []


def test_the_size_limit_counts() -> None:
    stream = _stream(PREFIX, 5)
    assert guess_prefixes([stream], 10) == []
    assert encode_header(PREFIX, 0, 50) == stream[:12]


def _linked(stream: bytes, size_limit: int) -> Iterator[bytes]:
    """As it is defined, byte by byte."""
    for at in range(len(stream) - HEADER_SIZE + 1):
        size = HEADER.parse(stream[at:]).size
        stop = at + HEADER_SIZE - MSG_ID_SIZE + size
        if MSG_ID_SIZE <= size <= size_limit + MSG_ID_SIZE and stop <= len(stream):
            mark = stream[at:][: HEADER.prefix.sizeof()]
            if stop == len(stream) or stream.startswith(mark, stop):
                yield mark


@given(streams(), st.sampled_from([0, 1, 20, 64, 255, 2**31 - 5]))
def test_no_link_is_missed(stream: Stream, size_limit: int) -> None:
    assert list(_links(stream.data, size_limit)) == list(_linked(stream.data, size_limit))
