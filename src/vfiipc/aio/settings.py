"""The settings of asyncio connections, for both sides."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index

from ..exchange import Settings, duration_of
from .protocol import MessageProtocol

__all__ = ["CLOSE_TIMEOUT", "AsyncSettings"]

#: Seconds that closing may take.
CLOSE_TIMEOUT = 5.0


@dataclass(frozen=True)
class AsyncSettings(Settings):
    """Adds what only asyncio needs; validated on creation.

    Raises:
        TypeError, ValueError: a value is of the wrong type, or out of range.
    """

    max_unsent: int
    close_timeout: float

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            too_low = index(self.max_unsent) < 0
        except TypeError:
            kind = type(self.max_unsent).__name__
            raise TypeError(f"max_unsent must be an int, not {kind}") from None
        if too_low:
            raise ValueError(f"max_unsent is {self.max_unsent}, but must be 0 or more")
        duration_of(self.close_timeout, "close_timeout")

    def protocol(self) -> MessageProtocol:
        """A protocol for a new connection in the running loop."""
        close_timeout = duration_of(self.close_timeout, "close_timeout")
        return MessageProtocol(self.framer(), self.exchange(), self.max_unsent, close_timeout)
