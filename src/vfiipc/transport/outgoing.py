"""What is on its way out: buffers, and where one message ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from ..codec import encode, encode_batches, encode_header

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["LARGE", "Buffers", "Outgoing", "batches", "flat", "message_buffers"]

Buffers = list["bytes | memoryview"]

# From this size on, header and data go out as two buffers of one call instead of being joined.
LARGE: Final = 32768
# What one batch of small messages is brought to.
_BATCH_SIZE: Final = 65536


def flat(data: Buffer) -> bytes | memoryview:
    """Any bytes-like object as bytes, without a copy where it has no gaps."""
    if type(data) is bytes:
        return data
    try:
        view = memoryview(data)
    except TypeError:
        kind = type(data).__name__
        raise TypeError(f"data must be bytes-like, not {kind}") from None
    if not view.c_contiguous or not view.nbytes:
        return view.tobytes()
    return view.cast("B")


def message_buffers(prefix: int, msg_id: int, data: Buffer) -> list[bytes | memoryview]:
    """One message, ready for sending; errors as ``encode`` has them."""
    if type(data) is not bytes:
        data = flat(data)
    if len(data) < LARGE:
        return [encode(prefix, msg_id, data)]
    return [encode_header(prefix, msg_id, len(data)), data]


class Outgoing:
    """Buffers of one or more whole messages, of which more and more has been sent.

    Args:
        buffers: what to send; bytes, or flat views of bytes.
        messages: the messages in them, each whole; None when they are one, or raw data.
    """

    __slots__ = ("_done", "_messages", "_total", "buffers", "uncertain")

    def __init__(self, buffers: Buffers, messages: Buffers | None = None) -> None:
        self.buffers = buffers
        self._messages = messages
        self._total = sum(map(len, buffers))
        self._done = 0
        #: Set before a call that sends; then nobody knows how much went out, until ``sent``.
        self.uncertain = True

    def sent(self, count: int) -> bool:
        """Moves on by ``count`` bytes; True when nothing is left."""
        self._done += count
        self.uncertain = False
        if self._done == self._total:
            return True
        while count:
            first = self.buffers[0]
            if count < len(first):
                self.buffers[0] = memoryview(first)[count:]
                break
            count -= len(first)
            self.buffers = self.buffers[1:]
        return False

    @property
    def inside(self) -> bool:
        """Whether a message is, or may be, half sent, so that the stream cannot go on."""
        return self.uncertain or self._done not in {0, self._total, *accumulate(map(len, self._messages or ()))}

    @property
    def progress(self) -> str:
        return f"{self._done} of {self._total} bytes were written"


def batches(
    prefix: int, messages: Iterable[tuple[int, Buffer]]
) -> Iterator[tuple[Buffers, Buffers | None]]:
    """What to send next, and the whole messages in it, or None for one; errors after those before.

    Small messages are joined, so that one buffer holds many of them.
    """
    for pieces, single in encode_batches(prefix, messages, _BATCH_SIZE, LARGE):
        yield (pieces, None) if single else ([b"".join(pieces)], pieces)
