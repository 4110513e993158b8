"""The receiver: a pure state machine that turns chunks of bytes into messages.

Callers feed bytes, and take the next message, all messages, or raw bytes. The framer examines each
byte once, whatever the stream and its chunks, and needs little more memory than what it buffers.

Messages are parsed in place, in the block of bytes that arrived. Only the tail that is not yet a
whole message is joined with what comes next. A large message in progress leaves the block, and is
gathered in pieces or a buffer. Data that is fed faster than it is taken waits in a backlog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .arguments import as_bytes, check_integer, check_prefix, check_size_limit
from .backlog import PORTION, Backlog
from .buffer import Buffer
from .errors import SyncLostError
from .in_place import take_in_place
from .large import LargeMessage
from .layout import HEADER_SIZE, MIN_SIZE, MSG_ID_SIZE, PREFIX, PREFIX_AND_SIZE, SIZE, unpack_header
from .message import Message, make_message
from .search import header_pattern, next_candidate, prefix_tail

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["Framer"]

#: Messages above this size are gathered separately; tails up to it are joined with new bytes.
_LARGE = 4096


class Framer:
    """Turns the bytes of one direction of a connection into messages.

    Args:
        prefix: the synchronisation mark to expect, 0..2**32-1.
        size_limit: maximum data size of a message, in bytes, 0..2**31-5.
        strict: raise ``SyncLostError`` instead of searching for the next header. May be changed.

    Raises:
        TypeError: an argument is not an integer.
        ValueError: an argument is out of its range.

    A caller feeds ``receive_data`` and takes messages with ``drain`` (the fast way) or one by one
    with ``next_message``. Not thread safe: one caller at a time. Rules: ``spec/framing.md``, 4.
    """

    __slots__ = (
        "_at",
        "_backlog",
        "_block",
        "_fault",
        "_large",
        "_mark",
        "_max_size",
        "_prefix",
        "_strict",
        "_wanted",
        "discarded",
        "on_discard",
        "received",
    )

    def __init__(self, prefix: int, size_limit: int, *, strict: bool = False) -> None:
        self._block = b""  # what is parsed in place, from _at on
        self._at = 0
        self._backlog: Backlog | None = None  # what waits behind the block
        self._large: LargeMessage | None = None  # a message in progress, in front of the block
        #: Bytes that were fed so far; read only.
        self.received = 0
        #: Bytes discarded so far while looking for a header; read only.
        self.discarded = 0
        self._wanted = 0  # bytes that complete the next step; 0 if unknown
        self._fault: tuple[int, bytes, str] | None = None  # what to raise from now on
        self._strict = bool(strict)
        #: Called before bytes are discarded: with their position, the bytes found there (at most
        #: eight), and their number. One loss of synchronisation may take several calls.
        self.on_discard: Callable[[int, bytes, int], object] | None = None
        self._prefix = check_prefix(prefix)
        self._mark = PREFIX.packer.pack(self._prefix)
        self._max_size = check_size_limit(size_limit) + MSG_ID_SIZE  # for the size field

    def __repr__(self) -> str:
        return (
            f"<Framer prefix={self._prefix:#010x} size_limit={self.size_limit}"
            f" pending={self.pending} discarded={self.discarded}>"
        )

    @property
    def prefix(self) -> int:
        """The prefix to expect, 0..2**32-1. A change also applies to buffered bytes."""
        return self._prefix

    @prefix.setter
    def prefix(self, prefix: int) -> None:
        prefix = check_prefix(prefix)  # FRM-E6: the previous value stays if this raises
        if prefix != self._prefix:
            self._prefix = prefix
            self._mark = PREFIX.packer.pack(prefix)
            self._revalidate()

    @property
    def size_limit(self) -> int:
        """Maximum data size in bytes, 0..2**31-5. A change also applies to buffered bytes."""
        return self._max_size - MSG_ID_SIZE

    @size_limit.setter
    def size_limit(self, size_limit: int) -> None:
        max_size = check_size_limit(size_limit) + MSG_ID_SIZE  # FRM-E6
        if max_size != self._max_size:
            self._max_size = max_size
            self._revalidate()

    @property
    def strict(self) -> bool:
        """Whether garbage and bad sizes are a fault. A change does not end a fault (FRM-F6)."""
        return self._strict

    @strict.setter
    def strict(self, strict: bool) -> None:
        if bool(strict) is not self._strict:
            # FRM-E4: a message in progress has the prefix and a good size, which suit both modes.
            self._strict = bool(strict)
            self._wanted = 0

    @property
    def pending(self) -> int:
        """Bytes held; more than 0 at the end of a stream means that it was cut short (FRM-E1)."""
        # Each attribute is read once: another thread may be receiving.
        large, backlog = self._large, self._backlog
        held = len(self._block) - self._at + (len(large) if large is not None else 0)
        return held + (len(backlog) if backlog is not None else 0)

    def receive_data(self, data: Buffer) -> None:
        """Feeds the next bytes of the stream.

        Args:
            data: any bytes-like object, of any length; it is copied unless it is ``bytes``.

        Raises:
            TypeError: ``data`` is not bytes-like.
            SyncLostError: the framer is strict and has lost synchronisation before.
        """
        if self._fault is not None:  # FRM-F6: nothing is held any more
            raise SyncLostError(*self._fault)
        if type(data) is not bytes:
            data = as_bytes("data", data)
        if not data:
            return
        # FRM-R1: the bytes are only stored, and not examined yet.
        position, block, at = self.received, self._block, self._at
        received, rest = position + len(data), len(block) - at
        large = self._large
        if large is not None and position < large.stop:
            behind = large.extend(data, position)
            if behind:
                block, at = data, len(data) - behind
        elif self._backlog is not None:
            self._backlog.append(data, position)
        elif not rest:
            block, at = data, 0
        elif rest <= _LARGE and len(data) <= PORTION:
            block, at = block[at:] + data, 0
        else:
            self._backlog = Backlog(position)
            self._backlog.append(data, position)
        # No call between these lines: an exception from a signal handler comes before all of them,
        # and then the same data may be fed again, or after all of them.
        self.received = received
        self._block = block
        self._at = at
        self._wanted = 0

    def next_message(self) -> Message | None:
        """The next message, or None if more data is needed; then ``bytes_wanted`` is exact.

        Raises:
            SyncLostError: the framer is strict and has lost synchronisation, now or before.
        """
        block, at = self._block, self._at
        # The common case, a whole message at the front, without a call of _receive, which would
        # return the same: so tests cannot notice a mutant that comes here less often.
        if self._large is None and len(block) - at >= HEADER_SIZE and self._fault is None:
            found, size, msg_id = unpack_header(block, at)
            stop = at + PREFIX_AND_SIZE + size
            if found == self._prefix and MIN_SIZE <= size <= self._max_size and stop <= len(block):
                message = make_message(Message, (msg_id, block[at + HEADER_SIZE : stop]))
                # Like _give_out. No call follows, so no exception can lose the message.
                if stop < len(block):
                    self._at = stop
                else:
                    self._block, self._at = b"", 0
                return message
        # Nothing is held: common if each message comes in its own chunk.
        elif not block and self._backlog is None and self._large is None and self._fault is None:
            return None
        return self._receive()

    def drain(self, into: list[Message] | None = None) -> list[Message]:
        """All complete messages, in order: the fast way to take them.

        Args:
            into: a list to append them to; a new one by default.

        Returns:
            The list.

        Raises:
            SyncLostError: the framer is strict and has lost synchronisation. Messages before the
                fault are returned first, and the next call raises (FRM-F5).
        """
        messages = [] if into is None else into
        before = len(messages)
        try:
            while True:
                if self._large is None and self._fault is None:
                    taken, block, at = take_in_place(
                        self._block, self._at, self._prefix, self._max_size
                    )
                    # No call between these lines: an exception neither loses nor repeats a message.
                    messages += taken
                    self._block = block
                    self._at = at
                    if not block and self._backlog is None:
                        return messages
                message = self._receive()
                if message is None:
                    return messages
                messages.append(message)
        except SyncLostError:
            if len(messages) > before:  # FRM-F5: the next call reports the fault
                return messages
            raise

    def _receive(self) -> Message | None:
        """The receiver algorithm of ``spec/framing.md``, step by step, for every case."""
        if self._fault is not None:
            raise SyncLostError(*self._fault)
        large = self._large
        if large is not None:
            self._extend_large(large)
            self._wanted = large.missing
            if large.missing:
                return None
            message = large.message()
            self._large = None
            return message
        while True:
            # FRM-R2: find the prefix, and discard what lies before it.
            block, at = self._block, self._at
            start = block.find(self._mark, at)
            if start < 0:
                # FRM-R3: there is none. Keep the longest tail that may begin one.
                tail = block[max(at, len(block) - len(self._mark) + 1) :]
                start = len(block) - prefix_tail(self._mark, tail)
            if start > at:
                self._discard_to(start)
            # FRM-R4: prefix and size are enough to decide.
            if len(block) - start < PREFIX_AND_SIZE:
                if self._refill():
                    continue
                self._wait_for(HEADER_SIZE)
                return None
            # FRM-R5: judge the size. If it is below the minimum or above the limit, discard one
            # byte, and in the same pass all that the next steps would discard.
            (size,) = SIZE.packer.unpack_from(block, start + SIZE.offset)
            if MIN_SIZE <= size <= self._max_size:
                return self._complete(PREFIX_AND_SIZE + size)
            pattern = header_pattern(self._prefix, self._max_size)
            self._discard_to(next_candidate(pattern, block, start + 1))

    def _complete(self, size: int) -> Message | None:
        """FRM-R6 and FRM-R7: the message of ``size`` bytes, with its header, when it is whole."""
        while self._at + size > len(self._block):
            if size > _LARGE and len(self._block) - self._at >= HEADER_SIZE:
                self._start_large(size - HEADER_SIZE)
                return self._receive()
            if not self._refill():
                self._wait_for(size)
                return None
        block, at = self._block, self._at
        _, _, msg_id = unpack_header(block, at)
        message = make_message(Message, (msg_id, block[at + HEADER_SIZE : at + size]))
        self._give_out(at + size)
        return message

    def _give_out(self, stop: int) -> None:
        """Advances to ``stop``; releases a block that is used up, because it can be large."""
        if stop < len(self._block):
            self._at = stop
        else:
            self._block, self._at = b"", 0

    def _wait_for(self, size: int) -> None:
        """Records that the next step needs ``size`` bytes from the front on."""
        self._block, self._at = self._block[self._at :], 0  # releases messages already returned
        self._wanted = size - len(self._block)

    def _refill(self) -> bool:
        """Joins the rest of the block with bytes from the backlog; False if there are none."""
        self._drop_empty_backlog()
        backlog = self._backlog
        if backlog is None:
            return False
        more = backlog.front(PORTION)
        block, start = self._block[self._at :] + more, backlog.start + len(more)
        self._block = block
        self._at = 0
        backlog.start = start
        self._drop_empty_backlog()
        return True

    def _drop_empty_backlog(self) -> None:
        if self._backlog is not None and self._backlog.start == self._backlog.end:
            self._backlog = None

    def _discard_to(self, start: int) -> None:
        """Discards what lies before ``start``; in strict mode, that is a fault (FRM-F1, FRM-F2)."""
        if self._strict:
            found = self.peek(PREFIX_AND_SIZE)  # FRM-F4: never more than prefix and size
            position = self.received - self.pending  # FRM-F3
            expected = f"prefix {self._mark.hex(' ')} and a size of {MIN_SIZE}..{self._max_size}"
            self._fault = (position, found, expected)
            raise SyncLostError(*self._fault)
        if self.on_discard is not None:
            found = self.peek(PREFIX_AND_SIZE)
            self.on_discard(self.received - self.pending, found, start - self._at)
        self.discarded += start - self._at
        self._at = start

    def _start_large(self, data_size: int) -> None:
        block, start = self._block, self._at + HEADER_SIZE
        position = self.received - self.pending + HEADER_SIZE
        large = LargeMessage(block[self._at : start], data_size, position)
        large.extend(memoryview(block)[start:], position)
        self._large, self._block, self._at = large, b"", 0

    def _extend_large(self, large: LargeMessage) -> None:
        """Moves what belongs to the message from the backlog, unless the block is in between."""
        backlog = self._backlog
        while backlog is not None and not self._block:
            # An interrupted call may have moved bytes without moving the start.
            backlog.start = max(backlog.start, large.end)
            self._drop_empty_backlog()
            if self._backlog is None or not large.missing:
                return
            large.extend(backlog.front(large.missing), large.end)

    def _return_large(self) -> None:
        if self._large is not None:
            everything = self._large.peek(len(self._large))
            self._block, self._at = everything + self._block[self._at :], 0
            self._large = None

    def _revalidate(self) -> None:
        """FRM-E4: after a change, judges a message in progress again if it no longer fits."""
        self._wanted = 0
        if self._large is not None and not self._large.fits(self._prefix, self._max_size):
            self._return_large()

    def bytes_wanted(self) -> int:
        """How many bytes complete the next step, so that a transport does not read too much.

        Exact after ``next_message`` returned None, or ``drain`` returned, and if nothing is held:
        the rest of the header while the size is unknown (FRM-E8), then the rest of the message
        (FRM-E9). Otherwise 1: take messages first (FRM-E10).
        """
        return self._wanted or (1 if self.pending or self._fault is not None else HEADER_SIZE)

    def peek(self, n: int) -> bytes:
        """The first ``n`` bytes of the buffer (0 or more), or all if fewer; they stay there."""
        n = check_integer("n", n, 0)
        large = self._large.peek(n) if self._large is not None else b""
        backlog = self._backlog.peek(n) if self._backlog is not None else b""
        return (large + self._block[self._at : self._at + n] + backlog)[:n]

    def take(self, n: int) -> bytes:
        """Removes up to ``n`` raw bytes (0 or more), for stream reads between messages.

        If some bytes of a message are taken, the rest is treated as a new stream.
        """
        n = check_integer("n", n, 0)
        if not n:
            return b""
        self._wanted = 0
        self._return_large()  # FRM-E7: the next message begins with the first byte left
        stop = self._at + n
        parts = [self._block[self._at : stop]]
        self._give_out(stop)
        n -= len(parts[0])
        while n and self._backlog is not None:
            part = self._backlog.front(n)
            parts.append(part)
            n -= len(part)
            self._backlog.start += len(part)
            self._drop_empty_backlog()
        return b"".join(parts)
