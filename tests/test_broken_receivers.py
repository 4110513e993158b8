"""What the strategies are for: ``streams()`` finds receivers out that are broken in one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from vfiipc.codec import HEADER_SIZE, MSG_ID, MSG_ID_SIZE, PREFIX, PREFIX_AND_SIZE, SIZE, Message
from vfiipc.testing import Stream, streams

Receiver = Callable[[Stream], list[Message]]


def plain_receiver(
    stream: Stream, *, dropped: int = 1, smallest: int = MSG_ID_SIZE, excess: int = 0
) -> list[Message]:
    """A receiver as short as it can be; the parameters break it in one place each."""
    data, found = stream.data, []
    largest = MSG_ID_SIZE + stream.size_limit + excess
    at = data.find(mark := PREFIX.packer.pack(stream.prefix))
    while at >= 0 and at + PREFIX_AND_SIZE <= len(data):
        (size,) = SIZE.packer.unpack_from(data, at + SIZE.offset)
        stop = at + PREFIX_AND_SIZE + size
        if not smallest <= size <= largest:
            at = data.find(mark, at + dropped)
            continue
        if stop > len(data) or at + HEADER_SIZE > len(data):
            break
        (msg_id,) = MSG_ID.packer.unpack_from(data, at + MSG_ID.offset)
        found.append(Message(msg_id, data[at + HEADER_SIZE : stop]))
        at = data.find(mark, stop)
    return found


BROKEN: Final[dict[str, Receiver]] = {
    "drops 4 bytes": partial(plain_receiver, dropped=4),
    "drops 8 bytes": partial(plain_receiver, dropped=8),
    "minimum size 3": partial(plain_receiver, smallest=MSG_ID_SIZE - 1),
    "minimum size 5": partial(plain_receiver, smallest=MSG_ID_SIZE + 1),
    "limit too high by one": partial(plain_receiver, excess=1),
    "limit too low by one": partial(plain_receiver, excess=-1),
}
RUNS = 20


class _FoundOut(Exception):
    """Every broken receiver has been found out."""


def found_out(run: int) -> set[str]:
    """The broken receivers that differ within 100 examples, which is what a test draws."""
    found: set[str] = set()

    @seed(run)
    @settings(
        max_examples=100,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(streams())
    def any_stream(stream: Stream) -> None:
        assert plain_receiver(stream) == stream.messages
        found.update(name for name, broken in BROKEN.items() if broken(stream) != stream.messages)
        if len(found) == len(BROKEN):
            raise _FoundOut

    try:
        any_stream()
    except _FoundOut:
        pass
    return found


@pytest.mark.long
def test_streams_find_broken_receivers_out_in_nineteen_runs_of_twenty() -> None:
    found = Counter(name for run in range(RUNS) for name in found_out(run))
    assert {name: found[name] for name in BROKEN if found[name] < RUNS - 1} == {}
