"""Decides who gets which notification: a state machine without sockets, clock or tasks.

``Router`` takes the requests of clients, and returns actions: deliveries, unicast errors,
observations, and refusals of the allow list. The caller carries them out in order. Clients of other
servers are treated like local ones, except that notifications for them go over the bus. Rules:
``spec/notify.md``, sections 3 to 7 and 13.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Set
from heapq import merge
from typing import Final, NamedTuple

from .actions import (
    Action,
    Deliver,
    Forward,
    GiveBack,
    Observed,
    Refused,
    Spread,
    TellUndeliverable,
    Unicast,
    UnicastTicket,
)
from .allow import AllowList
from .messages import ALL, ANY, Notify, Observation, Register, UnicastError, Unregister, encode
from .registrations import Change, Departed, Registered, Registration, Topic, Withdrawn
from .remembered import Remembered

__all__ = ["MAX_REMOTE", "Router"]

#: Maximum number of registrations of all remote clients together (NFY-R4).
MAX_REMOTE: Final = 256


class Registrant:
    """A client. ``node`` is the server to which it is connected; empty for this one."""

    __slots__ = ("local", "node", "registrations")

    def __init__(self, local: bool, node: str) -> None:
        self.local = local
        self.node = node
        self.registrations: dict[tuple[str, str], Registration] = {}


class Candidates(NamedTuple):
    """The registrations that match a notification, in order, after the allow list."""

    own: list[Registration]
    imported: list[Registration]
    may_leave: bool
    refused: bool


class Router:
    """Routes notifications between clients, which have numbers from 1.

    Args:
        allow: the notifications that remote clients may send and receive; None allows all.
        max_remote: maximum number of registrations of all remote clients together.
        first_reference: the first reference. Use a random number of about 50 bits, so that clients
            do not accidentally use references of the server.
        shared: whether there are other servers, so that changes must be recorded for them.
    """

    def __init__(
        self,
        allow: AllowList | None = None,
        *,
        max_remote: int = MAX_REMOTE,
        first_reference: int = 1,
        shared: bool = False,
    ) -> None:
        self._allow = allow
        self._max_remote = max_remote
        self._remote = 0
        #: The number of registrations of this server's clients.
        self.registered = 0
        self._shared = shared
        self._clients: dict[int, Registrant] = {}
        self._observers: tuple[int, ...] = ()
        self._topics: dict[str, Topic[Registration]] = {}
        self._imported: dict[str, Topic[Registration]] = {}
        self._numbers = itertools.count(1)
        self._ages = itertools.count(1)
        self._first_reference = self._next_reference = first_reference
        self._remembered = Remembered()
        self._changes: list[Change] = []
        #: Whether another server has observers.
        self.is_watched = False

    # --- clients

    def join(self, *, local: bool, node: str = "") -> int:
        """Adds a client of this server, or of the server ``node``; returns its number."""
        number = next(self._numbers)
        self._clients[number] = Registrant(local, node)
        return number

    def gone(self, number: int, unsent: Iterable[Deliver] = ()) -> list[Action]:
        """Removes a client. Deliveries in ``unsent`` count as sent back (NFY-Q3)."""
        client = self._clients.pop(number)
        if client.registrations:
            self._note(client, Departed(number))
        for key in list(client.registrations):
            self._withdraw(client, key)
        self.observe(number, wanted=False)
        actions: list[Action] = []
        for delivery in unsent:
            unicast = delivery.unicast
            if unicast is not None and unicast.holder == number:
                actions += self._offer(unicast)
        return actions

    def observe(self, number: int, *, wanted: bool) -> bool:
        """Starts or stops observing; returns False if the client must not observe (NFY-O1)."""
        others = tuple(observer for observer in self._observers if observer != number)
        if wanted and not self._clients[number].local:
            return False
        self._observers = (*others, number) if wanted else others
        return True

    @property
    def observers(self) -> tuple[int, ...]:
        """The observing clients of this server."""
        return self._observers

    # --- registrations

    def register(self, number: int, wish: Register, age: int = 0) -> bool:
        """Adds or replaces a registration; returns False if the limit is reached.

        Args:
            number: the client.
            wish: the registration.
            age: the serial number of a registration with another server.
        """
        client = self._clients[number]
        key = (wish.notification, wish.to)
        if key in client.registrations:
            self._withdraw(client, key)  # NFY-R1
        if not client.local and not client.node:
            if self._remote >= self._max_remote:
                return False  # NFY-R4
            self._remote += 1
        self.registered += not client.node
        age = age if client.node else next(self._ages)
        made = Registration(number, client.local, wish.to, wish.priority, age, client.node)
        client.registrations[key] = made
        self._topics_of(client).setdefault(wish.notification, Topic()).add(made)
        self._note(client, Registered(number, age, wish))
        return True

    def unregister(self, number: int, wish: Unregister) -> bool:
        """Removes a registration; returns False if there is none (NFY-R2)."""
        client = self._clients[number]
        key = (wish.notification, wish.to)
        if key not in client.registrations:
            return False
        self._withdraw(client, key)
        self._note(client, Withdrawn(number, wish))
        return True

    def _withdraw(self, client: Registrant, key: tuple[str, str]) -> None:
        registration = client.registrations.pop(key)
        topics = self._topics_of(client)
        topic = topics[key[0]]
        topic.remove(registration)
        if not topic.all:
            del topics[key[0]]
        if not client.local and not client.node:
            self._remote -= 1
        self.registered -= not client.node

    def _topics_of(self, client: Registrant) -> dict[str, Topic[Registration]]:
        return self._imported if client.node else self._topics

    # --- registrations, for other servers

    def _note(self, client: Registrant, change: Change) -> None:
        if self._shared and not client.node:
            self._changes.append(change)

    def take_changes(self) -> list[Change]:
        """The changes of the registrations of this server's clients since the last call."""
        changes, self._changes = self._changes, []
        return changes

    @property
    def topics(self) -> Set[str]:
        """The notification IDs for which clients of this server have registered."""
        return self._topics.keys()

    def own(self) -> Iterator[Registered]:
        """All registrations of this server's clients."""
        for number, client in self._clients.items():
            if not client.node:
                yield from self.registrations(number)

    def registrations(self, number: int) -> Iterator[Registered]:
        """The registrations of a client."""
        for (notification, receiver), made in self._clients[number].registrations.items():
            yield Registered(number, made.age, Register(receiver, notification, -made.rank[0]))

    # --- notifications

    def notify(self, number: int, notify: Notify) -> list[Action]:
        """Handles a notification that a client sends, or sends back."""
        if self.has_issued(notify.reference):
            unicast = self._remembered.get(notify.reference)
            if unicast is None or _same_way(notify, unicast.notify):
                return self._returned(number, unicast)
        sent = self._referenced(notify)
        if not self._clients[number].local and not self._let_in(notify):
            return self._refuse(number, sent)
        return (
            self._broadcast(number, sent) if sent.to == ALL else self._offer(Unicast(number, sent))
        )

    def _referenced(self, notify: Notify) -> Notify:
        reference = self._next_reference
        self._next_reference += 1
        return Notify(  # NFY-N6, NFY-B2
            notify.sender,
            notify.to,
            notify.notification,
            notify.parameter,
            notify.flags,
            reference,
        )

    def has_issued(self, reference: int) -> bool:
        """Whether this router has issued a reference."""
        return self._first_reference <= reference < self._next_reference

    def _let_in(self, notify: Notify) -> bool:
        allow = self._allow
        return allow is None or allow.allows_in(notify.sender, notify.to, notify.notification)

    def _refuse(self, number: int, notify: Notify) -> list[Action]:
        actions: list[Action] = [Refused(number, "in", notify), *self._seen(notify, "")]
        if notify.to != ALL:
            actions.append(_undeliverable(number, notify))  # NFY-A6
        return actions

    def _candidates(self, notify: Notify) -> Candidates:
        """The registrations for a notification, and whether the allow list excluded any."""
        own = _matching(self._topics, notify)
        imported = _matching(self._imported, notify)
        if self._may_leave(notify):
            return Candidates(own, imported, True, False)
        local = [registration for registration in own if registration.local]
        return Candidates(local, [], False, len(local) < len(own) or bool(imported))

    def _may_leave(self, notify: Notify) -> bool:
        allow = self._allow
        if allow is None or not (self._remote or self._shared):
            return True
        return allow.allows_out(notify.sender, notify.to, notify.notification)

    def _broadcast(self, number: int, notify: Notify) -> list[Action]:
        found = self._candidates(notify)
        actions: list[Action] = [Refused(number, "out", notify)] if found.refused else []
        actions += self._deliver_to_all(found.own, notify)
        if not found.own and not found.imported:
            actions += self._seen(notify, "")
        if self._shared and found.may_leave:
            actions.append(Spread(notify))
        return actions

    def _deliver_to_all(self, candidates: list[Registration], notify: Notify) -> list[Action]:
        actions: list[Action] = []
        receivers: dict[int, list[str]] = {}
        for registration in candidates:
            receivers.setdefault(registration.client, []).append(registration.receiver)
        payload = encode(notify) if receivers else b""
        for client, names in receivers.items():  # NFY-N1
            actions.append(Deliver(client, payload, tuple(names), None))
            for name in names:
                actions += self._seen(notify, name)
        return actions

    def _offer(self, unicast: Unicast) -> list[Action]:
        """Passes a unicast to the first candidate that has not had it, or reports an error."""
        if unicast.ticket is not None:  # its server tries the next candidate
            self._remembered.forget(unicast)
            return [GiveBack(unicast.ticket)]
        notify = unicast.notify
        found = self._candidates(notify)
        both = merge(found.own, found.imported) if found.imported else found.own
        for made in both:  # NFY-N2
            if made.client not in unicast.tried and made.node not in unicast.unreachable:
                return self._hand(unicast, made)
        refused: list[Action] = [Refused(unicast.sender, "out", notify)] if found.refused else []
        return refused + self._fail(unicast)

    def _hand(self, unicast: Unicast, registration: Registration) -> list[Action]:
        unicast.holder = registration.client
        unicast.tried.add(registration.client)
        self._remembered.add(unicast)
        if registration.node:
            return [Forward(registration, unicast)]
        receivers = (registration.receiver,)
        delivery = Deliver(registration.client, encode(unicast.notify), receivers, unicast)
        return [delivery, *self._seen(unicast.notify, registration.receiver)]

    def _fail(self, unicast: Unicast) -> list[Action]:
        self._remembered.forget(unicast)
        actions = self._seen(unicast.notify, "")
        if unicast.sender in self._clients:
            actions.append(_undeliverable(unicast.sender, unicast.notify))  # NFY-N5
        return actions

    def _seen(self, notify: Notify, receiver: str) -> list[Action]:
        if not self._observers and not self.is_watched:
            return []
        seen = Observation(notify.sender, receiver, notify.notification, notify.flags)
        return [Observed(self._observers, seen)]  # NFY-O2

    # --- notifications from other servers

    def take(
        self, notify: Notify, ticket: UnicastTicket, client: int, age: int, receiver: str
    ) -> list[Action]:
        """Handles a unicast of another server for a client of this server.

        Returns:
            The actions. If they contain no ``Deliver``, the unicast was not delivered.
        """
        found = self._clients.get(client)
        if found is None or found.node or notify.to not in (ANY, receiver):
            return []
        registration = found.registrations.get((notify.notification, receiver))
        if registration is None or registration.age != age:
            return []
        if not self._let_in(notify):  # NFY-G17
            return [Refused(0, "in", notify, ticket.node)]
        if not registration.local and not self._may_leave(notify):
            return [Refused(0, "out", notify, ticket.node)]
        return self._hand(Unicast(0, self._referenced(notify), ticket), registration)

    def take_broadcast(self, notify: Notify, node: str) -> list[Action]:
        """Handles a broadcast of another server, for the clients of this server only."""
        if not self._let_in(notify):
            return [Refused(0, "in", notify, node)]
        found = self._candidates(notify)
        refused = len(found.own) < len(_matching(self._topics, notify))
        actions: list[Action] = [Refused(0, "out", notify, node)] if refused else []
        return actions + self._deliver_to_all(found.own, self._referenced(notify))

    def not_taken(self, unicast: Unicast, holder: int) -> list[Action]:
        """Handles a unicast that another server could not deliver, as if it had been sent back."""
        return self._offer(unicast) if unicast.holder == holder else []

    def given_back(self, ticket: UnicastTicket) -> list[Action]:
        """Handles a unicast that a client of another server has sent back."""
        holder = self._clients.get(ticket.holder)
        if holder is not None and holder.node != ticket.node:
            return []
        return self._returned(ticket.holder, self._remembered.get(ticket.reference))

    def lost(self, unicast: Unicast, holder: int) -> list[Action]:
        """Handles a unicast whose outcome is unknown; no other client gets it (NFY-G13)."""
        return self._fail(unicast) if unicast.holder == holder else []

    # --- returned notifications

    def _returned(self, number: int, unicast: Unicast | None) -> list[Action]:
        if unicast is None or unicast.holder != number:
            return []  # a broadcast, or sent back before, or too late (NFY-B4, NFY-B5)
        unicast.unreachable.clear()  # these servers may be back
        return self._offer(unicast)  # NFY-B3


def _same_way(one: Notify, other: Notify) -> bool:
    return (one.sender, one.to, one.notification) == (other.sender, other.to, other.notification)


def _matching(topics: dict[str, Topic[Registration]], notify: Notify) -> list[Registration]:
    topic = topics.get(notify.notification)
    return topic.candidates(notify.to) if topic is not None else []


def _undeliverable(sender: int, notify: Notify) -> TellUndeliverable:
    error = UnicastError(
        notify.sender, notify.to, notify.notification, notify.parameter, notify.flags
    )
    return TellUndeliverable(sender, error, notify.reference)
