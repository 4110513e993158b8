"""A large message in progress, whose data grow in a buffer of their own.

It must take bytes in pieces of any size in linear time, cost little more than they weigh, and hand
the data out without another copy. ``io.BytesIO`` gives its content without a copy when it is read
as a whole: 1.1 times the payload at the peak, where joining a list of parts takes 2.1 times.
"""

from __future__ import annotations

from io import BytesIO

from .layout import unpack_header
from .message import Message, make_message

__all__ = ["LargeMessage"]


class LargeMessage:
    """The bytes of one message, from its header on. Not thread safe.

    Args:
        header: the whole header, with a size that was accepted.
        data_size: the number of bytes of data that this size means.

    ``missing`` is the number of bytes that the message still lacks.
    """

    __slots__ = ("_data", "_header", "missing")

    def __init__(self, header: bytes, data_size: int) -> None:
        self._header = header
        self._data = BytesIO()
        self.missing = data_size

    def __len__(self) -> int:
        return len(self._header) + self._data.tell()

    def extend(self, data: bytes | memoryview) -> int:
        """Adds ``data`` as far as it belongs to the message; gives how many bytes do not."""
        left = self.missing - len(data)
        if left >= 0:
            self._data.write(data)
            self.missing = left
            return 0
        self._data.write(memoryview(data)[:left])
        self.missing = 0
        return -left

    def fits(self, prefix: int, max_size: int) -> bool:
        """Whether a receiver with these parameters accepts its header."""
        found, size, _ = unpack_header(self._header)
        return bool(found == prefix and size <= max_size)

    def message(self) -> Message:
        """The message, once nothing is missing; this ends the object's use."""
        _, _, msg_id = unpack_header(self._header)
        return make_message(Message, (msg_id, self._data.getvalue()))

    def peek(self, n: int) -> bytes:
        """The first ``n`` bytes and perhaps some more, or all if there are fewer."""
        with self._data.getbuffer() as data:
            return self._header + data[:n]
