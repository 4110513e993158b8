"""The settings of asyncio connections, for both sides."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from ..codec import check_integer
from ..exchange import Settings, duration_of
from .protocol import MessageProtocol

__all__ = ["CLOSE_TIMEOUT", "AsyncSettings", "check_context"]

#: Seconds that closing may take.
CLOSE_TIMEOUT = 5.0


def check_context(context: object) -> None:
    """Checks the argument ``ssl``.

    Raises:
        TypeError: it is neither a context nor None.
    """
    if context is not None and not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl must be an ssl.SSLContext or None, not {type(context).__name__}")


@dataclass(frozen=True)
class AsyncSettings:
    """The settings of a connection, with those that only asyncio needs; validated on creation.

    Raises:
        TypeError, ValueError: a value is of the wrong type, or out of range.
    """

    shared: Settings
    max_unsent: int
    close_timeout: float

    def __post_init__(self) -> None:
        check_integer("max_unsent", self.max_unsent, 0)
        duration_of(self.close_timeout, "close_timeout")

    def protocol(self) -> MessageProtocol:
        """A protocol for a new connection in the running loop."""
        close_timeout = duration_of(self.close_timeout, "close_timeout")
        framer, exchange = self.shared.framer(), self.shared.exchange()
        return MessageProtocol(framer, exchange, self.max_unsent, close_timeout)
