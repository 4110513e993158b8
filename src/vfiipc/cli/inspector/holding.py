"""Decides which messages are held, and waits for the user's decision on them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from ...codec import Message
from ..filters import Filter
from .entries import Entry
from .store import passes

__all__ = ["Holding", "Ticket"]

_LOOK: Final = 0.2  # seconds between checks whether the connection has ended


class Ticket:
    """The user's decision on one message."""

    def __init__(self) -> None:
        self.decided = threading.Event()
        self.message: Message | None = None


class Holding:
    """The breakpoint, and the messages held at it. Thread safe.

    ``chosen`` is the filter of the messages to hold; None to hold none.
    """

    def __init__(self, chosen: Filter | None = None) -> None:
        self.chosen = chosen
        self._lock = threading.Lock()
        self._waiting: dict[Entry, Ticket] = {}

    @property
    def count(self) -> int:
        """How many messages are held."""
        return len(self._waiting)

    def wants(self, entry: Entry) -> bool:
        """Whether a message is to be held."""
        return self.chosen is not None and entry.message is not None and passes(self.chosen, entry)

    def announce(self, entry: Entry) -> Ticket:
        """Marks a message as held; returns the ticket for ``wait``."""
        ticket = Ticket()
        with self._lock:
            self._waiting[entry] = ticket
        return ticket

    def wait(self, entry: Entry, ticket: Ticket, has_ended: Callable[[], bool]) -> Message | None:
        """Waits for the decision; returns the message to relay, or None if it was dropped."""
        while not ticket.decided.wait(_LOOK):
            if has_ended():
                break
        with self._lock:
            self._waiting.pop(entry, None)
        return ticket.message

    def decide(self, entry: Entry, message: Message | None) -> bool:
        """Releases an entry as ``message``, None to drop it; False if it is no longer held."""
        with self._lock:
            ticket = self._waiting.pop(entry, None)
            if ticket is None:
                return False
            ticket.message = message
            ticket.decided.set()
            return True
