"""Who gets what: a pure state machine without sockets, clock or tasks.

``Router`` takes what clients do, and returns what is to be done about it as values: deliveries,
unicast errors, observations, and what the allow list refused. Whoever moves bytes carries them out
in order. Rules: ``spec/notify.md``, sections 3 to 7.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from .allow import AllowList
from .messages import ALL, ANY, Notify, Observation, Register, UnicastError, Unregister, encode

__all__ = [
    "MAX_REMOTE",
    "REMEMBERED",
    "REMEMBERED_SIZE",
    "Action",
    "Deliver",
    "Observed",
    "Refused",
    "Router",
    "TellUndeliverable",
]

#: Registrations that all remote clients together may hold (NFY-R4).
MAX_REMOTE: Final = 256
#: Unicasts, and bytes of their parameters, that can still be sent back (NFY-B5).
REMEMBERED: Final = 16384
REMEMBERED_SIZE: Final = 16 << 20


class Deliver(NamedTuple):
    """``client`` gets ``payload``, on behalf of the applications in ``receivers``."""

    client: int
    payload: bytes
    receivers: tuple[str, ...]
    unicast: Unicast | None

    def __repr__(self) -> str:
        size = len(self.payload)
        return f"Deliver(client={self.client}, {size} bytes, receivers={self.receivers!r})"


class TellUndeliverable(NamedTuple):
    """``client``, the sender, is told that nobody got its notification."""

    client: int
    error: UnicastError


class Observed(NamedTuple):
    """``clients``, the observers, are told."""

    clients: tuple[int, ...]
    observation: Observation


class Refused(NamedTuple):
    """The allow list does not let this pass, ``in`` from remote clients or ``out`` to them."""

    client: int
    direction: str
    notify: Notify


Action: TypeAlias = "Deliver | TellUndeliverable | Observed | Refused"


class Registration:
    """One client's wish for notifications, on behalf of one application.

    Registrations sort by who comes first for a unicast: priority, then age (NFY-N3, NFY-N4).
    """

    __slots__ = ("client", "local", "rank", "receiver")

    def __init__(self, client: int, local: bool, receiver: str, priority: int, age: int) -> None:
        self.client = client
        self.local = local
        self.receiver = receiver
        self.rank = (-priority, age)

    def __lt__(self, other: Registration) -> bool:
        return self.rank < other.rank


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


class Unicast:
    """A notification on its way to one of several candidates."""

    __slots__ = ("holder", "notify", "sender", "tried")

    def __init__(self, sender: int, notify: Notify) -> None:
        self.sender = sender
        self.notify = notify
        self.holder = 0  # the client that has it now; 0 for none
        self.tried: list[int] = []  # clients that got it


class Registrant:
    """What the router knows of one connection."""

    __slots__ = ("local", "registrations")

    def __init__(self, local: bool) -> None:
        self.local = local
        self.registrations: dict[tuple[str, str], Registration] = {}


class Router:
    """Routes notifications between clients, which are numbers from 1 on.

    Args:
        allow: what remote clients may send and get; None allows everything.
        max_remote: registrations that all remote clients together may hold.
        first_reference: where references begin; best a random number of some 50 bits, so that no
            client takes one of its own for one of the server's.
    """

    def __init__(
        self,
        allow: AllowList | None = None,
        *,
        max_remote: int = MAX_REMOTE,
        first_reference: int = 1,
    ) -> None:
        self._allow = allow
        self._max_remote = max_remote
        self._remote = 0
        self._clients: dict[int, Registrant] = {}
        self._observers: tuple[int, ...] = ()
        self._topics: dict[str, Topic[Registration]] = {}
        self._numbers = itertools.count(1)
        self._ages = itertools.count()
        self._first_reference = self._next_reference = first_reference
        self._unicasts: dict[int, Unicast] = {}
        self._remembered: deque[Unicast] = deque()
        self._remembered_size = 0

    # --- clients

    def join(self, *, local: bool) -> int:
        """A client has connected; its number."""
        number = next(self._numbers)
        self._clients[number] = Registrant(local)
        return number

    def gone(self, number: int, unsent: Iterable[Deliver] = ()) -> list[Action]:
        """A client is gone; ``unsent`` never reached it, and counts as sent back (NFY-Q3)."""
        client = self._clients.pop(number)
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
        """A client observes from now on, or no longer; False if it may not (NFY-O1)."""
        others = tuple(observer for observer in self._observers if observer != number)
        if wanted and not self._clients[number].local:
            return False
        self._observers = (*others, number) if wanted else others
        return True

    # --- registrations

    def register(self, number: int, wish: Register) -> bool:
        """Registers, or replaces what this client has registered; False if there is no room."""
        client = self._clients[number]
        key = (wish.notification, wish.to)
        if key in client.registrations:
            self._withdraw(client, key)  # NFY-R1
        if not client.local:
            if self._remote >= self._max_remote:
                return False  # NFY-R4
            self._remote += 1
        made = Registration(number, client.local, wish.to, wish.priority, next(self._ages))
        client.registrations[key] = made
        self._topics.setdefault(wish.notification, Topic()).add(made)
        return True

    def unregister(self, number: int, wish: Unregister) -> None:
        """Withdraws a registration, if there is one (NFY-R2)."""
        client = self._clients[number]
        key = (wish.notification, wish.to)
        if key in client.registrations:
            self._withdraw(client, key)

    def _withdraw(self, client: Registrant, key: tuple[str, str]) -> None:
        registration = client.registrations.pop(key)
        topic = self._topics[key[0]]
        topic.remove(registration)
        if not topic.all:
            del self._topics[key[0]]
        if not client.local:
            self._remote -= 1

    # --- notifications

    def notify(self, number: int, notify: Notify) -> list[Action]:
        """A client sends a notification, or sends one back."""
        if self.has_issued(notify.reference):
            unicast = self._unicasts.get(notify.reference)
            if unicast is None or _same_way(notify, unicast.notify):
                return self._returned(number, unicast)
        if not self._clients[number].local and not self._let_in(notify):
            return self._refuse(number, notify)
        sent = Notify(  # NFY-N6, NFY-B2
            notify.sender,
            notify.to,
            notify.notification,
            notify.parameter,
            notify.flags,
            self._next_reference,
        )
        self._next_reference += 1
        return (
            self._broadcast(number, sent) if sent.to == ALL else self._offer(Unicast(number, sent))
        )

    def has_issued(self, reference: int) -> bool:
        """Whether a reference is one of this router's."""
        return self._first_reference <= reference < self._next_reference

    def _let_in(self, notify: Notify) -> bool:
        allow = self._allow
        return allow is None or allow.allows_in(notify.sender, notify.to, notify.notification)

    def _refuse(self, number: int, notify: Notify) -> list[Action]:
        actions: list[Action] = [Refused(number, "in", notify), *self._seen(notify, "")]
        if notify.to != ALL:
            actions.append(TellUndeliverable(number, _error(notify)))  # NFY-A6
        return actions

    def _candidates(self, notify: Notify) -> tuple[list[Registration], bool]:
        """Who may get it, in order, and whether the allow list kept it from others."""
        topic = self._topics.get(notify.notification)
        if topic is None:
            return [], False
        found = topic.candidates(notify.to)
        allow = self._allow
        if allow is None or not self._remote:
            return found, False
        if allow.allows_out(notify.sender, notify.to, notify.notification):
            return found, False
        local = [registration for registration in found if registration.local]
        return local, len(local) < len(found)

    def _broadcast(self, number: int, notify: Notify) -> list[Action]:
        candidates, refused = self._candidates(notify)
        actions: list[Action] = [Refused(number, "out", notify)] if refused else []
        receivers: dict[int, list[str]] = {}
        for registration in candidates:
            receivers.setdefault(registration.client, []).append(registration.receiver)
        payload = encode(notify) if receivers else b""
        for client, names in receivers.items():  # NFY-N1
            actions.append(Deliver(client, payload, tuple(names), None))
            for name in names:
                actions += self._seen(notify, name)
        return actions if receivers else [*actions, *self._seen(notify, "")]

    def _offer(self, unicast: Unicast) -> list[Action]:
        """Gives a unicast to the first candidate that has not had it, or reports the error."""
        notify = unicast.notify
        candidates, refused = self._candidates(notify)
        for registration in candidates:  # NFY-N2
            if registration.client not in unicast.tried:
                unicast.holder = registration.client
                unicast.tried.append(registration.client)
                self._remember(unicast)
                receivers = (registration.receiver,)
                delivery = Deliver(registration.client, encode(notify), receivers, unicast)
                return [delivery, *self._seen(notify, registration.receiver)]
        unicast.holder = 0
        self._unicasts.pop(notify.reference, None)
        actions: list[Action] = [Refused(unicast.sender, "out", notify)] if refused else []
        actions += self._seen(notify, "")
        if unicast.sender in self._clients:
            actions.append(TellUndeliverable(unicast.sender, _error(notify)))  # NFY-N5
        return actions

    def _seen(self, notify: Notify, receiver: str) -> list[Action]:
        if not self._observers:
            return []
        seen = Observation(notify.sender, receiver, notify.notification, notify.flags)
        return [Observed(self._observers, seen)]  # NFY-O2

    # --- what comes back

    def _returned(self, number: int, unicast: Unicast | None) -> list[Action]:
        if unicast is None or unicast.holder != number:
            return []  # a broadcast, or sent back before, or too late (NFY-B4, NFY-B5)
        return self._offer(unicast)  # NFY-B3

    def _remember(self, unicast: Unicast) -> None:
        if unicast.notify.reference in self._unicasts:
            return
        self._unicasts[unicast.notify.reference] = unicast
        self._remembered.append(unicast)
        self._remembered_size += len(unicast.notify.parameter)
        while len(self._remembered) > REMEMBERED or self._remembered_size > REMEMBERED_SIZE:
            oldest = self._remembered.popleft()
            self._remembered_size -= len(oldest.notify.parameter)
            self._unicasts.pop(oldest.notify.reference, None)


def _same_way(one: Notify, other: Notify) -> bool:
    return (one.sender, one.to, one.notification) == (other.sender, other.to, other.notification)


def _error(notify: Notify) -> UnicastError:
    return UnicastError(
        notify.sender, notify.to, notify.notification, notify.parameter, notify.flags
    )
