"""Registrations, in the order in which unicasts prefer them."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from .messages import ALL, ANY, Register, Unregister

__all__ = ["Change", "Departed", "Registered", "Registration", "Topic", "Withdrawn"]


class Registration:
    """One client's wish for notifications, on behalf of one application.

    Registrations sort by who comes first for a unicast: priority, then the own server before others
    (``node`` is empty for it), then age (NFY-N3, NFY-N4, NFY-G11).
    """

    __slots__ = ("client", "local", "rank", "receiver")

    def __init__(
        self, client: int, local: bool, receiver: str, priority: int, age: int, node: str = ""
    ) -> None:
        self.client = client
        self.local = local
        self.receiver = receiver
        self.rank = (-priority, node, age)

    def __lt__(self, other: Registration) -> bool:
        return self.rank < other.rank

    @property
    def age(self) -> int:
        """Counts the registrations of its server: no other one there has this number."""
        return self.rank[2]

    @property
    def node(self) -> str:
        """The other server that has it; empty for this one."""
        return self.rank[1]


R = TypeVar("R", bound=Registration)


class Topic(Generic[R]):
    """The registrations for one notification ID, in the order in which unicasts prefer them."""

    __slots__ = ("all", "by_receiver")

    def __init__(self) -> None:
        self.all: list[R] = []
        self.by_receiver: dict[str, list[R]] = {}

    def add(self, registration: R) -> None:
        insort(self.all, registration)
        insort(self.by_receiver.setdefault(registration.receiver, []), registration)

    def remove(self, registration: R) -> None:
        del self.all[bisect_left(self.all, registration)]
        same = self.by_receiver[registration.receiver]
        del same[bisect_left(same, registration)]
        if not same:
            del self.by_receiver[registration.receiver]

    def candidates(self, to: str) -> list[R]:
        """Those that a notification to ``to`` is for, in order."""
        return self.all if to in (ANY, ALL) else self.by_receiver.get(to, [])


class Registered(NamedTuple):
    """A client has registered; this replaces its registration for the same ID and receiver."""

    client: int
    age: int
    wish: Register


class Withdrawn(NamedTuple):
    """A client has withdrawn a registration."""

    client: int
    wish: Unregister


class Departed(NamedTuple):
    """A client is gone, with all its registrations."""

    client: int


#: What other servers have to know of the registrations with this one.
Change: TypeAlias = "Registered | Withdrawn | Departed"
