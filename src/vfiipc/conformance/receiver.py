"""The reference receiver for expectations: short, and close to the text of the rules.

It processes a whole stream at once. That is enough, because the messages do not depend on how the
stream was split (FRM-C1), and a message is delivered as soon as its last byte arrives (FRM-R6).
"""

from __future__ import annotations

from typing import NamedTuple

from ..codec import HEADER_SIZE, MSG_ID, MSG_ID_SIZE, PREFIX, PREFIX_AND_SIZE, SIZE, Message

__all__ = ["Delivered", "Reception", "receive"]


class Delivered(NamedTuple):
    """A message, and the offset after its last byte."""

    message: Message
    end: int


class Reception(NamedTuple):
    """The result of receiving a stream.

    Attributes:
        deliveries: the messages, in order.
        fault: in strict mode, the offset at which synchronisation was lost; ``None`` if it was not.
        held: the offset of the first byte that is held at the end.
    """

    deliveries: list[Delivered]
    fault: int | None
    held: int

    @property
    def messages(self) -> list[Message]:
        return [delivery.message for delivery in self.deliveries]


def receive(stream: bytes, prefix: int, limit: int, *, strict: bool = False) -> Reception:
    """Applies the receiver algorithm to ``stream``."""
    mark = PREFIX.packer.pack(prefix)
    deliveries: list[Delivered] = []
    at = 0
    while True:
        start = at if strict else _find(stream, mark, at)
        if strict and not mark.startswith(stream[start : start + len(mark)]):  # FRM-F1
            return Reception(deliveries, start, start)
        if start + PREFIX_AND_SIZE > len(stream):  # FRM-R3, FRM-R4
            return Reception(deliveries, None, start)
        (size,) = SIZE.packer.unpack_from(stream, start + SIZE.offset)
        if not MSG_ID_SIZE <= size <= MSG_ID_SIZE + limit:
            if strict:  # FRM-F2
                return Reception(deliveries, start, start)
            at = start + 1  # FRM-R5
            continue
        at = start + PREFIX_AND_SIZE + size
        if at > len(stream):  # FRM-R6
            return Reception(deliveries, None, start)
        (msg_id,) = MSG_ID.packer.unpack_from(stream, start + MSG_ID.offset)
        deliveries.append(Delivered(Message(msg_id, stream[start + HEADER_SIZE : at]), at))


def _find(stream: bytes, mark: bytes, at: int) -> int:
    """The offset of the next prefix, or of a tail that may become one (FRM-R2, FRM-R3)."""
    found = stream.find(mark, at)
    if found >= 0:
        return found
    tails = (len(stream) - n for n in range(len(mark) - 1, 0, -1))
    ends = (start for start in tails if start >= at and mark.startswith(stream[start:]))
    return next(ends, len(stream))
