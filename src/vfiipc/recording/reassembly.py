"""From TCP segments to streams: both directions of each connection, in the order of time.

Segments may come twice, in another order, or overlap; a stream may begin or end in the middle. What
the capture does not hold becomes a gap, and is never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .packets import ACK, FIN, RST, SYN, Segment

__all__ = ["Chunk", "Connection", "Reassembly"]

_MODULUS = 1 << 32
#: Bytes behind a gap that are held back, in the hope that the gap closes.
_PATIENCE = 16 << 20


@dataclass(eq=False)
class Connection:
    """One TCP connection: the side that connected, and the side that listened.

    Where the capture begins later, the first sender is taken for the side that connected.
    """

    number: int  #: from 1, in the order of appearance
    client: str
    server: str
    retransmitted: int = 0  #: bytes that came again
    reordered: int = 0  #: segments that came too early

    def sender(self, from_client: bool) -> str:
        """The address of one side."""
        return self.client if from_client else self.server


@dataclass
class Chunk:
    """The next bytes of one direction, or a gap in it, or its end."""

    connection: Connection
    from_client: bool
    time: float  #: seconds since 1970: when the bytes could be read
    data: bytes = b""
    gap: int = 0  #: bytes that are missing from the capture
    end: bool = False


@dataclass
class _Direction:
    """What is known of one direction."""

    expected: int | None = None  # the sequence number that comes next
    waiting: dict[int, Segment] = field(default_factory=dict)  # by sequence number
    held: int = 0  # bytes in ``waiting``
    end: int | None = None  # the sequence number at which the stream ends
    ended: bool = False


@dataclass
class _State:
    """What is known of one connection."""

    connection: Connection
    from_client: _Direction = field(default_factory=_Direction)
    from_server: _Direction = field(default_factory=_Direction)
    first: int | None = None  # the sequence number of the client's SYN


class Reassembly:
    """Takes segments in the order of the capture, and gives the bytes of the streams.

    Memory: what came too early, at most some 16 MiB for each direction. Not thread safe.
    """

    def __init__(self) -> None:
        self._states: dict[frozenset[str], _State] = {}
        self._count = 0
        self._time = 0.0

    def feed(self, time: float, segment: Segment) -> Iterator[Chunk]:
        """What can be told after one more segment.

        Args:
            time: when it was captured, in seconds since 1970.
            segment: from ``dissect``.
        """
        self._time = time
        key = frozenset((segment.source, segment.target))
        state = self._states.get(key)
        if state is not None and _begins_anew(state, segment):
            yield from self._finish(state)
            state = None
        if state is None:
            state = self._states[key] = self._begin(segment)
        from_client = segment.source == state.connection.client
        own, other = state.from_client, state.from_server
        if not from_client:
            own, other = other, own
        if segment.flags & ACK and other.expected is None:
            # What was acknowledged before the capture shows anything of it is past.
            other.expected = segment.acknowledged
        start = segment.sequence
        if segment.flags & SYN:
            start = (start + 1) % _MODULUS
        if own.expected is None:
            own.expected = start
        _note(state, own, segment._replace(sequence=start))
        yield from self._ready(state, own)
        if own.held > _PATIENCE:
            yield from self._ready(state, own, skip=True)

    def finish(self) -> Iterator[Chunk]:
        """What is left when nothing more will come."""
        for state in self._states.values():
            yield from self._finish(state)
        self._states.clear()

    def _begin(self, segment: Segment) -> _State:
        self._count += 1
        client, server = segment.source, segment.target
        if segment.flags & SYN and segment.flags & ACK:
            client, server = server, client
        state = _State(Connection(self._count, client, server))
        if segment.flags & SYN and not segment.flags & ACK:
            state.first = segment.sequence
        return state

    def _finish(self, state: _State) -> Iterator[Chunk]:
        for direction in (state.from_client, state.from_server):
            yield from self._ready(state, direction, skip=True)
            if not direction.ended:
                direction.ended = True
                yield self._chunk(state, direction, end=True)

    def _ready(self, state: _State, own: _Direction, skip: bool = False) -> Iterator[Chunk]:
        """All that follows without a gap; with ``skip``, gaps are told of and passed over."""
        moved = skip
        while own.expected is not None:
            segment = own.waiting.pop(own.expected, None)
            if segment is None and moved:
                segment, moved = _overlapping(own), skip
            if segment is None and skip and own.waiting:
                expected = own.expected
                nearest = min(own.waiting, key=lambda at: _distance(expected, at))
                yield self._chunk(state, own, gap=_distance(expected, nearest))
                own.expected = nearest
                continue
            if segment is None:
                break
            own.held -= len(segment.data)
            moved = True
            yield from self._give(state, own, segment)
        if own.end is not None and own.expected == own.end and not own.ended:
            own.ended = True
            yield self._chunk(state, own, end=True)

    def _give(self, state: _State, own: _Direction, segment: Segment) -> Iterator[Chunk]:
        assert own.expected is not None
        segment = _behind(segment, own.expected)
        own.expected = (own.expected + len(segment.data) + segment.missing) % _MODULUS
        if segment.data:
            yield self._chunk(state, own, data=segment.data)
        if segment.missing:
            yield self._chunk(state, own, gap=segment.missing)

    def _chunk(
        self, state: _State, own: _Direction, data: bytes = b"", gap: int = 0, end: bool = False
    ) -> Chunk:
        return Chunk(state.connection, own is state.from_client, self._time, data, gap, end)


def _begins_anew(state: _State, segment: Segment) -> bool:
    """Whether the ports are used for another connection now."""
    if segment.flags & (SYN | ACK) != SYN:
        return False
    if state.first is not None:
        again = state.first == segment.sequence
    else:  # the answer to it may have been captured first
        again = state.from_client.expected == (segment.sequence + 1) % _MODULUS
    return not again or (state.from_client.ended and state.from_server.ended)


def _note(state: _State, own: _Direction, segment: Segment) -> None:
    """Puts a segment among those that wait, if it has anything new."""
    assert own.expected is not None
    size = len(segment.data) + segment.missing
    if segment.flags & (FIN | RST) and own.end is None:
        own.end = (segment.sequence + size) % _MODULUS
    if not size:
        return
    ahead = _distance(own.expected, segment.sequence)
    if ahead + size <= 0:
        state.connection.retransmitted += len(segment.data)
        return
    state.connection.reordered += ahead > 0
    if ahead < 0:
        segment = _behind(segment, own.expected)
    known = own.waiting.get(segment.sequence)
    if known is None or len(known.data) < len(segment.data):
        own.held += len(segment.data) - (len(known.data) if known else 0)
        own.waiting[segment.sequence] = segment
        segment = known or segment._replace(data=b"")
    state.connection.retransmitted += len(segment.data)


def _behind(segment: Segment, start: int) -> Segment:
    """What a segment holds from the sequence number ``start`` on, which lies in it."""
    known = _distance(segment.sequence, start)
    missing = segment.missing - max(0, known - len(segment.data))
    return segment._replace(sequence=start, data=segment.data[known:], missing=missing)


def _overlapping(own: _Direction) -> Segment | None:
    """A waiting segment that began before what is expected, and goes beyond it."""
    assert own.expected is not None
    for start in [at for at in own.waiting if _distance(own.expected, at) < 0]:
        segment = own.waiting.pop(start)
        if _distance(own.expected, start) + len(segment.data) + segment.missing > 0:
            return segment
        own.held -= len(segment.data)
    return None


def _distance(start: int, end: int) -> int:
    """How far ``end`` lies ahead of ``start``; sequence numbers begin anew after the highest."""
    return (end - start + _MODULUS // 2) % _MODULUS - _MODULUS // 2
