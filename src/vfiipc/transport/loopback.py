"""``Loopback``: ``IPC`` inside one process, without sockets, and as bad a connection as wanted.

Each direction is a channel with a finite capacity. A ``Delivery`` says how the bytes of a channel
arrive: in which pieces, cut off, damaged or late.
"""

from __future__ import annotations

import errno
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Final

from .addresses import check_text
from .byte_stream import ByteStream, Listening
from .deadline import Deadline
from .ipc import IPC
from .lifetime import Lifetime
from .system import READ, WRITE
from .waiters import Waiters

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["CAPACITY", "Delivery", "Loopback", "loopback_pair"]

#: Bytes that a channel holds if nothing else is said.
CAPACITY: Final = 65536


@dataclass(frozen=True)
class Delivery:
    """How the bytes of one direction arrive.

    Args:
        pieces: the most bytes that each receive gives, one number after another; after the last,
            or for None, as many as are there. A single number holds for all.
        cut_after: the stream ends, as if the peer had closed, after so many bytes; None: never.
        damage: offsets in the stream, and the bits that are turned over there (1..255).
        delay: seconds from sending to arrival, 0 or more.

    Raises:
        ValueError: a value is out of its range.
    """

    pieces: int | Iterable[int] | None = None
    cut_after: int | None = None
    damage: Mapping[int, int] = field(default_factory=dict)
    delay: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.pieces, int) and self.pieces < 1:
            raise ValueError(f"pieces is {self.pieces}, but must be 1 or more")
        if self.cut_after is not None and self.cut_after < 0:
            raise ValueError(f"cut_after is {self.cut_after}, but must be 0 or more")
        if not self.delay >= 0:
            raise ValueError(f"delay is {self.delay}, but must be 0 seconds or more")
        for offset, bits in self.damage.items():
            if offset < 0 or not 1 <= bits <= 0xFF:
                raise ValueError(f"damage {{{offset}: {bits}}} must be {{0 or more: 1..255}}")

    def sizes(self) -> Iterator[int]:
        """The most bytes of each receive, in turn."""
        if self.pieces is None:
            return iter(())
        return repeat(self.pieces) if isinstance(self.pieces, int) else iter(self.pieces)


@dataclass(eq=False)
class _Part:
    """What one ``send`` has put into a channel."""

    data: bytes
    arrival: float
    next: _Part | None = None


class _Changes(Waiters):
    """Sleepers that can tell whether they were woken, whatever for."""

    count = 0

    def wake(self) -> None:
        self.count += 1
        super().wake()


class _Channel:
    """One direction: a bounded queue of bytes, which has one writer and one reader at a time.

    There is no lock that a signal handler, a finalizer or a fork could meet taken. The writer
    appends to a chain of parts, and the reader moves along it; each changes nothing but its own
    attributes. Each change is a line of plain assignments without a call or a jump. The
    interpreter runs signal handlers, switches threads and thus forks only between such lines, so
    nobody ever sees half of a change.
    """

    def __init__(self, capacity: int, delivery: Delivery) -> None:
        self.changed = _Changes()
        #: The reader's, to be called in the writer's thread when something was put.
        self.on_ready: Callable[[], object] | None = None
        self.closed = False  # by the writer: the end follows the last byte
        self.abandoned = False  # by the reader: writing fails
        self._capacity = capacity
        self._delivery = delivery
        first = _Part(b"", 0.0)
        # The writer's: the end of the chain, and how many bytes were put into it.
        self._last = first
        self._put = 0
        # The reader's: the part it is at, how far it is there, and how many bytes it has taken.
        self._position = (first, 0, 0)
        self._given = b""  # taken, and not yet returned to who receives
        self._sizes = delivery.sizes()
        self._piece: int | None = None  # bytes left of the piece being given, 0 for no end of it

    def put(self, buffers: Sequence[Buffer]) -> int:
        if self.abandoned:
            raise BrokenPipeError(errno.EPIPE, "the other end of the loopback has closed")
        taken = bytes(memoryview(buffers[0])[: self._room()])
        start, cut = self._put, self._delivery.cut_after
        data = taken if cut is None else taken[: cut - start]
        if self._delivery.damage:
            data = self._damaged(data, start)
        ends = cut is not None and start + len(taken) >= cut and bool(taken)
        if data:
            part = _Part(data, time.monotonic() + self._delivery.delay)
            end = start + len(data)
            # Should an exception keep the writer from telling, sleepers look by themselves.
            self._put = end
            self._last.next = part
            self._last = part
        if ends:
            self.closed = True  # after the last part was put: see ``get``
        self.tell()
        return len(taken)

    def tell(self) -> None:
        """Tells the reader that something has changed."""
        self.changed.wake()
        on_ready = self.on_ready
        if on_ready is not None:
            on_ready()

    def _room(self) -> int:
        return self._capacity - (self._put - self._position[2])

    def _damaged(self, data: bytes, start: int) -> bytes:
        damaged = bytearray(data)
        for offset, bits in self._delivery.damage.items():
            if 0 <= offset - start < len(data):
                damaged[offset - start] ^= bits
        return bytes(damaged)

    def get(self, limit: int, remove: bool) -> bytes | None:
        if not self._given:
            closed = self.closed  # before the look, which then shows all that came before the end
            data, position, piece = self._look(limit)
            if not data:
                return b"" if closed and position[0].next is None else None
            if not remove:
                return data
            self._position, self._given, self._piece = position, data, piece
            self.changed.wake()
        data, rest = self._given[:limit], self._given[limit:]
        if remove:
            # No call from here on: what it raised would take with it what is returned.
            self._given = rest
        return data

    def _look(self, limit: int) -> tuple[bytes, tuple[_Part, int, int], int | None]:
        """What has arrived, at most the piece that is due; and position and piece after it."""
        if self._piece is None:
            self._piece = max(0, next(self._sizes, 0))
        piece = self._piece
        limit = min(limit, piece or limit)
        part, offset, taken = self._position
        now, found = time.monotonic(), []
        while limit > 0:
            if offset == len(part.data):
                if part.next is None or part.next.arrival > now:
                    break
                part, offset = part.next, 0
            found.append(part.data[offset : offset + limit])
            count = len(found[-1])
            offset, taken, limit = offset + count, taken + count, limit - count
        data = b"".join(found)
        return data, (part, offset, taken), piece - len(data) or None if piece else None

    def arrival(self) -> float | None:
        """When there is something to receive (``time.monotonic``); None while that is unknown."""
        closed = self.closed
        part, offset, _ = self._position
        if self._given or offset < len(part.data):
            return part.arrival
        if part.next is not None:
            return part.next.arrival
        return 0.0 if closed else None

    def is_ready(self, event: int) -> bool:
        if event == WRITE:
            return self.abandoned or self._room() > 0
        arrival = self.arrival()
        return arrival is not None and arrival <= time.monotonic()


class _MemoryStream(ByteStream):
    """One end: it reads one channel and writes the other.

    One that is lost before anybody owns it, to an exception say, closes like a socket: nothing
    refers to it but who has it.
    """

    def __init__(self, incoming: _Channel, outgoing: _Channel, name: str) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        super().__init__(Lifetime())
        self.local = self.remote = name

    def __del__(self) -> None:
        if hasattr(self, "_outgoing") and not self._incoming.abandoned:
            self.close()

    def belong_to(self, lifetime: Lifetime) -> None:
        self.lifetime = lifetime
        lifetime.waiters += (self._incoming.changed, self._outgoing.changed)

    @property
    def on_ready(self) -> Callable[[], object] | None:
        return self._incoming.on_ready

    @on_ready.setter
    def on_ready(self, told: Callable[[], object] | None) -> None:
        self._incoming.on_ready = told

    def receive(self, limit: int) -> bytes | None:
        return self._incoming.get(limit, remove=True)

    def peek(self, limit: int) -> bytes | None:
        return self._incoming.get(limit, remove=False)

    def send(self, buffers: Sequence[Buffer]) -> int:
        return self._outgoing.put(buffers)

    def wait(self, event: int, timeout: float | None) -> None:
        channel = self._incoming if event == READ else self._outgoing
        changed = channel.changed
        seen = changed.count
        arrival = channel.arrival() if event == READ else None
        if arrival is not None:
            due = max(0.0, arrival - time.monotonic())
            timeout = due if timeout is None else min(timeout, due)

        def over() -> bool:
            return changed.count != seen or self.lifetime.ended or channel.is_ready(event)

        changed.wait(over, timeout)

    def has_pending(self) -> bool:
        return self._incoming.is_ready(READ)

    def recheck_at(self) -> float | None:
        return self._incoming.arrival()

    def close(self) -> None:
        self._incoming.abandoned = True
        self._outgoing.closed = True
        self._incoming.changed.wake()
        self._outgoing.tell()


# Who listens under a name. Entered with ``setdefault``, so that of several one gets it, and removed
# by nobody but who is entered.
_names: dict[str, _Listener] = {}


class _Listener(Listening):
    """Connections that wait to be accepted under a name."""

    def __init__(self, name: str, lifetime: Lifetime) -> None:
        self.local = name
        self.lifetime = lifetime
        self._waiting: deque[_MemoryStream] = deque()
        self._changed = Waiters()
        lifetime.waiters.append(self._changed)

    def fileno(self) -> int:
        return -1

    def has_pending(self) -> bool:
        return bool(self._waiting)

    def add(self, stream: _MemoryStream) -> None:
        """Has a connection wait; it ends if the listener has, or does before it is accepted."""
        self._waiting.append(stream)
        if self.lifetime.ended:  # asked last: either this sees the end, or ``close`` the stream
            self._end_waiting()
            return
        self._changed.wake()
        on_ready = self.on_ready
        if on_ready is not None:
            on_ready()

    def take(self, deadline: Deadline) -> _MemoryStream | None:
        """The next connection; None when the time is up or the listener has ended."""
        try:
            while self.lifetime.enter(sys._getframe()):
                try:
                    return self._waiting.popleft()
                except IndexError:
                    left = deadline.remaining()
                if left == 0.0:
                    break
                self._changed.wait(lambda: self._waiting or self.lifetime.ended, left)
            return None
        finally:
            self.lifetime.leave(sys._getframe())
            on_read = self.on_read
            if on_read is not None:
                on_read()

    def close(self) -> None:
        if _names.get(self.local) is self:
            del _names[self.local]
        self._end_waiting()

    def _end_waiting(self) -> None:
        while self._waiting:
            with suppress(IndexError):  # another thread may be faster
                self._waiting.popleft().close()


class Loopback(IPC):
    """``IPC`` inside one process; see ``loopback_pair`` for two that are connected already.

    ``local_addr()`` and ``remote_addr()`` are the name, or empty; there is no descriptor.

    Args:
        capacity: bytes that each direction of a connection holds; a full one blocks the writer.
            The side that connects decides.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__()
        self._capacity = _checked(capacity)

    def listen(self, name: str) -> bool:
        """Listens under a name that is free in this process; what the object had is closed.

        Returns:
            False when the name is taken (``last_error`` tells).
        """
        check_text("name", name)
        messages = self._renew()
        listener = _Listener(name, messages.lifetime)
        # Owned first, so that ``close`` gives the name back whatever interrupts this call.
        if not messages.lifetime.own(listener.close):
            return False
        if _names.setdefault(name, listener) is not listener:
            messages.note(OSError(errno.EADDRINUSE, f"the name {name!r} is taken"))
            return False
        return self._listen_on(messages, listener)

    def connect(
        self,
        name: str,
        *,
        outgoing: Delivery | None = None,
        incoming: Delivery | None = None,
    ) -> bool:
        """Connects to who listens under this name; what the object had is closed.

        Args:
            name: as given to ``listen``.
            outgoing: how the bytes arrive that this object writes.
            incoming: how the bytes arrive that the other end writes.

        Returns:
            False when nobody listens (``last_error`` tells).
        """
        check_text("name", name)
        messages = self._renew()
        listener = _names.get(name)
        if listener is None or listener.lifetime.ended:
            messages.note(ConnectionRefusedError(errno.ECONNREFUSED, f"no {name!r} listens"))
            return False
        near, far = _streams(self._capacity, outgoing, incoming, name)
        listener.add(far)
        near.belong_to(messages.lifetime)
        return self._open(messages, near)

    def accept(self, timeout_msec: float = -1) -> Loopback | None:
        """The next connection of a listening object; None in time, after ``close`` or an error."""
        deadline = Deadline(timeout_msec)
        messages, listener = self._messages, self._listener
        if not isinstance(listener, _Listener):
            messages.note(OSError(errno.EINVAL, "accept needs an object that listens"))
            return None
        stream = listener.take(deadline)
        if stream is None:
            return None
        peer = Loopback(self._capacity)
        peer.strict = self.strict
        peer._hold(stream, "accepted")
        return peer

    def _hold(self, stream: _MemoryStream, how: str) -> None:
        stream.belong_to(self._messages.lifetime)
        self._open(self._messages, stream, how)


def loopback_pair(
    capacity: int = CAPACITY,
    *,
    first_to_second: Delivery | None = None,
    second_to_first: Delivery | None = None,
) -> tuple[Loopback, Loopback]:
    """Two connected objects in one process, without sockets.

    Args:
        capacity: bytes that each direction holds, 1 or more; a full one blocks the writer.
        first_to_second: how the bytes arrive that the first writes.
        second_to_first: the same the other way.

    Raises:
        TypeError, ValueError: ``capacity`` is not an integer, or less than 1.
    """
    first, second = Loopback(capacity), Loopback(capacity)
    near, far = _streams(capacity, first_to_second, second_to_first, "")
    first._hold(near, "connected")
    second._hold(far, "connected")
    return first, second


def _checked(capacity: int) -> int:
    if not isinstance(capacity, int):
        raise TypeError(f"capacity must be an int, not {type(capacity).__name__}")
    if capacity < 1:
        raise ValueError(f"capacity is {capacity}, but must be 1 or more")
    return capacity


def _streams(
    capacity: int, outgoing: Delivery | None, incoming: Delivery | None, name: str
) -> tuple[_MemoryStream, _MemoryStream]:
    there = _Channel(capacity, outgoing or Delivery())
    back = _Channel(capacity, incoming or Delivery())
    return _MemoryStream(back, there, name), _MemoryStream(there, back, name)
