"""What the table has a row for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...codec import HEADER_SIZE, Message, encode
from ...recording import Decoded, Item
from ..view import Way

__all__ = ["DROPPED", "EDITED", "HELD", "PASSED", "SENT", "Entry"]

# What has become of a message.
PASSED: Final = ""
HELD: Final = "held"
EDITED: Final = "edited"  #: let go in another form than it came
DROPPED: Final = "dropped"
SENT: Final = "sent"  #: by the user, not by either program

_OVERHEAD: Final = 500  # bytes that an entry takes besides the data of its message, roughly


@dataclass(slots=True, eq=False)
class Entry:
    """A message, what is not a message, or what happened to a connection."""

    way: Way
    time: float | None
    item: Item | None  #: None where something happened to the connection
    said: str = ""  #: what happened to it
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
        """The bytes of the message, as they are on the wire; nothing where it is not one."""
        message = self.message
        return encode(self.prefix, *message) if message is not None else b""

    @property
    def cost(self) -> int:
        """The memory that it takes, roughly."""
        message = self.message
        return _OVERHEAD + (HEADER_SIZE + len(message.data) if message is not None else 0)

    def replace_message(self, message: Message) -> None:
        """Puts another message in the place of the one that came."""
        assert isinstance(self.item, Decoded)
        self.item = Decoded(self.item.position, message)
