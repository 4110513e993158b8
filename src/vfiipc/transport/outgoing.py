"""What is on its way out: buffers, and where one message ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from ..codec import encode, encode_header, encode_many

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Batch", "Buffers", "Outgoing", "batches", "flat", "message_buffers"]

Buffers = list["bytes | memoryview"]
Batch = Sequence[tuple[int, bytes]]

# From this size on, header and data go out as two buffers of one call instead of being joined.
_LARGE: Final = 32768
_HEADER_SIZE: Final = len(encode_header(0, 0, 0))
# Bounds of one batch: bytes, and messages.
_BATCH_SIZE: Final = 65536
_BATCH_COUNT: Final = 1024


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
    data = flat(data)
    if len(data) < _LARGE:
        return [encode(prefix, msg_id, data)]
    return [encode_header(prefix, msg_id, len(data)), data]


class Outgoing:
    """Buffers of one or more whole messages, of which more and more has been sent.

    Args:
        buffers: what to send; bytes, or flat views of bytes.
        messages: the messages in them; None when they are one message, or raw data.
    """

    __slots__ = ("_done", "_messages", "_total", "buffers")

    def __init__(self, buffers: Buffers, messages: Batch | None = None) -> None:
        self.buffers = buffers
        self._messages = messages
        self._total = sum(map(len, buffers))
        self._done = 0

    def sent(self, count: int) -> bool:
        """Moves on by ``count`` bytes; True when nothing is left."""
        self._done += count
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
        """Whether a message is half sent, so that the stream cannot go on."""
        sizes = [_HEADER_SIZE + len(data) for _, data in self._messages or ()]
        return self._done not in {0, self._total, *accumulate(sizes)}

    @property
    def progress(self) -> str:
        return f"{self._done} of {self._total} bytes were written"


def batches(
    prefix: int, messages: Iterable[tuple[int, Buffer]]
) -> Iterator[tuple[Buffers, Batch | None]]:
    """Gathers messages into bounded batches; what is wrong is raised after those before it."""
    batch: list[tuple[int, bytes]] = []
    gathered = 0
    try:
        for msg_id, data in messages:
            if type(data) is not bytes:
                data = flat(data)
            if len(data) >= _LARGE:
                if batch:
                    joined, batch, gathered = _joined(prefix, batch), [], 0
                    yield joined
                yield message_buffers(prefix, msg_id, data), None
                continue
            # A copy of what can change, for the caller may fill the same buffer again.
            batch.append((msg_id, bytes(data)))
            gathered += len(data)
            if gathered >= _BATCH_SIZE or len(batch) >= _BATCH_COUNT:
                joined, batch, gathered = _joined(prefix, batch), [], 0
                yield joined
        if batch:
            joined, batch = _joined(prefix, batch), []
            yield joined
    except GeneratorExit:
        raise
    except BaseException:
        for msg_id, data in batch:
            yield message_buffers(prefix, msg_id, data), None
        raise


def _joined(prefix: int, batch: Batch) -> tuple[Buffers, Batch]:
    return [encode_many(prefix, batch)], batch
