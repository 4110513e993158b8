"""Messages from a peer, for commands that wait for one at a time."""

from __future__ import annotations

import time
from collections import deque

from .. import IPC
from ..codec import Message
from ..recording import Decoded, Discarded
from .prefix_finder import Framing

__all__ = ["Incoming"]

_PIECE = 65536


class Incoming:
    """Reads messages from a connection; suggests a prefix if no message is recognised.

    Args:
        connection: nothing else may read from it.
        prefix: that of all messages.
        limit: maximum data size of a message, in bytes.
    """

    def __init__(self, connection: IPC, prefix: int, limit: int) -> None:
        self._connection = connection
        self._reader = Framing(prefix, limit).reader()
        self._messages: deque[Message] = deque()
        self.discarded = 0  #: bytes that did not belong to a message

    def next_message(self, timeout_msec: int) -> Message | None:
        """The next message; None after the time-out, at the end, or if the connection breaks.

        After None, do not call it again: the reader has finished.
        """
        end = time.monotonic() + timeout_msec / 1000
        while not self._messages:
            left = max(0, round((end - time.monotonic()) * 1000))
            data = self._connection.read(_PIECE, left, 0)
            items = self._reader.feed(data) if data else self._reader.finish()
            for item in items:
                if isinstance(item, Decoded):
                    self._messages.append(item.message)
                elif isinstance(item, Discarded):
                    self.discarded += item.count
            if not data:
                return None
        return self._messages.popleft()

    @property
    def has_more(self) -> bool:
        """Whether bytes have arrived that no call has returned yet."""
        return bool(self._messages) or self._reader.pending > 0
