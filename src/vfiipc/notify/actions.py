"""What the router wants to be done, as values."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from .messages import Notify, Observation, UnicastError
from .registrations import Registration

__all__ = [
    "Action",
    "BusAction",
    "Deliver",
    "Forward",
    "GiveBack",
    "Observed",
    "Refused",
    "Spread",
    "TellUndeliverable",
    "Unicast",
    "UnicastTicket",
]


class UnicastTicket(NamedTuple):
    """What another server calls a unicast of its own, and how it knows the client that got it."""

    node: str
    reference: int
    holder: int


class Unicast:
    """A notification on its way to one of several candidates.

    Args:
        sender: the client that sent it; 0 if it came from another server.
        notify: what it sent.
        ticket: what the other server calls it. Such a unicast has one candidate only.
    """

    __slots__ = ("holder", "notify", "sender", "ticket", "tried", "unreachable")

    def __init__(self, sender: int, notify: Notify, ticket: UnicastTicket | None = None) -> None:
        self.sender = sender
        self.notify = notify
        self.ticket = ticket
        self.holder = 0  # the client that has it now; 0 for none
        self.tried: set[int] = set()  # clients that got it
        self.unreachable: set[str] = set()  # servers that cannot be asked


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
    """``client``, the sender, is told that nobody got what it sent.

    ``reference`` is that of the notification: what it sent later has a higher one.
    """

    client: int
    error: UnicastError
    reference: int


class Observed(NamedTuple):
    """``clients``, the observers of this server, are told, and those of the others."""

    clients: tuple[int, ...]
    observation: Observation


class Refused(NamedTuple):
    """The allow list does not let this pass, ``in`` from remote clients or ``out`` to them.

    ``client`` has sent it, or the server ``node`` has passed it on.
    """

    client: int
    direction: str
    notify: Notify
    node: str = ""


class Forward(NamedTuple):
    """Another server is to deliver a unicast, for ``registration``."""

    registration: Registration
    unicast: Unicast


class Spread(NamedTuple):
    """All other servers get a broadcast."""

    notify: Notify


class GiveBack(NamedTuple):
    """A unicast from another server was not taken after all; that server is told."""

    ticket: UnicastTicket


#: What goes to other servers.
BusAction: TypeAlias = "Forward | Spread | GiveBack"

Action: TypeAlias = "Deliver | TellUndeliverable | Observed | Refused | BusAction"
