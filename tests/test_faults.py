"""The engine of faults: what it promises for every stream, chunking and combination of faults."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import accumulate, chain, pairwise, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc.faults import Action, Delivery, End, Planner, Send, Wait
from vfiipc.testing import chunked

STREAM = st.binary(max_size=60)
PIECES = st.none() | st.integers(1, 9) | st.lists(st.integers(1, 9), max_size=8).map(tuple)
SIZED = st.integers(1, 9) | st.lists(st.integers(1, 9), max_size=8).map(
    lambda sizes: (*sizes, *repeat(5, 100))
)
ENDINGS = st.sampled_from(["close", "reset", "silence"])


def deliveries(pieces: st.SearchStrategy[Any] = PIECES) -> st.SearchStrategy[Delivery]:
    return st.builds(
        Delivery,
        pieces=pieces,
        cut_after=st.none() | st.integers(0, 70),
        damage=st.dictionaries(st.integers(0, 70), st.integers(1, 255), max_size=6),
        delay=st.sampled_from([0.0, 0.5]),
        garbage=st.binary(max_size=5),
        pause=st.sampled_from([0.0, 0.25]),
        ending=ENDINGS,
    )


def planned(delivery: Delivery, chunks: Iterable[bytes]) -> list[Action]:
    planner = Planner(delivery)
    actions = list(chain.from_iterable(map(planner.feed, chunks)))
    actions += planner.finish()
    assert planner.ended
    assert list(planner.feed(b"more")) == list(planner.finish()) == []
    return actions


def sent(actions: Iterable[Action]) -> list[bytes]:
    return [action.data for action in actions if isinstance(action, Send)]


def expected(delivery: Delivery, stream: bytes) -> bytes:
    """The same, byte by byte."""
    cut = len(stream) if delivery.cut_after is None else delivery.cut_after
    damaged = [byte ^ delivery.damage.get(at, 0) for at, byte in enumerate(stream)]
    return delivery.garbage + bytes(damaged[:cut])


@given(stream=STREAM, delivery=deliveries(), data=st.data())
def test_what_is_sent_is_the_stream_with_its_faults(
    stream: bytes, delivery: Delivery, data: st.DataObject
) -> None:
    actions = planned(delivery, data.draw(chunked(stream)))
    assert b"".join(sent(actions)) == expected(delivery, stream)
    assert all(sent(actions))
    assert [action for action in actions if isinstance(action, End)] == [End(delivery.ending)]
    assert actions[-1] == End(delivery.ending)


@given(stream=STREAM, delivery=deliveries(SIZED), data=st.data())
def test_borders_of_pieces_do_not_depend_on_chunks(
    stream: bytes, delivery: Delivery, data: st.DataObject
) -> None:
    whole = sent(planned(delivery, [stream]))
    actions = planned(delivery, data.draw(chunked(stream)))
    borders = set(accumulate(map(len, whole)))
    assert borders <= set(accumulate(map(len, sent(actions))))
    sizes = delivery.sizes()
    assert all(len(piece) <= next(sizes) for piece in whole)
    assert all(len(piece) == size for piece, size in zip(whole[:-1], delivery.sizes()))
    pauses = [action for action in actions if action == Wait(0.25)]
    assert len(pauses) == (max(0, len(whole) - 1) if delivery.pause else 0)


@given(stream=st.binary(min_size=1), delivery=deliveries())
def test_a_pause_stands_between_pieces_and_a_delay_before_all(
    stream: bytes, delivery: Delivery
) -> None:
    actions = planned(delivery, [stream])
    if sent(actions):
        assert (actions[0] == Wait(0.5)) == bool(delivery.delay)
    assert actions.count(Wait(0.5)) <= 1
    kinds = [type(action) for action in actions if action != Wait(0.5)]
    assert (Wait, Wait) not in set(pairwise(kinds))
    assert (Wait, End) not in set(pairwise(kinds))
    assert ((Send, Send) in set(pairwise(kinds))) <= (not delivery.pause)


@given(stream=STREAM, cut=st.integers(0, 70), data=st.data())
def test_the_end_comes_with_the_byte_before_the_cut(
    stream: bytes, cut: int, data: st.DataObject
) -> None:
    planner = Planner(Delivery(cut_after=cut))
    fed = 0
    for chunk in data.draw(chunked(stream)):
        before = planner.ended
        ends = End("close") in planner.feed(chunk)
        fed += len(chunk)
        assert planner.ended == (fed >= max(cut, 1))
        assert ends == (planner.ended and not before)


def test_an_end_without_a_cut_is_the_senders() -> None:
    planner = Planner(Delivery(garbage=b"?", ending="reset"))
    assert list(planner.feed(b"")) == [Send(b"?")]
    assert list(planner.feed(b"!")) == [Send(b"!")]
    assert list(planner.finish()) == [End("reset")]
    assert planned(Delivery(garbage=b"?"), []) == [Send(b"?"), End("close")]


def test_a_piece_without_a_size_takes_the_chunk() -> None:
    planner = Planner(Delivery(pieces=[2], pause=1))
    assert list(planner.feed(b"abcdef")) == [Send(b"ab"), Wait(1), Send(b"cdef")]
    assert list(planner.feed(b"gh")) == [Wait(1), Send(b"gh")]


def _lines(delivery: Delivery, chunks: list[bytes]) -> int:
    """How many lines of the engine run."""
    lines = 0

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal lines
        lines += event == "line" and frame.f_code.co_filename.endswith("faults.py")
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        planned(delivery, chunks)
    finally:
        sys.settrace(former)
    return lines


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_work_is_linear(size: int) -> None:
    def work(length: int) -> int:
        damage = dict.fromkeys(range(0, length, 2), 1)
        chunks = [bytes(size)] * max(1, length // size)
        return _lines(Delivery(pieces=3, damage=damage, pause=1), chunks)

    assert work(8_000) < 4.5 * work(2_000) + 1000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pieces": 0}, "pieces is 0, but must be 1 or more"),
        ({"cut_after": -1}, "cut_after is -1, but must be 0 or more"),
        ({"damage": {0: 256}}, "damage at offset 0 is 256, but must be in 1..255"),
        ({"damage": {-1: 1}}, "an offset of damage is -1, but must be 0 or more"),
        ({"delay": -1}, "delay is -1, but must be in 0..1,000,000,000 seconds"),
        ({"delay": float("inf")}, "delay is inf, but must be in 0..1,000,000,000 seconds"),
        ({"pause": float("nan")}, "pause is nan, but must be in 0..1,000,000,000 seconds"),
        ({"ending": "bang"}, "ending is 'bang', but must be one of 'close', 'reset', 'silence'"),
    ],
)
def test_a_delivery_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole message is compared
        Delivery(**wrong)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pieces": 1.5}, "pieces must be an int, not float"),
        ({"cut_after": "7"}, "cut_after must be an int, not str"),
        ({"damage": [1]}, "damage must be a mapping such as {0: 0x80}, not list"),
        ({"damage": {"0": 1}}, "an offset of damage must be an int, not str"),
        ({"damage": {0: "1"}}, "damage at offset 0 must be an int, not str"),
        ({"delay": "1"}, "delay must be a number of seconds, not str"),
        ({"pause": None}, "pause must be a number of seconds, not NoneType"),
    ],
)
def test_values_of_a_wrong_type_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as raised:
        Delivery(**wrong)
    assert str(raised.value) == message
