"""What the inspector needs of a source of messages: two programs, or a file."""

from __future__ import annotations

from typing import Protocol

from ...codec import Message
from ..view import Way

__all__ = ["MessageSource"]


class MessageSource(Protocol):
    """Puts messages into a ``Feed``, and sends those of the user."""

    name: str  #: what the title shows
    is_live: bool  #: whether messages can be held, changed and sent

    def run(self) -> None:
        """Puts messages into the feed until they end or ``stop`` is called; in its own thread."""

    def stop(self) -> None:
        """Makes ``run`` return soon. Called from another thread."""

    def send(self, way: Way, message: Message) -> bool:
        """Sends a message in one direction of a connection; False if the connection has ended."""
