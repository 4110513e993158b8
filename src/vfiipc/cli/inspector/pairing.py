"""Pairs answers with questions: the next message back on a connection with the same ID."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from .entries import SENT, Entry

__all__ = ["Pairing"]

_MOST: Final = 10_000  # questions that may wait for an answer; the oldest are forgotten


class Pairing:
    """Finds the question of each answer, and the time between them."""

    def __init__(self) -> None:
        # By connection, side and ID: number and time of those that have no answer yet.
        self._open: OrderedDict[tuple[int, bool, int], deque[tuple[int, float]]] = OrderedDict()

    def note(self, entry: Entry) -> None:
        """Handles a message: pairs it with its question, or remembers it as a question."""
        message = entry.message
        if message is None or entry.time is None:
            return
        place = (entry.way.connection, not entry.way.from_client, message.msg_id)
        waiting = self._open.get(place)
        if waiting is not None and entry.state != SENT:
            entry.answers, asked = waiting.popleft()
            entry.latency = max(0.0, entry.time - asked)
            if not waiting:
                del self._open[place]
            return
        own = (entry.way.connection, entry.way.from_client, message.msg_id)
        questions = self._open.setdefault(own, deque(maxlen=_MOST))
        questions.append((entry.number, entry.time))
        if len(self._open) > _MOST:
            self._open.popitem(last=False)
