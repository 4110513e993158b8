"""``encode_batches``: the same bytes as ``encode``, in batches that are bounded, whatever comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc.codec import EncodedBatch, encode, encode_batches

PREFIX = 0xA1B2C3D4


def joined(batches: list[EncodedBatch]) -> bytes:
    return b"".join(bytes(piece) for batch in batches for piece in batch.pieces)


@given(
    sizes=st.lists(st.integers(0, 60), max_size=20),
    batch_size=st.integers(1, 100),
    large_size=st.integers(1, 70),
)
def test_batches_are_whole_messages_in_order(
    sizes: list[int], batch_size: int, large_size: int
) -> None:
    messages = [(number - 3, bytes([number]) * size) for number, size in enumerate(sizes)]
    expected = [encode(PREFIX, *message) for message in messages]
    batches = list(encode_batches(PREFIX, messages, batch_size, large_size))
    assert joined(batches) == b"".join(expected)
    large = [batch.pieces for batch in batches if batch.single]
    assert [data for _, data in large] == [data for _, data in messages if len(data) >= large_size]
    for index, batch in enumerate(batches):
        if not batch.single:
            total = sum(map(len, batch.pieces))
            assert all(piece in expected for piece in batch.pieces)
            assert total - len(batch.pieces[-1]) < batch_size
            last = index == len(batches) - 1
            assert total >= batch_size or last or batches[index + 1].single


def test_no_more_is_asked_for_than_a_batch_takes() -> None:
    asked: list[int] = []

    def endless() -> Iterator[tuple[int, bytes]]:
        while True:
            asked.append(len(asked))
            yield asked[-1], b""

    batches = encode_batches(PREFIX, endless(), 36, 10)
    assert asked == []
    assert len(next(batches).pieces) == 3
    assert asked == [0, 1, 2]
    assert len(next(batches).pieces) == 3
    assert asked == [0, 1, 2, 3, 4, 5]
    batches.close()
    assert len(asked) == 6


def test_data_are_copied_before_more_is_asked_for() -> None:
    buffer = bytearray(3)
    pair: list[Any] = [0, buffer]

    def refilled() -> Iterator[Any]:
        for number in range(5):
            buffer[:] = bytes([number]) * 3
            pair[0] = number
            yield pair

    expected = [encode(PREFIX, number, bytes([number]) * 3) for number in range(5)]
    assert joined(list(encode_batches(PREFIX, refilled(), 1000, 4))) == b"".join(expected)


def test_large_data_are_not_copied() -> None:
    small, large, wide = bytearray(9), bytearray(10), memoryview(bytes(16)).cast("I")
    messages: list[tuple[int, Any]] = [(1, large), (2, wide), (3, small)]
    batches = list(encode_batches(PREFIX, messages, 1000, 10))
    assert [batch.single for batch in batches] == [True, True, False]
    views = [batch.pieces[1] for batch in batches[:2]]
    assert isinstance(views[0], memoryview)
    assert views[0].obj is large
    assert len(views[1]) == 16
    assert joined(batches) == b"".join(encode(PREFIX, *message) for message in messages)
    with_gaps = memoryview(bytes(range(40)))[::2]
    (batch,) = encode_batches(PREFIX, [(1, with_gaps)], 1000, 10)
    assert batch.single
    assert batch.pieces[1] == bytes(range(0, 40, 2))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ((2**31, b""), ValueError),
        ((2**31, bytes(10)), ValueError),
        (("1", b""), TypeError),
        ((1, "text"), TypeError),
        ((1, b"", 3), ValueError),
        (None, TypeError),
    ],
)
def test_what_is_wrong_comes_after_the_messages_before_it(
    wrong: Any, error: type[Exception]
) -> None:
    batches = encode_batches(PREFIX, [(1, b"a"), (2, b"b"), wrong, (3, b"c")], 1000, 10)
    assert joined([next(batches)]) == encode(PREFIX, 1, b"a") + encode(PREFIX, 2, b"b")
    with pytest.raises(error):
        next(batches)
    assert list(batches) == []
    with pytest.raises(error):
        next(encode_batches(PREFIX, [wrong], 1000, 10))


def test_what_the_iterable_raises_comes_after_the_messages_before_it() -> None:
    def broken() -> Iterator[tuple[int, bytes]]:
        yield 1, b"a"
        raise KeyboardInterrupt

    batches = encode_batches(PREFIX, broken(), 1000, 10)
    assert joined([next(batches)]) == encode(PREFIX, 1, b"a")
    with pytest.raises(KeyboardInterrupt):
        next(batches)


def test_a_sender_that_gives_up_ends_it() -> None:
    batches = encode_batches(PREFIX, [(1, b"a"), (2**31, b"")], 1000, 10)
    assert next(batches).pieces == [encode(PREFIX, 1, b"a")]
    batches.close()
    assert list(batches) == []


def test_nothing_gives_no_batch_and_a_wrong_prefix_is_one_all_the_same() -> None:
    assert list(encode_batches(PREFIX, [], 1, 1)) == []
    with pytest.raises(ValueError, match="prefix is -1"):
        next(encode_batches(-1, [], 1, 1))
