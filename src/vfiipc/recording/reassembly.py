"""Reassembles TCP segments into streams: both directions of each connection, ordered by time.

Segments may come twice, in another order, or overlap; a stream may begin or end in the middle. What
the capture lacks is reported as a gap.

Sequence numbers start again at 0 after the highest. Here they are unwrapped to positions, which
only grow, so that segments stay in order. Work: n log n in the segments that wait, n otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from .packets import ACK, FIN, RST, SYN, Segment

__all__ = ["Chunk", "Reassembly", "RecordedConnection"]

_MODULUS = 1 << 32
#: Bytes behind a gap that are held back, in case the gap closes.
_PATIENCE = 16 << 20
#: What a waiting segment costs besides its data, so that tiny segments are limited, too.
_OVERHEAD = 512
#: Segments that are held back where a stream begins in the middle, in case an earlier one follows.
_UNSETTLED = 3
#: How far before the first captured bytes a SYN may be that belongs to them.
_NEAR = 1 << 16


@dataclass(eq=False)
class RecordedConnection:
    """One TCP connection: the side that connected, and the side that listened.

    If the capture begins later, the first sender counts as the side that connected.
    """

    number: int  #: from 1, in the order of appearance
    client: str
    server: str
    retransmitted: int = 0  #: bytes that were retransmitted
    reordered: int = 0  #: segments that arrived out of order

    def sender(self, from_client: bool) -> str:
        """The address of one side."""
        return self.client if from_client else self.server


@dataclass(slots=True)
class Chunk:
    """The next bytes of one direction, or a gap in it, or its end."""

    connection: RecordedConnection
    from_client: bool
    time: float  #: seconds since 1970: when the bytes could be read
    data: bytes = b""
    gap: int = 0  #: bytes that are missing from the capture
    end: bool = False


class _Waiting(NamedTuple):
    """A segment that waits; the order of the fields is the order of the heap."""

    start: int
    stop: int
    data: bytes
    time: float


@dataclass(slots=True)
class _RecordedDirection:
    """The state of one direction."""

    connection: RecordedConnection
    from_client: bool
    begun: bool = False  # a SYN was seen, or something was given: nothing earlier can come
    first: int | None = None  # the sequence number behind the SYN
    position: int | None = None  # of the next byte to give; before that, any position
    floor: int | None = None  # what the other side had before anything was seen here
    acknowledged: int | None = None  # what the other side has; not kept up to date once begun
    unsettled: int = _UNSETTLED  # segments to hold back until the beginning is trusted
    waiting: list[_Waiting] = field(default_factory=list)  # a heap
    held: int = 0  # what ``waiting`` costs, in bytes
    end: int | None = None  # the position at which the stream ends
    end_time: float = 0.0  # when that was captured
    ended: bool = False
    time: float = 0.0

    def begin(self, sequence: int) -> None:
        """A SYN: the stream begins exactly here."""
        self.first = sequence
        if not self.begun:
            self.position, self.begun = sequence, True

    def acknowledge(self, sequence: int) -> None:
        """The other side has everything before, so nothing earlier is on its way."""
        if self.position is None:
            self.position = self.floor = sequence
        self.acknowledged = self.unwrapped(sequence)
        if self.waiting and self.waiting[0].start <= self.acknowledged:
            self.unsettled = 0

    def unwrapped(self, sequence: int) -> int:
        """The position nearest to the next byte that has this sequence number."""
        assert self.position is not None
        ahead = (sequence - self.position + _MODULUS // 2) % _MODULUS - _MODULUS // 2
        return self.position + ahead

    def note(self, time: float, sequence: int, segment: Segment) -> None:
        """Puts a segment among those that wait, if it has anything."""
        if self.position is None:
            self.position = sequence
        start = self.unwrapped(sequence)
        stop = start + len(segment.data) + segment.missing
        if segment.flags & (FIN | RST):
            self.unsettled = 0
            if self.end is None:
                self.end, self.end_time = stop, time
        if start == stop:
            return
        if self.begun:
            self.connection.reordered += start > self.position
        elif stop == self.acknowledged and stop - start == 1:
            return  # a keepalive: a byte that the other side has
        elif self.waiting:
            self.connection.reordered += start < self.waiting[0].start
        self.unsettled = 0 if start == self.acknowledged else self.unsettled - 1
        heappush(self.waiting, _Waiting(start, stop, segment.data, time))
        self.held += len(segment.data) + _OVERHEAD

    def ready(self, *, skip: bool = False) -> Iterator[Chunk]:
        """Yields what follows without a gap; with ``skip``, reports gaps and skips them."""
        skip = skip or self.held > _PATIENCE
        if self.waiting and not self.begun and (skip or self.unsettled <= 0):
            self.begun = True
            self.position = start = self.waiting[0].start
            if self.floor is not None and self.floor < start:
                self.position = self.floor
                yield self._pass(start - self.floor)
        while self.waiting and self.begun:
            assert self.position is not None
            gap = self.waiting[0].start - self.position
            if gap > 0:
                if not skip:
                    break
                yield self._pass(gap)
            yield from self._give(heappop(self.waiting))
        if self.begun and self.position == self.end and not self.ended:
            yield self.finish()

    def _pass(self, gap: int) -> Chunk:
        """Continues after a gap."""
        assert self.position is not None
        self.position += gap
        self.time = max(self.time, self.waiting[0].time)
        return self._chunk(gap=gap)

    def _give(self, segment: _Waiting) -> Iterator[Chunk]:
        """What a segment that began, or should have begun, here has beyond what is known."""
        assert self.position is not None
        self.held -= len(segment.data) + _OVERHEAD
        known = self.position - segment.start
        self.connection.retransmitted += min(known, len(segment.data))
        missing = segment.stop - max(self.position, segment.start + len(segment.data))
        if segment.stop <= self.position:
            return
        self.position = segment.stop
        self.time = max(self.time, segment.time)
        if data := segment.data[known:]:
            yield self._chunk(data=data)
        if missing:
            yield self._chunk(gap=missing)

    def finish(self) -> Chunk:
        """The end of this direction."""
        self.ended = True
        self.time = max(self.time, self.end_time)
        return self._chunk(end=True)

    def _chunk(self, data: bytes = b"", gap: int = 0, end: bool = False) -> Chunk:
        return Chunk(self.connection, self.from_client, self.time, data, gap, end)


class _Sides(NamedTuple):
    """Both directions of a connection, seen from one of its sides."""

    own: _RecordedDirection
    other: _RecordedDirection

    def reversed(self) -> _Sides:
        return _Sides(self.other, self.own)


class Reassembly:
    """Takes segments in the order of the capture, and yields the bytes of the streams.

    It holds what came too early, at most some 16 MiB for each direction. Not thread safe.
    """

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], _Sides] = {}  # by source and target
        self._count = 0
        self._time = 0.0

    def feed(self, time: float, segment: Segment) -> Iterable[Chunk]:
        """Yields the chunks that the next segment completes.

        Args:
            time: when it was captured, in seconds since 1970.
            segment: from ``dissect``.
        """
        self._time = time
        source, target, sequence, _, flags, data, missing = segment
        state = self._states.get((source, target))
        if state is None or flags & SYN:
            return self._beginning(state, time, segment)
        own, other = state
        if not own.begun or own.waiting or other.waiting or missing or flags & (FIN | RST):
            return _general(state, time, sequence, segment)
        # The common cases: an empty segment, or the next bytes.
        if not data:
            return ()
        assert own.position is not None
        if sequence != own.position % _MODULUS:
            return _general(state, time, sequence, segment)
        own.position += len(data)
        own.time = time
        return (Chunk(own.connection, own.from_client, time, data),)

    def finish(self) -> Iterator[Chunk]:
        """Yields the remaining chunks at the end of the capture."""
        for state in self._states.values():
            if state.own.from_client:
                yield from _finish(state, self._time)
        self._states.clear()

    def _beginning(self, state: _Sides | None, time: float, segment: Segment) -> Iterator[Chunk]:
        if state is not None and _is_another_connection(state, segment):
            yield from _finish(state, self._time)
            state = None
        if state is None:
            state = self._begin(segment)
        sequence = segment.sequence
        if segment.flags & SYN:
            sequence = (sequence + 1) % _MODULUS
            state.own.begin(sequence)
        yield from _general(state, time, sequence, segment)

    def _begin(self, segment: Segment) -> _Sides:
        self._count += 1
        client, server = segment.source, segment.target
        answers = segment.flags & (SYN | ACK) == SYN | ACK
        if answers:
            client, server = server, client
        connection = RecordedConnection(self._count, client, server)
        seen = _Sides(_RecordedDirection(connection, True), _RecordedDirection(connection, False))
        self._states[client, server] = seen
        self._states[server, client] = seen.reversed()
        return seen.reversed() if answers else seen


def _general(state: _Sides, time: float, sequence: int, segment: Segment) -> Iterator[Chunk]:
    own, other = state
    if not other.begun:
        if segment.flags & ACK:
            other.acknowledge(segment.acknowledged)
        if segment.data and other.waiting:  # keeps the directions in the order of the capture
            other.unsettled = 0
        yield from other.ready()
    own.note(time, sequence, segment)
    yield from own.ready()


def _finish(state: _Sides, time: float) -> Iterator[Chunk]:
    for direction in state:
        direction.time = time
        yield from direction.ready(skip=True)
        if not direction.ended:
            yield direction.finish()


def _is_another_connection(state: _Sides, segment: Segment) -> bool:
    """Whether the ports are used for another connection now."""
    if segment.flags & (SYN | ACK) != SYN:
        return False
    own = state.own
    sequence = (segment.sequence + 1) % _MODULUS
    if own.first is not None:
        again = own.first == sequence
    elif own.begun or own.position is None:
        again = False
    else:  # what follows it may have been captured first
        first = own.waiting[0].start if own.waiting else own.position
        again = 0 <= first - own.unwrapped(sequence) <= (_NEAR if own.waiting else 0)
    return not again or (own.ended and state.other.ended)
