"""Registrations, ordered by preference for unicasts."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from .messages import ALL, ANY, Register, Unregister

__all__ = ["Change", "Departed", "Registered", "Registration", "Topic", "Withdrawn"]


class Registration:
    """The registration of a client for notifications, on behalf of an application.

    Registrations sort by preference for unicasts: by priority, then this server (its ``node`` is
    empty) before others, then by age (NFY-N3, NFY-N4, NFY-G11).
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
        """The serial number of the registration, unique on its server."""
        return self.rank[2]

    @property
    def node(self) -> str:
        """The other server that has the registration; empty for this one."""
        return self.rank[1]


R = TypeVar("R", bound=Registration)


class Topic(Generic[R]):
    """The registrations for one notification ID, ordered by preference for unicasts."""

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
        """The registrations that match ``to``, in order of preference."""
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


#: A change of the registrations, to be sent to other servers.
Change: TypeAlias = "Registered | Withdrawn | Departed"
