"""The kept messages, and those that the filter shows.

Work for one message is small, whatever is kept. A new filter is applied step by step, so that the
screen goes on meanwhile.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from ..filters import EVERYTHING, Filter
from .entries import Entry
from .pairing import Pairing

__all__ = ["KEEP_BYTES", "Store", "Window"]

KEEP_BYTES: Final = 256 << 20  #: maximum memory for messages, in bytes

T = TypeVar("T")


class Window(Generic[T]):
    """A list whose first element can be removed in constant time.

    ``first`` is how many were taken off, so that the place of an element never changes: it is
    ``first`` and its index.
    """

    def __init__(self) -> None:
        self.first = 0
        self._list: list[T] = []
        self._head = 0

    def __len__(self) -> int:
        return len(self._list) - self._head

    def __iter__(self) -> Iterator[T]:
        return (self._list[at] for at in range(self._head, len(self._list)))

    @property
    def stop(self) -> int:
        """The place after the last element."""
        return self.first + len(self)

    def at(self, place: int) -> T:
        """The element at a place from ``first`` up to ``stop``."""
        return self._list[self._head + place - self.first]

    def append(self, element: T) -> None:
        self._list.append(element)

    def drop_first(self) -> T:
        """Removes the first element."""
        element = self._list[self._head]
        self._head += 1
        self.first += 1
        if self._head > len(self._list) // 2:
            del self._list[: self._head]
            self._head = 0
        return element


class Store:
    """Messages in order of arrival; the oldest are dropped when there are too many.

    Args:
        keep: the most that are kept, 1 or more.
        keep_bytes: the most memory for them, roughly; the latest one is kept in any case.

    ``shown`` are those that the filter lets pass. Not thread safe.
    """

    def __init__(self, keep: int, keep_bytes: int = KEEP_BYTES) -> None:
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._bytes = 0
        self._entries: Window[Entry] = Window()
        self._pairing = Pairing()
        self._filter = EVERYTHING
        self._judged = 0  # the place up to which the filter has been applied
        self.shown: Window[Entry] = Window()
        self.messages = 0  #: the number of all messages so far, including dropped ones

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def dropped(self) -> int:
        """How many are no longer kept."""
        return self._entries.first

    @property
    def unfiltered(self) -> int:
        """How many the filter has not been applied to yet."""
        return self._entries.stop - self._judged

    def add(self, entry: Entry) -> None:
        """Adds the latest entry. ``step`` shows it."""
        entry.number = self._entries.stop + 1
        self.messages += entry.message is not None
        self._pairing.note(entry)
        self._entries.append(entry)
        self._bytes += entry.cost
        while len(self) > self._keep or (self._bytes > self._keep_bytes and len(self) > 1):
            self._drop()

    def _drop(self) -> None:
        oldest = self._entries.drop_first()
        self._bytes -= oldest.cost
        self._judged = max(self._judged, self._entries.first)
        if self.shown and self.shown.at(self.shown.first) is oldest:
            self.shown.drop_first()

    def replaced(self, former_cost: int, entry: Entry) -> None:
        """Updates the memory of a kept entry after a change."""
        if self._entries.first < entry.number:
            self._bytes += entry.cost - former_cost

    def set_filter(self, chosen: Filter) -> None:
        """Sets the filter and shows nothing; ``step`` then shows what passes, the oldest first."""
        self._filter = chosen
        self._judged = self._entries.first
        self.shown = Window()

    def step(self, most: int) -> bool:
        """Applies the filter to some entries; returns whether there are more."""
        for place in range(self._judged, min(self._judged + most, self._entries.stop)):
            entry = self._entries.at(place)
            if passes(self._filter, entry):
                self.shown.append(entry)
            self._judged += 1
        return self.unfiltered > 0

    def find(self, pattern: re.Pattern[bytes], place: int, *, forward: bool = True) -> int | None:
        """The place of the next shown message whose data the pattern is found in.

        The search goes round, and begins behind ``place``, or before it.
        """
        first, count = self.shown.first, len(self.shown)
        for step in range(1, count + 1):
            candidate = first + (place - first + (step if forward else -step)) % count
            message = self.shown.at(candidate).message
            if message is not None and pattern.search(message.data):
                return candidate
        return None

    def place_of(self, number: int) -> int:
        """The place in ``shown`` of the entry with this number, or of the first one after it."""
        numbers = range(self.shown.first, self.shown.stop)
        at = bisect_left(numbers, number, key=lambda place: self.shown.at(place).number)
        return self.shown.first + at

    def marked(self) -> list[Entry]:
        """The kept entries that are marked."""
        return [entry for entry in self._entries if entry.marked]

    def held(self) -> list[Entry]:
        """The kept messages that are held."""
        return [entry for entry in self._entries if entry.state == "held"]


def passes(chosen: Filter, entry: Entry) -> bool:
    """Whether a filter shows an entry."""
    way = entry.way
    if entry.item is None:
        return chosen.accepts_event(way.connection, entry.time)
    return chosen.accepts(way.connection, way.from_client, entry.item, entry.time)
