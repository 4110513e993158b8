"""The queue from reading threads to the screen."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from .entries import Entry

__all__ = ["Feed"]

_MOST: Final = 10_000  # entries in the queue at which `put` waits


class Feed:
    """A queue with a limit. Thread safe."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._room = threading.Condition()
        self._closed = False
        self._changed = False

    def put(self, entry: Entry) -> None:
        """Appends an entry; waits while there are too many, unless it is closed."""
        with self._room:
            while len(self._entries) >= _MOST and not self._closed:
                self._room.wait()
            self._entries.append(entry)

    def note_change(self) -> None:
        """Reports that an entry that was taken has changed."""
        self._changed = True

    def take(self, most: int) -> tuple[list[Entry], bool]:
        """The next entries, and whether entries taken earlier have changed."""
        changed, self._changed = self._changed, False
        with self._room:
            taken = [self._entries.popleft() for _ in range(min(most, len(self._entries)))]
            self._room.notify_all()
        return taken, changed

    def close(self) -> None:
        """Ends the queue: ``put`` no longer waits."""
        with self._room:
            self._closed = True
            self._entries.clear()
            self._room.notify_all()
