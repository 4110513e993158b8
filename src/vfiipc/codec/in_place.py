"""The fast path of the framer: whole messages at the front of a block of bytes."""

from __future__ import annotations

from .layout import HEADER_SIZE, MIN_SIZE, unpack_header
from .message import Message, make_message

__all__ = ["take_in_place"]


def take_in_place(
    block: bytes, at: int, prefix: int, max_size: int
) -> tuple[list[Message], bytes, int]:
    """The messages that follow each other from ``at`` on; then the block, and where they end.

    It stops at the first that is not whole, or not valid. A block that is used up becomes empty,
    because it can be large.
    """
    # Local variables, because global ones cost time inside the loop.
    header_size, min_size, message = HEADER_SIZE, MIN_SIZE, Message
    taken: list[Message] = []
    append, unpack, make = taken.append, unpack_header, make_message
    end = len(block)
    last = end - HEADER_SIZE
    while at <= last:
        found, size, msg_id = unpack(block, at)
        start = at + header_size
        stop = start + size - min_size
        if found != prefix or size > max_size or size < min_size or stop > end:
            break
        append(make(message, (msg_id, block[start:stop])))
        at = stop
    return (taken, b"", 0) if at == end else (taken, block, at)
