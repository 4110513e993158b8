"""The entries of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...codec import HEADER_SIZE, Message, encode
from ...recording import Decoded, Item
from ..view import Way

__all__ = ["DROPPED", "EDITED", "HELD", "PASSED", "SENT", "Entry"]

# The states of a message.
PASSED: Final = ""
HELD: Final = "held"
EDITED: Final = "edited"  #: edited, then released
DROPPED: Final = "dropped"
SENT: Final = "sent"  #: sent by the user

_OVERHEAD: Final = 500  # bytes that an entry takes besides the data of its message, roughly


@dataclass(slots=True, eq=False)
class Entry:
    """A message, another item of a stream, or an event of a connection."""

    way: Way
    time: float | None
    item: Item | None  #: None for an event of the connection
    said: str = ""  #: the text of the event
    prefix: int = 0
    state: str = PASSED
    number: int = 0  #: from 1, in the order in which they came
    latency: float | None = None  #: seconds since the message that this one answers
    answers: int = 0  #: the number of that
    marked: bool = False

    @property
    def message(self) -> Message | None:
        """The message, if it is one."""
        return self.item.message if isinstance(self.item, Decoded) else None

    @property
    def frame(self) -> bytes:
        """The bytes of the message on the wire; empty if it is not a message."""
        message = self.message
        return encode(self.prefix, *message) if message is not None else b""

    @property
    def cost(self) -> int:
        """The approximate memory it needs, in bytes."""
        message = self.message
        return _OVERHEAD + (HEADER_SIZE + len(message.data) if message is not None else 0)

    def replace_message(self, message: Message) -> None:
        """Replaces the message."""
        assert isinstance(self.item, Decoded)
        self.item = Decoded(self.item.position, message)
