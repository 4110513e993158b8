"""Unicast errors that wait for the outcome of earlier unicasts of the same client."""

from __future__ import annotations

from heapq import heappop, heappush

from .actions import TellUndeliverable, Unicast
from .remembered import REMEMBERED, REMEMBERED_SIZE

__all__ = ["UnicastErrors"]


class SentUnicasts:
    """The unicasts and errors of a client. Later unicasts have higher references."""

    __slots__ = ("asked", "errors", "order")

    def __init__(self) -> None:
        #: The number of missing replies of other servers, by reference.
        self.asked: dict[int, int] = {}
        #: A heap of the same references. Those of decided unicasts are removed later.
        self.order: list[int] = []
        #: A heap of errors, by reference.
        self.errors: list[tuple[int, TellUndeliverable]] = []

    def earliest(self) -> int | None:
        """The reference of the earliest undecided unicast; None if all are decided."""
        while self.order and self.order[0] not in self.asked:
            heappop(self.order)
        return self.order[0] if self.order else None


class UnicastErrors:
    """Holds unicast errors back, so that they reach a client in order (NFY-G18).

    If too many are held, further ones are sent at once, so that no client can exhaust the memory.
    """

    def __init__(self) -> None:
        self._senders: dict[int, SentUnicasts] = {}
        self._held = self._size = 0

    def asked(self, unicast: Unicast) -> None:
        """Records that another server was asked to deliver a unicast."""
        if not unicast.sender:
            return
        sent = self._senders.get(unicast.sender)
        if sent is None:
            sent = self._senders[unicast.sender] = SentUnicasts()
        reference = unicast.notify.reference
        if reference not in sent.asked:
            heappush(sent.order, reference)
        sent.asked[reference] = sent.asked.get(reference, 0) + 1

    def decided(self, unicast: Unicast) -> list[TellUndeliverable]:
        """Records a reply, or that none came in time; returns the errors to send now."""
        sent = self._senders.get(unicast.sender)
        if sent is None:
            return []
        reference = unicast.notify.reference
        left = sent.asked.pop(reference) - 1
        if left:
            sent.asked[reference] = left
        return self._due(unicast.sender, sent)

    def tell(self, told: TellUndeliverable) -> list[TellUndeliverable]:
        """Adds the error of an undelivered unicast; returns the errors to send now."""
        sent = self._senders.get(told.client)
        if sent is None or self._held >= REMEMBERED or self._size >= REMEMBERED_SIZE:
            return [told]
        heappush(sent.errors, (told.reference, told))
        self._held += 1
        self._size += len(told.error.parameter)
        return self._due(told.client, sent)

    def _due(self, client: int, sent: SentUnicasts) -> list[TellUndeliverable]:
        due: list[TellUndeliverable] = []
        earliest = sent.earliest()
        while sent.errors and (earliest is None or sent.errors[0][0] < earliest):
            told = heappop(sent.errors)[1]
            self._held -= 1
            self._size -= len(told.error.parameter)
            due.append(told)
        if earliest is None:
            del self._senders[client]
        return due
