"""Reassembles TCP segments into streams: both directions of each connection, ordered by time.

Segments may be duplicated, out of order, or overlap. A capture may begin or end in the middle of a
stream. Bytes that the capture lacks are reported as a gap.

Sequence numbers wrap around to 0. They are unwrapped to positions, which only increase. The work is
O(n log n) in the number of waiting segments, and O(n) otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from .packets import ACK, FIN, RST, SYN, Segment

__all__ = ["Chunk", "Reassembly", "RecordedConnection"]

_MODULUS = 1 << 32
#: Maximum number of bytes after a gap to hold back, in case the gap closes.
_MAX_HELD = 16 << 20
#: Bytes that a waiting segment counts besides its data, so that tiny segments are limited, too.
_OVERHEAD = 512
#: Segments to hold back if the capture begins within a stream, in case an earlier one follows.
_UNSETTLED = 3
#: Maximum distance from a SYN to the first captured bytes of the same connection.
_NEAR = 1 << 16


@dataclass(eq=False)
class RecordedConnection:
    """One TCP connection: the side that connected, and the side that listened.

    If the capture lacks the SYN, the first sender counts as the side that connected.
    """

    number: int  #: from 1, in order of appearance
    client: str  #: ``address:port`` of the side that connected
    server: str  #: the same for the side that listened
    retransmitted: int = 0  #: number of retransmitted bytes
    reordered: int = 0  #: number of segments that arrived out of order

    def sender(self, from_client: bool) -> str:
        """The address of the client, or of the server."""
        return self.client if from_client else self.server


@dataclass(slots=True)
class Chunk:
    """The next bytes of one direction, a gap in it, or its end."""

    connection: RecordedConnection
    from_client: bool  #: whether the side that connected sent them
    time: float  #: when the bytes could be read, in seconds since 1970
    data: bytes = b""
    gap: int = 0  #: number of bytes missing from the capture
    end: bool = False  #: whether this direction has ended


class _Waiting(NamedTuple):
    """A segment that waits for earlier ones. The fields are in the sort order of the heap."""

    start: int
    stop: int
    data: bytes
    time: float


@dataclass(slots=True)
class _RecordedDirection:
    """The state of one direction."""

    connection: RecordedConnection
    from_client: bool
    begun: bool = False  # the beginning is known, by a SYN or a yielded chunk
    first: int | None = None  # the sequence number after the SYN
    position: int | None = None  # of the next byte to yield; any position until ``begun``
    floor: int | None = None  # the first acknowledged position, if seen before any segment
    acknowledged: int | None = None  # not updated any more once ``begun``
    unsettled: int = _UNSETTLED  # number of segments still to hold back
    waiting: list[_Waiting] = field(default_factory=list)  # a heap
    held: int = 0  # size of ``waiting`` in bytes, including overhead
    end: int | None = None  # the position at which the stream ends
    end_time: float = 0.0  # when the end was captured
    ended: bool = False
    time: float = 0.0

    def begin(self, sequence: int) -> None:
        """Handles a SYN: the stream begins at ``sequence``."""
        self.first = sequence
        if not self.begun:
            self.position, self.begun = sequence, True

    def acknowledge(self, sequence: int) -> None:
        """Handles an acknowledgement: the other side has everything before ``sequence``."""
        if self.position is None:
            self.position = self.floor = sequence
        self.acknowledged = self.unwrapped(sequence)
        if self.waiting and self.waiting[0].start <= self.acknowledged:
            self.unsettled = 0

    def unwrapped(self, sequence: int) -> int:
        """The position with this sequence number that is closest to ``position``."""
        assert self.position is not None
        ahead = (sequence - self.position + _MODULUS // 2) % _MODULUS - _MODULUS // 2
        return self.position + ahead

    def note(self, time: float, sequence: int, segment: Segment) -> None:
        """Adds a segment to ``waiting``, unless it is empty."""
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
            return  # a keepalive repeats the last acknowledged byte
        elif self.waiting:
            self.connection.reordered += start < self.waiting[0].start
        self.unsettled = 0 if start == self.acknowledged else self.unsettled - 1
        heappush(self.waiting, _Waiting(start, stop, segment.data, time))
        self.held += len(segment.data) + _OVERHEAD

    def ready(self, *, skip: bool = False) -> Iterator[Chunk]:
        """Yields chunks up to the next gap; with ``skip``, also gaps and the chunks after them."""
        skip = skip or self.held > _MAX_HELD
        if self.waiting and not self.begun and (skip or self.unsettled <= 0):
            self.begun = True
            self.position = start = self.waiting[0].start
            if self.floor is not None and self.floor < start:
                self.position = self.floor
                yield self._skip(start - self.floor)
        while self.waiting and self.begun:
            assert self.position is not None
            gap = self.waiting[0].start - self.position
            if gap > 0:
                if not skip:
                    break
                yield self._skip(gap)
            yield from self._take(heappop(self.waiting))
        if self.begun and self.position == self.end and not self.ended:
            yield self.finish()

    def _skip(self, gap: int) -> Chunk:
        """Skips a gap."""
        assert self.position is not None
        self.position += gap
        self.time = max(self.time, self.waiting[0].time)
        return self._chunk(gap=gap)

    def _take(self, segment: _Waiting) -> Iterator[Chunk]:
        """Yields the part of a segment that is new, and the part that was not captured as a gap."""
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
        """Ends this direction."""
        self.ended = True
        self.time = max(self.time, self.end_time)
        return self._chunk(end=True)

    def _chunk(self, data: bytes = b"", gap: int = 0, end: bool = False) -> Chunk:
        return Chunk(self.connection, self.from_client, self.time, data, gap, end)


class _Sides(NamedTuple):
    """Both directions of a connection, from the point of view of one side."""

    own: _RecordedDirection
    other: _RecordedDirection

    def reversed(self) -> _Sides:
        return _Sides(self.other, self.own)


class Reassembly:
    """Takes segments in the order of the capture, and yields the bytes of the streams.

    Holds segments that are out of order, at most about 16 MiB per direction. Not thread safe.
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
        if segment.data and other.waiting:  # keeps both directions in the order of the capture
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
    """Whether a SYN begins another connection between the same addresses."""
    if segment.flags & (SYN | ACK) != SYN:
        return False
    own = state.own
    sequence = (segment.sequence + 1) % _MODULUS
    if own.first is not None:
        again = own.first == sequence
    elif own.begun or own.position is None:
        again = False
    else:  # segments after the SYN may have been captured before it
        first = own.waiting[0].start if own.waiting else own.position
        again = 0 <= first - own.unwrapped(sequence) <= (_NEAR if own.waiting else 0)
    return not again or (own.ended and state.other.ended)
