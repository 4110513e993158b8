"""``Loopback``: ``IPC`` inside one process, without sockets, over a connection as bad as wanted.

Each direction is a channel with a finite capacity. A ``Delivery`` says how its bytes arrive.
"""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import repeat
from typing import Final

from ..codec import Buffer, check_integer
from ..faults import Delivery
from .addresses import check_text
from .byte_stream import ByteStream, Listening
from .ipc import IPC
from .lifetime import Lifetime
from .system import READ, WRITE
from .waiters import Waiters

__all__ = ["CAPACITY", "Delivery", "Loopback", "loopback_pair"]

#: Bytes that a channel holds by default.
CAPACITY: Final = 65536


class _Sent:
    """What one ``send`` put into a channel."""

    __slots__ = ("arrival", "data", "next")

    def __init__(self, data: bytes, arrival: float) -> None:
        self.data = data
        self.arrival = arrival
        self.next: _Sent | None = None


#: The part a reader is at, its offset there, and the number of bytes taken so far.
_Position = tuple[_Sent, int, int]


class _Changes(Waiters):
    """Waiters that also count the changes, so that a sleeper can tell whether there was one."""

    count = 0

    def wake(self) -> None:
        self.count += 1
        super().wake()


class _Channel:
    """One direction: a bounded queue of bytes with one writer and one reader at a time.

    There is no lock, which a signal handler, a finalizer or a fork could find taken. The writer
    appends to a chain of parts, the reader moves along it, and each changes its own attributes
    only. Each change is one line of plain assignments, without a call or a jump. The interpreter
    runs signal handlers and switches threads only between such lines: half a change is never seen.
    """

    def __init__(self, capacity: int, delivery: Delivery) -> None:
        self.changed = _Changes()
        self.on_ready: Callable[[], object] | None = None  # the reader's, called by the writer
        self.closed = False  # by the writer: the end follows the last byte
        self.abandoned = False  # by the reader: writing fails
        self._capacity, self._delivery = capacity, delivery
        first = _Sent(delivery.garbage, 0.0)
        # The writer's: the end of the chain, and the number of bytes put into it.
        self._last, self._put = first, 0
        # The reader's.
        self._position: _Position = (first, 0, -len(delivery.garbage))
        self._given = b""  # taken, but not yet returned by ``get``
        self._sizes = delivery.sizes()
        self._piece: int | None = None  # bytes left of the current piece, 0 for no limit
        self._due = 0.0  # when the current piece may be taken

    def put(self, buffers: Sequence[Buffer]) -> int:
        if self.abandoned:
            raise BrokenPipeError(errno.EPIPE, "the other end of the loopback has closed")
        taken = bytes(memoryview(buffers[0])[: self._room()])
        data, cut = self._delivery.arriving(self._put, taken)
        if data:
            part = _Sent(data, time.monotonic() + self._delivery.delay)
            end = self._put + len(data)
            # If an exception keeps the writer from waking the sleepers, they look by themselves.
            self._put = end
            self._last.next = part
            self._last = part
        if cut:
            self.closed = True  # after the last part was put: see ``get``
        self.tell()
        return len(taken)

    def tell(self) -> None:
        """Tells the reader that something has changed."""
        self.changed.wake()
        if (on_ready := self.on_ready) is not None:
            on_ready()

    def _room(self) -> int:
        return max(0, self._capacity - (self._put - self._position[2]))

    def get(self, limit: int, remove: bool) -> bytes | None:
        if not self._given:
            closed = self.closed  # before the look, which then shows all that came before the end
            data, position, piece, due = self._look(limit)
            if not data:
                part, offset, _ = position
                drained = offset == len(part.data) and part.next is None
                return self._end() if closed and drained else None
            if not remove:
                return data
            self._position, self._given, self._piece, self._due = position, data, piece, due
            self.changed.wake()
        data, rest = self._given[:limit], self._given[limit:]
        if remove:
            # No call from here on: an exception from it would lose what is returned.
            self._given = rest
        return data

    def _end(self) -> bytes | None:
        if self._delivery.ending == "reset":
            raise ConnectionResetError(errno.ECONNRESET, "the other end of the loopback has reset")
        return b"" if self._delivery.ending == "close" else None

    def _look(self, limit: int) -> tuple[bytes, _Position, int | None, float]:
        """What has arrived, at most the current piece; then position, piece and when it is due."""
        if self._piece is None:
            self._piece = max(0, next(self._sizes, 0))
        piece = self._piece
        now, found = time.monotonic(), []
        limit = min(limit, piece or limit) if self._due <= now else 0
        part, offset, taken = self._position
        while limit > 0:
            if offset == len(part.data):
                if part.next is None or part.next.arrival > now:
                    break
                part, offset = part.next, 0
            found.append(part.data[offset : offset + limit])
            count = len(found[-1])
            offset, taken, limit = offset + count, taken + count, limit - count
        data = b"".join(found)
        left = piece - len(data) or None if piece else None
        return data, (part, offset, taken), left, self._due if left else now + self._delivery.pause

    def arrival(self) -> float | None:
        """When there is something to receive (``time.monotonic``); None while that is unknown."""
        closed = self.closed
        part, offset, _ = self._position
        if self._given:
            return 0.0
        following = part if offset < len(part.data) else part.next
        if following is not None:
            return max(following.arrival, self._due)
        return 0.0 if closed and self._delivery.ending != "silence" else None

    def is_ready(self, event: int) -> bool:
        if event == WRITE:
            return self.abandoned or self._room() > 0
        arrival = self.arrival()
        return arrival is not None and arrival <= time.monotonic()


class _MemoryStream(ByteStream):
    """One end: it reads one channel and writes the other.

    If it is lost before a ``Loopback`` owns it, because of an exception for example, it closes as a
    socket would: only its holder refers to it.
    """

    def __init__(self, incoming: _Channel, outgoing: _Channel, name: str) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        super().__init__(Lifetime())
        self.local = self.remote = name

    def __del__(self) -> None:
        if hasattr(self, "_outgoing") and not self._incoming.abandoned:
            self.close()

    def belonging_to(self, lifetime: Lifetime) -> _MemoryStream:
        self.lifetime = lifetime
        lifetime.waiters += (self._incoming.changed, self._outgoing.changed)
        return self

    @property
    def on_ready(self) -> Callable[[], object] | None:
        return self._incoming.on_ready

    @on_ready.setter
    def on_ready(self, told: Callable[[], object] | None) -> None:
        self._incoming.on_ready = told

    def receiving(self, limits: Iterable[int]) -> Iterator[bytes | None]:
        return map(self._incoming.get, limits, repeat(True))

    def peek(self, limit: int) -> bytes | None:
        return self._incoming.get(limit, False)

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
        changed.wait(
            lambda: changed.count != seen or self.lifetime.ended or channel.is_ready(event), timeout
        )

    def has_pending(self) -> bool:
        return self._incoming.is_ready(READ)

    def recheck_at(self) -> float | None:
        return self._incoming.arrival()

    def close(self) -> None:
        self._incoming.abandoned = True
        self._outgoing.closed = True
        self._incoming.changed.wake()
        self._outgoing.tell()


# The listeners by name. They are added with ``setdefault``, so that one of several gets the name,
# and removed by themselves only.
_names: dict[str, _LoopbackListener] = {}


class _LoopbackListener(Listening):
    """Holds the connections that wait to be accepted under a name."""

    def __init__(self, name: str, lifetime: Lifetime) -> None:
        self.local = name
        self.lifetime = lifetime
        self._waiting: deque[_MemoryStream] = deque()
        self._changed = Waiters()
        lifetime.waiters.append(self._changed)

    def has_pending(self) -> bool:
        return bool(self._waiting)

    def add(self, stream: _MemoryStream) -> None:
        """Queues a connection, which is closed if the listener closes before accepting it."""
        self._waiting.append(stream)
        if self.lifetime.ended:  # checked last: this sees the end, or ``close`` sees the stream
            self._end_waiting()
            return
        self._changed.wake()
        self.tell_ready()

    def _accept_now(self) -> tuple[_MemoryStream] | None:
        try:
            return (self._waiting.popleft(),)
        except IndexError:
            return None

    def _wait(self, timeout: float | None) -> None:
        self._changed.wait(lambda: self._waiting or self.lifetime.ended, timeout)

    def close(self) -> None:
        if _names.get(self.local) is self:
            del _names[self.local]
        self._end_waiting()

    def _end_waiting(self) -> None:
        while self._waiting:
            with suppress(IndexError):  # another thread may have taken it
                self._waiting.popleft().close()


class Loopback(IPC):
    """``IPC`` inside one process; ``loopback_pair`` gives two that are connected already.

    ``local_addr()`` and ``remote_addr()`` are the name, or empty. There is no descriptor.

    Args:
        capacity: bytes that each direction holds; the side that connects decides.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__()
        self._capacity = check_integer("capacity", capacity, 1)

    def listen(self, name: str) -> bool:
        """Listens under a name; closes what the object had.

        Returns:
            False if the name is taken in this process; ``last_error`` says so.
        """
        check_text("name", name)

        def bind(lifetime: Lifetime) -> _LoopbackListener:
            listener = _LoopbackListener(name, lifetime)
            # Owned first, so that ``close`` releases the name whatever interrupts this call.
            if lifetime.own(listener.close) and _names.setdefault(name, listener) is not listener:
                raise OSError(errno.EADDRINUSE, f"the name {name!r} is taken")
            return listener

        return self._listen_by(bind)

    def connect(
        self, name: str, *, outgoing: Delivery | None = None, incoming: Delivery | None = None
    ) -> bool:
        """Connects to the listener of this name; closes what the object had.

        Args:
            name: as given to ``listen``.
            outgoing: how bytes written by this object arrive.
            incoming: how bytes written by the other end arrive.

        Returns:
            False if nothing listens under the name; ``last_error`` says so.
        """
        check_text("name", name)

        def reach(lifetime: Lifetime) -> _MemoryStream:
            listener = _names.get(name)
            if listener is None or listener.lifetime.ended:
                raise ConnectionRefusedError(errno.ECONNREFUSED, f"nothing listens at {name!r}")
            near, far = _streams(self._capacity, outgoing, incoming, name)
            listener.add(far)
            return near.belonging_to(lifetime)

        return self._connect_by(reach)

    def accept(self, timeout_msec: float = -1) -> Loopback | None:
        """See ``IPC.accept``."""
        make_peer = partial(Loopback, self._capacity)
        return self._accept_by(timeout_msec, make_peer, _MemoryStream.belonging_to)


def loopback_pair(
    capacity: int = CAPACITY,
    *,
    first_to_second: Delivery | None = None,
    second_to_first: Delivery | None = None,
) -> tuple[Loopback, Loopback]:
    """Two connected objects in one process, without sockets.

    Args:
        capacity: bytes that each direction holds, 1 or more; a full one blocks the writer.
        first_to_second: how bytes written by the first arrive.
        second_to_first: how bytes written by the second arrive.

    Raises:
        TypeError, ValueError: ``capacity`` is not an integer, or less than 1.
    """
    first, second = Loopback(capacity), Loopback(capacity)
    streams = _streams(capacity, first_to_second, second_to_first, "")
    for ipc, stream in zip((first, second), streams):
        ipc._open(ipc._messages, stream.belonging_to(ipc._messages.lifetime))
    return first, second


def _streams(
    capacity: int, outgoing: Delivery | None, incoming: Delivery | None, name: str
) -> tuple[_MemoryStream, _MemoryStream]:
    there, back = (_Channel(capacity, how or Delivery()) for how in (outgoing, incoming))
    return _MemoryStream(back, there, name), _MemoryStream(there, back, name)
