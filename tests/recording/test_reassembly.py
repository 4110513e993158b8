from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.profiling import profiled
from vfiipc.recording.packets import ACK, FIN, SYN, Segment
from vfiipc.recording.reassembly import Chunk, Reassembly, RecordedConnection

CLIENT, SERVER = "192.0.2.1:40000", "192.0.2.2:5000"
#: Near the end of the sequence numbers, so that they begin anew.
FIRST = 2**32 - 10


def _segment(at: int, data: bytes, flags: int = ACK, missing: int = 0) -> Segment:
    return Segment(CLIENT, SERVER, (FIRST + at) % 2**32, 0, flags, data, missing)


def _chunks(segments: Iterable[Segment]) -> list[Chunk]:
    reassembly = Reassembly()
    chunks: list[Chunk] = []
    for time, segment in enumerate(segments):
        chunks += reassembly.feed(time, segment)
    return [*chunks, *reassembly.finish()]


def _shown(chunks: Iterable[Chunk]) -> list[bytes | int]:
    """The data and gaps from ``CLIENT``."""
    sent = [c for c in chunks if c.connection.sender(c.from_client) == CLIENT and not c.end]
    return [chunk.data or chunk.gap for chunk in sent]


SYNCHRONISED = _segment(-1, b"", SYN)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_any_order_any_overlap_any_repetition(stream: bytes, data: st.DataObject) -> None:
    size = len(stream)
    spans = data.draw(
        st.lists(st.tuples(st.integers(0, size), st.integers(0, size)), max_size=20), "overlaps"
    )
    cuts = sorted({0, size, *data.draw(st.sets(st.integers(0, size)), "cuts")})
    spans += itertools.pairwise(cuts)
    segments = [_segment(start, stream[start:stop]) for start, stop in spans]
    segments.append(_segment(size, b"", ACK | FIN))
    chunks = _chunks([SYNCHRONISED, *data.draw(st.permutations(segments), "order")])
    assert b"".join(chunk.data for chunk in chunks if chunk.from_client) == stream
    assert [chunk.gap for chunk in chunks if chunk.gap] == []
    assert [chunk.from_client for chunk in chunks if chunk.end].count(True) == 1


def test_what_was_lost_is_a_gap() -> None:
    chunks = _chunks([SYNCHRONISED, _segment(0, b"ab"), _segment(5, b"fg"), _segment(9, b"j")])
    assert _shown(chunks) == [b"ab", 3, b"fg", 2, b"j"]


def test_what_was_cut_off_in_the_capture_is_a_gap_unless_it_comes_again() -> None:
    short = _segment(0, b"ab", missing=3)
    assert _shown(_chunks([SYNCHRONISED, short, _segment(5, b"fg")])) == [b"ab", 3, b"fg"]


def test_a_gap_that_would_hold_too_much_back_is_given_up() -> None:
    reassembly = Reassembly()
    list(reassembly.feed(0, SYNCHRONISED))
    size = 1 << 20
    seen: list[Chunk] = []
    for number in range(20):
        seen += reassembly.feed(1, _segment(5 + number * size, bytes(size)))
    assert sum(len(chunk.data) for chunk in seen) >= 16 << 20
    assert seen[0].gap == 5


def test_a_capture_that_begins_in_the_middle() -> None:
    answer = Segment(SERVER, CLIENT, 7, FIRST, ACK, b"old")
    (first, *_) = chunks = _chunks([answer, _segment(2, b"cd"), _segment(0, b"ab")])
    assert (first.connection.client, first.connection.server) == (SERVER, CLIENT)
    assert [chunk.data for chunk in chunks if chunk.data] == [b"old", b"ab", b"cd"]


def test_the_one_who_connects_is_the_client_even_if_the_answer_comes_first() -> None:
    answer = Segment(SERVER, CLIENT, 6, FIRST, SYN | ACK, b"")
    chunks = _chunks([answer, SYNCHRONISED, _segment(0, b"ab")])
    assert {chunk.connection.number for chunk in chunks} == {1}
    assert {chunk.connection.client for chunk in chunks} == {CLIENT}
    assert _shown(chunks) == [b"ab"]


def test_the_same_ports_again_are_another_connection() -> None:
    again = SYNCHRONISED._replace(sequence=77)
    segments = [
        SYNCHRONISED,
        _segment(0, b"ab"),
        again,
        again,
        again._replace(sequence=78, flags=ACK, data=b"x"),
    ]
    chunks = _chunks(segments)
    assert [(c.connection.number, c.data) for c in chunks if c.data] == [(1, b"ab"), (2, b"x")]


def test_what_came_again_and_too_early_is_counted() -> None:
    chunks = _chunks([SYNCHRONISED, _segment(2, b"cd"), _segment(0, b"ab"), _segment(0, b"ab")])
    assert (chunks[0].connection.retransmitted, chunks[0].connection.reordered) == (2, 1)
    assert [chunk.time for chunk in chunks if chunk.data] == [2, 2]


def test_a_keepalive_adds_nothing() -> None:
    chunks = _chunks([SYNCHRONISED, _segment(0, b"ab"), _segment(1, b"?"), _segment(2, b"c")])
    assert _shown(chunks) == [b"ab", b"c"]


def _received(segments: Iterable[Segment]) -> tuple[list[bytes | int], RecordedConnection]:
    chunks = _chunks(segments)
    return _shown(chunks), chunks[0].connection


def _answer(acknowledged: int, data: bytes = b"") -> Segment:
    return Segment(SERVER, CLIENT, 7, (FIRST + acknowledged) % 2**32, ACK, data)


MIDDLE = [_segment(0, b"ab"), _segment(2, b"cd"), _segment(4, b"ef"), _segment(6, b"gh")]


@pytest.mark.parametrize("acknowledged", [[], [_answer(0)], [_answer(0, b"?")], [_answer(8)]])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_first_segments_of_a_capture_in_any_order(
    order: tuple[int, ...], acknowledged: list[Segment]
) -> None:
    segments = [*(MIDDLE[number] for number in order), MIDDLE[3]]
    shown, _ = _received([*acknowledged, *segments])
    assert shown == [b"ab", b"cd", b"ef", b"gh"]


def test_a_beginning_in_another_order_is_counted_and_loses_nothing() -> None:
    shown, connection = _received([MIDDLE[1], MIDDLE[0], _answer(4, b"yes"), *MIDDLE[2:]])
    assert shown == [b"ab", b"cd", b"ef", b"gh"]
    assert (connection.retransmitted, connection.reordered) == (0, 1)


def test_an_end_before_the_first_bytes_ends_nothing_early() -> None:
    end = _segment(2, b"", ACK | FIN)
    chunks = [chunk for chunk in _chunks([end, MIDDLE[0]]) if chunk.from_client]
    assert [(chunk.data, chunk.end) for chunk in chunks] == [(b"ab", False), (b"", True)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("place", range(3))
def test_the_syn_may_come_later(order: tuple[int, ...], place: int) -> None:
    segments = [MIDDLE[number] for number in order]
    segments.insert(place, SYNCHRONISED)
    chunks = _chunks([*segments, *MIDDLE[2:]])
    assert {chunk.connection.number for chunk in chunks} == {1}
    assert _shown(chunks) == [b"ab", b"cd", b"ef", b"gh"]


def test_what_the_other_side_waits_for_at_the_beginning_is_a_gap_that_holds_nothing_back() -> None:
    late = [_segment(at, b"x") for at in range(3, 9)]
    chunks = _chunks([_answer(0), *late])
    assert _shown(chunks) == [3, *[b"x"] * 6]
    given = next(chunk for chunk in chunks if chunk.data)
    assert given.time <= 3


def test_a_keepalive_at_the_beginning_adds_nothing() -> None:
    shown, _ = _received([_answer(0), _segment(-1, b"\0"), *MIDDLE])
    assert shown == [b"ab", b"cd", b"ef", b"gh"]


def test_the_time_is_that_of_the_segment_that_made_the_bytes_readable() -> None:
    chunks = _chunks([SYNCHRONISED, _segment(2, b"cd"), _segment(5, b"fg"), _segment(0, b"ab")])
    assert [(c.time, c.data, c.gap) for c in chunks if c.from_client and not c.end] == [
        (3, b"ab", 0),
        (3, b"cd", 0),
        (3, b"", 1),
        (3, b"fg", 0),
    ]


def _with_gaps(count: int) -> list[Segment]:
    return [_segment(1 + 2 * number, b"x") for number in range(count)]


def _backwards(count: int) -> list[Segment]:
    return _with_gaps(count)[::-1]


def _before_what_waits(count: int) -> list[Segment]:
    waiting = [_segment(count + 1 + 2 * number, b"x") for number in range(count // 2)]
    return waiting + [_segment(number, b"x") for number in range(count // 2)]


def _work(segments: list[Segment]) -> int:
    """Calls that segments of one byte cost."""
    calls = 0

    def called(*_: object) -> None:
        nonlocal calls
        calls += 1

    with profiled(called):
        chunks = _chunks([SYNCHRONISED, *segments])
    assert sum(len(chunk.data) for chunk in chunks) == len(segments)
    return calls


@pytest.mark.parametrize("segments", [_with_gaps, _backwards, _before_what_waits])
def test_work_grows_as_the_segments_do(segments: Callable[[int], list[Segment]]) -> None:
    assert _work(segments(2000)) < 2.5 * _work(segments(1000))


def test_tiny_segments_behind_a_gap_are_limited_too() -> None:
    reassembly = Reassembly()
    list(reassembly.feed(0, SYNCHRONISED))
    most = held = 0
    for number in range(40_000):
        held += 1
        held -= sum(len(c.data) for c in reassembly.feed(1, _segment(5 + number, b"x")))
        most = max(most, held)
    assert most < 33_000
