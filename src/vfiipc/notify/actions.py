"""The actions that the router returns."""

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
    """Identifies a unicast of another server, and the receiving client, to that server."""

    node: str
    reference: int
    holder: int


class Unicast:
    """A notification on its way to one of several candidates.

    Args:
        sender: the client that sent it; 0 if another server did.
        notify: the notification.
        ticket: identifies it to the other server. Such a unicast has only one candidate.
    """

    __slots__ = ("holder", "notify", "sender", "ticket", "tried", "unreachable")

    def __init__(self, sender: int, notify: Notify, ticket: UnicastTicket | None = None) -> None:
        self.sender = sender
        self.notify = notify
        self.ticket = ticket
        self.holder = 0  # the client that currently has it; 0 for none
        self.tried: set[int] = set()  # the clients that have received it
        self.unreachable: set[str] = set()  # the servers that cannot be asked


class Deliver(NamedTuple):
    """Send ``payload`` to ``client``, for the applications in ``receivers``."""

    client: int
    payload: bytes
    receivers: tuple[str, ...]
    unicast: Unicast | None

    def __repr__(self) -> str:
        size = len(self.payload)
        return f"Deliver(client={self.client}, {size} bytes, receivers={self.receivers!r})"


class TellUndeliverable(NamedTuple):
    """Tell ``client``, the sender, that its notification was not delivered.

    ``reference`` is that of the notification: later ones have a higher reference.
    """

    client: int
    error: UnicastError
    reference: int


class Observed(NamedTuple):
    """Send an observation to ``clients``, the local observers, and to those of other servers."""

    clients: tuple[int, ...]
    observation: Observation


class Refused(NamedTuple):
    """The allow list blocked a notification from (``in``) or to (``out``) remote clients.

    It was sent by ``client``, or forwarded by the server ``node``.
    """

    client: int
    direction: str
    notify: Notify
    node: str = ""


class Forward(NamedTuple):
    """Ask another server to deliver a unicast to the client of ``registration``."""

    registration: Registration
    unicast: Unicast


class Spread(NamedTuple):
    """Send a broadcast to all other servers."""

    notify: Notify


class GiveBack(NamedTuple):
    """Tell another server that a client has sent back its unicast."""

    ticket: UnicastTicket


#: Actions that concern other servers.
BusAction: TypeAlias = "Forward | Spread | GiveBack"

Action: TypeAlias = "Deliver | TellUndeliverable | Observed | Refused | BusAction"
