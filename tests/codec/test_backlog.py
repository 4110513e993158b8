"""The queue of bytes, against bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc.codec import backlog
from vfiipc.codec.backlog import PORTION, Backlog

SMALL = 8
OPERATIONS = st.one_of(
    st.binary(min_size=1, max_size=SMALL + 2),
    st.integers(1, 2 * SMALL),
    st.sampled_from(["peek 0", "peek 1", "peek 7", "peek 20", "peek 200"]),
)


def take(queue: Backlog, limit: int) -> bytes:
    """As the framer does it: look, keep, and move the start."""
    data = queue.front(limit)
    queue.start += len(data)
    return data


def append(queue: Backlog, data: bytes) -> None:
    queue.append(data, queue.end)


@given(operations=st.lists(OPERATIONS, max_size=40))
def test_what_goes_in_comes_out(operations: list[bytes | int | str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog, "PORTION", SMALL)
        queue, model = Backlog(1000), b""
        for operation in operations:
            if isinstance(operation, bytes):
                append(queue, operation)
                model += operation
            elif isinstance(operation, str):
                limit = int(operation.split()[1])
                assert queue.peek(limit) == model[:limit]
            elif model:
                taken = take(queue, operation)
                assert 1 <= len(taken) <= min(operation, SMALL)
                assert model.startswith(taken)
                model = model[len(taken) :]
            assert len(queue) == len(model)


def test_large_pieces_are_kept_as_they_came() -> None:
    queue = Backlog(0)
    piece = bytes(PORTION)
    append(queue, b"before")
    append(queue, piece)
    assert take(queue, 100) == b"before"
    assert take(queue, PORTION) is piece
    assert len(queue) == 0


def test_portions_bound_what_is_taken_at_once() -> None:
    queue = Backlog(0)
    append(queue, bytes(3 * PORTION))
    assert [len(take(queue, 5 * PORTION)) for _ in range(3)] == [PORTION] * 3


def test_small_pieces_are_gathered() -> None:
    queue = Backlog(0)
    for _ in range(2 * PORTION + 1):
        append(queue, b"-")
    assert [len(take(queue, PORTION)) for _ in range(3)] == [PORTION, PORTION, 1]


def test_data_that_was_added_before_is_not_added_again() -> None:
    """A caller that was interrupted cannot know, and adds it once more."""
    queue = Backlog(10)
    for data, position in [(b"abc", 10), (b"abc", 10), (bytes(PORTION), 13), (bytes(PORTION), 13)]:
        queue.append(data, position)
    assert len(queue) == 3 + PORTION
    assert take(queue, 10) == b"abc"
