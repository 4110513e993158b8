"""``Loopback``: ``IPC`` inside one process, without sockets, and as bad a connection as wanted.

Each direction is a channel with a finite capacity. A ``Delivery`` says how the bytes of a channel
arrive: in which pieces, cut off, damaged or late.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Final

from .addresses import check_text
from .callbacks import Source
from .connection import Connection
from .deadline import Deadline
from .ipc import IPC
from .lifetime import Lifetime
from .stream import ByteStream
from .system import READ

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


class _Channel:
    """One direction: a bounded queue of bytes, each with the time at which it arrives."""

    def __init__(self, capacity: int, delivery: Delivery) -> None:
        self.changed = threading.Condition(threading.Lock())
        self._capacity = capacity
        self._delivery = delivery
        self._sizes = delivery.sizes()
        self._piece: int | None = None  # what is left of the piece that is being given
        self._parts: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._sent = 0
        self.closed = False  # by the writer: the end follows the last byte
        self.abandoned = False  # by the reader: writing fails
        self.reader: Source | None = None

    def put(self, buffers: Sequence[Buffer]) -> int:
        with self.changed:
            if self.abandoned:
                raise BrokenPipeError(errno.EPIPE, "the other end of the loopback has closed")
            count = 0
            for buffer in buffers:
                room = self._capacity - self._held
                with memoryview(buffer) as view:
                    data = bytes(view[:room])
                if data:
                    count += len(data)
                    self._accept(data)
                if len(data) < memoryview(buffer).nbytes:
                    break
            self.changed.notify_all()
        self.tell()
        return count

    def _accept(self, data: bytes) -> None:
        start, self._sent = self._sent, self._sent + len(data)
        limit = self._delivery.cut_after
        if limit is not None and self._sent >= limit:
            data = data[: max(0, limit - start)]
            self.closed = True
        hit = [offset for offset in self._delivery.damage if 0 <= offset - start < len(data)]
        if hit:
            damaged = bytearray(data)
            for offset in hit:
                damaged[offset - start] ^= self._delivery.damage[offset]
            data = bytes(damaged)
        if data:
            self._parts.append((time.monotonic() + self._delivery.delay, data))
            self._held += len(data)

    def get(self, limit: int, remove: bool) -> bytes | None:
        with self.changed:
            if not self._parts:
                return b"" if self.closed else None
            if self._parts[0][0] > time.monotonic():
                return None
            if self._piece is None:
                self._piece = next(self._sizes, 0)
            limit = min(limit, self._piece or limit)
            data = self._front(limit)
            if remove:
                self._remove(len(data))
                if self._piece:
                    self._piece = self._piece - len(data) or None
                else:
                    self._piece = None
                self.changed.notify_all()
            return data

    def _front(self, limit: int) -> bytes:
        now, parts = time.monotonic(), []
        for arrival, part in self._parts:
            if arrival > now or limit <= 0:
                break
            parts.append(part[:limit])
            limit -= len(parts[-1])
        return b"".join(parts)

    def _remove(self, count: int) -> None:
        self._held -= count
        while count:
            arrival, part = self._parts.popleft()
            if count < len(part):
                self._parts.appendleft((arrival, part[count:]))
                return
            count -= len(part)

    def readable_in(self) -> float | None:
        """Seconds until a receive finds something; None when that is not known."""
        if self._parts:
            return max(0.0, self._parts[0][0] - time.monotonic())
        return 0.0 if self.closed else None

    def writable(self) -> bool:
        return self.abandoned or self._held < self._capacity

    def tell(self) -> None:
        """Tells a registered reader that something may have become readable."""
        reader = self.reader
        if reader is None or reader.on_ready is None:
            return
        with self.changed:
            due = self.readable_in()
        if due is None:
            return
        if due:
            timer = threading.Timer(due, self.tell)
            timer.daemon = True
            timer.start()
        else:
            reader.on_ready()


class _MemoryStream(ByteStream):
    """One end: it reads one channel and writes the other."""

    def __init__(self, incoming: _Channel, outgoing: _Channel, name: str = "") -> None:
        self.incoming, self.outgoing = incoming, outgoing
        self.local = self.remote = name
        self.lifetime = Lifetime(self._release, self._wake)

    def receive(self, limit: int) -> bytes | None:
        return self.incoming.get(limit, remove=True)

    def peek(self, limit: int) -> bytes | None:
        return self.incoming.get(limit, remove=False)

    def send(self, buffers: Sequence[Buffer]) -> int:
        return self.outgoing.put(buffers)

    def wait(self, event: int, timeout: float | None) -> None:
        channel = self.incoming if event == READ else self.outgoing
        with channel.changed:
            if self.lifetime.ended():
                return
            if event == READ:
                due = channel.readable_in()
                if due != 0.0:
                    waits = [seconds for seconds in (timeout, due) if seconds is not None]
                    channel.changed.wait(min(waits, default=None))
            elif not channel.writable():
                channel.changed.wait(timeout)

    def _wake(self) -> None:
        for channel in (self.incoming, self.outgoing):
            with channel.changed:
                channel.changed.notify_all()

    def _release(self) -> None:
        with self.outgoing.changed:
            self.outgoing.closed = True
            self.outgoing.changed.notify_all()
        with self.incoming.changed:
            self.incoming.abandoned = True
            self.incoming.changed.notify_all()
        self.outgoing.tell()


class _Listener(Source):
    """Connections that wait to be accepted under a name."""

    def __init__(self, name: str) -> None:
        self.local = name
        self.waiting: deque[_MemoryStream] = deque()
        self.changed = threading.Condition(threading.Lock())
        self.lifetime = Lifetime(self._release, self._wake)

    def fileno(self) -> int:
        return -1

    def watched_fileno(self) -> int:
        return -1

    def worth_a_call(self) -> bool:
        return bool(self.waiting)

    def add(self, stream: _MemoryStream) -> bool:
        with self.changed:
            if self.lifetime.ended():
                return False
            self.waiting.append(stream)
            self.changed.notify_all()
        if self.on_ready is not None:
            self.on_ready()
        return True

    def take(self, deadline: Deadline) -> _MemoryStream | None:
        with self.changed:
            self.changed.wait_for(
                lambda: self.waiting or self.lifetime.ended(), deadline.remaining()
            )
            stream = self.waiting.popleft() if self.waiting else None
        if self.on_change is not None:
            self.on_change(True)
        return stream

    def _wake(self) -> None:
        with self.changed:
            left, self.waiting = list(self.waiting), deque()
            self.changed.notify_all()
        for stream in left:
            stream.lifetime.end()

    def _release(self) -> None:
        with _names_lock:
            if _names.get(self.local) is self:
                del _names[self.local]


_names: dict[str, _Listener] = {}
_names_lock = threading.Lock()


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
        listener = _Listener(name)
        waiting = Connection(None)
        self._replace(waiting)
        with _names_lock:
            taken = name in _names
            if not taken:
                _names[name] = listener
        if taken:
            waiting.note(OSError(errno.EADDRINUSE, f"the name {name!r} is taken"))
            return False
        self._replace(waiting, listener=listener)
        return True

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
            outgoing: how arrives what this object writes.
            incoming: how arrives what the other end writes.

        Returns:
            False when nobody listens (``last_error`` tells).
        """
        check_text("name", name)
        waiting = Connection(None)
        self._replace(waiting)
        with _names_lock:
            listener = _names.get(name)
        near, far = _streams(self._capacity, outgoing, incoming, name)
        if listener is None or not listener.add(far):
            waiting.note(ConnectionRefusedError(errno.ECONNREFUSED, f"no {name!r} listens"))
            return False
        self._replace(_connection(near), how="connected")
        return True

    def accept(self, timeout_msec: float = -1) -> Loopback | None:
        """The next connection of a listening object; None in time, after ``close`` or an error."""
        deadline = Deadline(timeout_msec)
        connection, listener = self._connection, self._listener
        if not isinstance(listener, _Listener):
            connection.note(OSError(errno.EINVAL, "accept needs an object that listens"))
            return None
        stream = listener.take(deadline)
        if stream is None:
            return None
        peer = Loopback(self._capacity)
        peer.strict = self.strict
        peer._replace(_connection(stream))
        return peer


def loopback_pair(
    capacity: int = CAPACITY,
    *,
    first_to_second: Delivery | None = None,
    second_to_first: Delivery | None = None,
) -> tuple[Loopback, Loopback]:
    """Two connected objects in one process, without sockets.

    Args:
        capacity: bytes that each direction holds, 1 or more; a full one blocks the writer.
        first_to_second: how arrives at the second what the first writes.
        second_to_first: the same the other way.

    Raises:
        TypeError, ValueError: ``capacity`` is no integer, or less than 1.
    """
    first, second = Loopback(capacity), Loopback(capacity)
    near, far = _streams(capacity, first_to_second, second_to_first, "")
    first._replace(_connection(near), how="connected")
    second._replace(_connection(far), how="connected")
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


def _connection(stream: _MemoryStream) -> Connection:
    connection = Connection(stream)
    stream.incoming.reader = connection
    return connection
