from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from vfiipc.recording.packets import ACK, FIN, SYN, Segment
from vfiipc.recording.reassembly import Chunk, Reassembly

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
    sent = [chunk for chunk in chunks if chunk.from_client and not chunk.end]
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
