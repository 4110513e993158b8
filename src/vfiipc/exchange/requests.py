"""Requests: allocates their IDs, and matches answers to them."""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

from ..codec import encode_header

__all__ = ["REQUEST_IDS", "Requests", "Waiting"]

REQUEST_IDS: Final = range(1, 2**31)


class Waitable(Protocol):
    """The object that a call waits on, for example an ``asyncio.Future``."""

    def done(self) -> bool:
        """Whether it has a result or no longer waits; if so, it must not get a message."""


Waiting = TypeVar("Waiting", bound=Waitable)

_BLOCK: Final = 1024


class Requests(Generic[Waiting]):
    """The requests of one connection that wait for their answers. Not thread safe.

    Rules: ``spec/connections.md``, section 3.

    Args:
        ids: the IDs to use, ascending; after the last one it starts over.

    Raises:
        TypeError: ``ids`` is not a ``range``.
        ValueError: it is empty, descending, or contains a number that is not a message ID.
    """

    __slots__ = (
        "_count",
        "_given_up",
        "_ids",
        "_next",
        "given_up_blocks",
        "late_answers",
        "pending",
    )

    def __init__(self, ids: range = REQUEST_IDS) -> None:
        self._ids = _checked(ids)
        self._count = len(self._ids)
        self._next = 0
        #: The waiters for answers, by the ID of their request.
        self.pending: dict[int, Waiting] = {}
        self._given_up = _IDs(self._ids)
        #: The IDs given up, in blocks of bits. Empty unless late answers may come: a quick check.
        self.given_up_blocks = self._given_up.blocks
        #: Answers to requests that were given up, which arrived late and were dropped.
        self.late_answers = 0

    def __len__(self) -> int:
        return len(self.pending)

    def open(self, waiting: Waiting) -> int:
        """Allocates the ID of a new request (CON-R2); ``waiting`` gets its answer.

        Raises:
            BufferError: as many requests wait for answers as there are IDs.
        """
        pending = self.pending
        if len(pending) >= self._count:
            raise BufferError(f"all {self._count} request IDs are waiting for answers")
        given_up = self._given_up
        # IDs of requests that were given up are skipped, unless there are no others (CON-R3).
        avoid_given_up = given_up.blocks and len(pending) + given_up.count < self._count
        while True:
            place = given_up.next_absent(self._next) if avoid_given_up else self._next
            msg_id = self._ids[place]
            self._next = place + 1
            if self._next == self._count:
                self._next = 0
            if msg_id not in pending:
                if given_up.blocks:
                    given_up.discard(msg_id)
                pending[msg_id] = waiting
                return msg_id

    def was_given_up(self, msg_id: int) -> bool:
        """Whether a late answer with this ID may still come."""
        return msg_id in self._given_up

    def forget(self, msg_id: int) -> None:
        """Notes that the late answer has arrived."""
        self._given_up.discard(msg_id)

    def give_up(self, msg_id: int) -> None:
        """Gives a request up. Its answer may still arrive, once, and is then dropped."""
        if self.pending.pop(msg_id, None) is not None:
            self._given_up.add(msg_id)

    def withdraw(self, msg_id: int) -> None:
        """Forgets a request that was not sent, so that no answer can come."""
        self.pending.pop(msg_id, None)

    def waiting(self) -> list[Waiting]:
        """All waiters, the oldest first."""
        return list(self.pending.values())


class _IDs:
    """A subset of a range of IDs, one bit each: a peer that never answers costs little memory."""

    __slots__ = ("_ids", "blocks", "count")

    def __init__(self, ids: range) -> None:
        self._ids = ids
        #: The non-empty blocks of the range, each as the bits of an int.
        self.blocks: dict[int, int] = {}
        #: The number of IDs in the subset.
        self.count = 0

    def __contains__(self, msg_id: int) -> bool:
        if not self.blocks or msg_id not in self._ids:
            return False
        block, place = divmod(self._ids.index(msg_id), _BLOCK)
        return bool(self.blocks.get(block, 0) >> place & 1)

    def add(self, msg_id: int) -> None:
        """Adds an ID that is not in the subset."""
        block, place = divmod(self._ids.index(msg_id), _BLOCK)
        self.blocks[block] = self.blocks.get(block, 0) | 1 << place
        self.count += 1

    def next_absent(self, place: int) -> int:
        """The first place from this one on, wrapping around, whose ID is not in the subset.

        There must be one.
        """
        block, place = divmod(place, _BLOCK)
        last = (len(self._ids) - 1) // _BLOCK
        while True:
            # Adding 1 below a run of ones sets the bit behind the run.
            bits = self.blocks.get(block, 0) >> place
            found = block * _BLOCK + place + ((bits + 1) & ~bits).bit_length() - 1
            if found < min((block + 1) * _BLOCK, len(self._ids)):
                return found
            block, place = (block + 1 if block < last else 0), 0

    def discard(self, msg_id: int) -> None:
        """Removes the ID, if present."""
        if msg_id not in self:
            return
        block, place = divmod(self._ids.index(msg_id), _BLOCK)
        bits = self.blocks[block] ^ 1 << place
        self.count -= 1
        if bits:
            self.blocks[block] = bits
        else:
            del self.blocks[block]


def _checked(ids: range) -> range:
    if not isinstance(ids, range):
        raise TypeError(f"request_ids must be a range, not {type(ids).__name__}")
    if not ids or ids.step < 0:
        raise ValueError(f"request_ids is {ids}, but must be a range that is not empty and ascends")
    for msg_id in (ids[0], ids[-1]):
        try:
            encode_header(0, msg_id, 0)
        except ValueError as error:
            raise ValueError(f"request_ids is {ids}: {error}") from None
    return ids
