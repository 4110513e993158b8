"""A message, and its encoding: one, many at once, or in batches for few system calls."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterable, Iterator
from typing import Final, NamedTuple

from .arguments import as_bytes, check_data_size, check_msg_id, check_prefix, flat_bytes
from .buffer import Buffer
from .layout import MAX_DATA_SIZE, MSG_ID_SIZE, pack_header

__all__ = [
    "EncodedBatch",
    "Message",
    "encode",
    "encode_batches",
    "encode_header",
    "encode_many",
    "make_message",
]

_SHOWN = 16

#: ``make_message(Message, (msg_id, data))`` saves the Python call of a NamedTuple's constructor.
make_message: Final = tuple.__new__


class Message(NamedTuple):
    """One message: its ID, which the application chooses, and its data.

    The repr shows at most the first 16 bytes of the data, because payloads can be card data.
    """

    msg_id: int
    data: bytes

    def __repr__(self) -> str:
        hidden = len(self.data) - _SHOWN
        more = f" and {hidden} bytes more" if hidden > 0 else ""
        return f"Message(msg_id={self.msg_id!r}, data={self.data[:_SHOWN]!r}{more})"


def encode_header(prefix: int, msg_id: int, data_size: int) -> bytes:
    """The header of a message, for senders that send header and data separately.

    Args:
        prefix: 0..2**32-1.
        msg_id: ``-2**31..2**31-1``.
        data_size: bytes of data that will follow, 0..2**31-5.

    Raises:
        TypeError: an argument is not an integer.
        ValueError: an argument is out of its range.

    Rules: ``spec/framing.md``, FRM-S1 to FRM-S3. Thread safe.
    """
    try:
        if 0 <= data_size <= MAX_DATA_SIZE:
            return pack_header(prefix, data_size + MSG_ID_SIZE, msg_id)
    except (struct.error, TypeError):
        pass
    return pack_header(
        check_prefix(prefix), check_data_size(data_size) + MSG_ID_SIZE, check_msg_id(msg_id)
    )


def encode(prefix: int, msg_id: int, data: Buffer) -> bytes:
    """One message as it goes over the wire: header and data.

    Args:
        prefix: 0..2**32-1.
        msg_id: ``-2**31..2**31-1``.
        data: any bytes-like object of at most 2**31-5 bytes; wider items count as their bytes.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of its range.

    Rules: ``spec/framing.md``, FRM-S1 to FRM-S3. Thread safe.
    """
    if type(data) is not bytes:
        data = as_bytes("data", data)
    # It packs first, and checks only if that fails: much faster than checks up front.
    try:
        if len(data) <= MAX_DATA_SIZE:
            return pack_header(prefix, len(data) + MSG_ID_SIZE, msg_id) + data
    except struct.error:
        pass
    return encode_header(prefix, msg_id, len(data)) + data  # raises, and says why


def encode_many(prefix: int, messages: Iterable[tuple[int, Buffer]]) -> bytes:
    """Many messages, one after another, as one ``bytes`` object.

    Args:
        prefix: 0..2**32-1, for all of them.
        messages: pairs of message ID and data; ``Message`` objects are such pairs.

    Raises:
        TypeError, ValueError: as ``encode`` does, for the first message that is wrong.

    Rules: ``spec/framing.md``, FRM-S1 to FRM-S3. Thread safe.
    """
    check_prefix(prefix)
    pieces: list[bytes] = []
    append, pack = pieces.append, pack_header
    for msg_id, data in messages:
        if type(data) is not bytes:
            data = as_bytes("data", data)
        # The packer itself, because a call of encode_header costs time.
        try:
            append(pack(prefix, len(data) + MSG_ID_SIZE, msg_id))
        except struct.error:
            append(encode_header(prefix, msg_id, len(data)))  # raises, and says why
        append(data)
    joined = b"".join(pieces)  # FRM-S4
    if len(joined) > MAX_DATA_SIZE:  # only then can one of them be too large
        for data in pieces[1::2]:
            check_data_size(len(data))
    return joined


class EncodedBatch(NamedTuple):
    """What to send next: ``pieces``, one after another.

    If ``single``, they are the header and the data of one large message; otherwise each piece is a
    whole message.
    """

    pieces: list[bytes | memoryview]
    single: bool


def encode_batches(
    prefix: int, messages: Iterable[tuple[int, Buffer]], batch_size: int, large_size: int
) -> Generator[EncodedBatch, None, None]:
    """Encodes messages as they come, for senders that want few system calls.

    Args:
        prefix: 0..2**32-1, for all of them.
        messages: pairs of message ID and data. They may have no end, or fill the same buffer again
            and again: data other than ``bytes`` are copied before the next pair is taken.
        batch_size: bytes; a batch ends with the message that brings it to this size.
        large_size: a message with this many bytes of data, 1..2**31-5, or more is a batch of its
            own, and its data are not copied.

    Yields:
        Batches of one message or more. ``messages`` is advanced only for the next batch.

    Raises:
        TypeError, ValueError: as ``encode`` does, for the first message that is wrong. This, and
            what ``messages`` raises, comes after a batch of those before.

    Rules: ``spec/framing.md``, FRM-S1 to FRM-S3. Not thread safe.
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
    """Fills ``pieces`` up to a batch, or to a large message, of which it returns both parts."""
    append, pack, id_size = pieces.append, pack_header, MSG_ID_SIZE
    left = batch_size
    for msg_id, data in source:
        if type(data) is not bytes:
            data = flat_bytes("data", data, large_size)
        size = len(data)
        if size >= large_size:
            return [encode_header(prefix, msg_id, size), data]
        try:
            piece = pack(prefix, size + id_size, msg_id) + data
        except struct.error:
            piece = encode_header(prefix, msg_id, size) + data  # raises, and says why
        append(piece)
        left -= len(piece)
        if left <= 0:
            break
    return None
