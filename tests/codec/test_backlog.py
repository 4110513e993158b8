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


@given(operations=st.lists(OPERATIONS, max_size=40))
def test_what_goes_in_comes_out(operations: list[bytes | int | str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog, "PORTION", SMALL)
        queue, model = Backlog(), b""
        for operation in operations:
            if isinstance(operation, bytes):
                queue.append(operation)
                model += operation
            elif isinstance(operation, str):
                limit = int(operation.split()[1])
                assert queue.peek(limit) == model[:limit]
            elif model:
                taken = queue.take(operation)
                assert 1 <= len(taken) <= min(operation, SMALL)
                assert model.startswith(taken)
                model = model[len(taken) :]
            assert len(queue) == len(model)


def test_large_pieces_are_kept_as_they_came() -> None:
    queue = Backlog()
    piece = bytes(PORTION)
    queue.append(b"before")
    queue.append(piece)
    assert queue.take(100) == b"before"
    assert queue.take(PORTION) is piece
    assert len(queue) == 0


def test_portions_bound_what_is_taken_at_once() -> None:
    queue = Backlog()
    queue.append(bytes(3 * PORTION))
    assert [len(queue.take(5 * PORTION)) for _ in range(3)] == [PORTION] * 3


def test_small_pieces_are_gathered() -> None:
    queue = Backlog()
    for _ in range(2 * PORTION + 1):
        queue.append(b"-")
    assert [len(queue.take(PORTION)) for _ in range(3)] == [PORTION, PORTION, 1]
