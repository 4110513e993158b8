"""The bus that carries messages between servers, as an interface, and a bus in memory for tests.

A bus delivers a message to the subscribers of its subject, at most once, and never to its publisher
(NFY-G1). A publisher that sets ``reply`` receives the messages that others publish to that subject,
or ``nobody`` if its message had no subscribers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

__all__ = [
    "Arrival",
    "Bus",
    "BusError",
    "BusListener",
    "BusMessage",
    "MemoryBus",
    "MemoryNetwork",
    "Publish",
    "Subscribe",
    "Unsubscribe",
]


class BusError(ConnectionError):
    """The bus cannot be used: no connection, unsuitable settings, or the name is taken."""


class Arrival(NamedTuple):
    """A message from the bus. ``nobody``: the message to which this replies had no subscribers."""

    subject: str
    data: bytes
    reply: str = ""
    nobody: bool = False


class Publish(NamedTuple):
    """A message for the bus. Replies to it have the subject ``reply``."""

    subject: str
    data: bytes
    reply: str = ""

    def __repr__(self) -> str:
        return f"Publish(subject={self.subject!r}, {len(self.data)} bytes, reply={self.reply!r})"


class Subscribe(NamedTuple):
    """Subscribe to a subject. ``*`` matches any one word."""

    subject: str


class Unsubscribe(NamedTuple):
    """Unsubscribe from a subject."""

    subject: str


BusMessage: TypeAlias = "Publish | Subscribe | Unsubscribe"


class BusListener(NamedTuple):
    """The callbacks of a bus.

    Attributes:
        arrived: called when a message has arrived.
        connected: called when the connection has been restored.
        lost: called with the reason when the connection is lost.
    """

    arrived: Callable[[Arrival], None]
    connected: Callable[[], None]
    lost: Callable[[str], None]


class Bus(ABC):
    """A connection to a bus, restored automatically when it is lost. Belongs to one event loop."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The address, for messages and logs."""

    @property
    @abstractmethod
    def max_payload(self) -> int:
        """Maximum size of a message, in bytes."""

    @abstractmethod
    async def connect(self, listener: BusListener) -> None:
        """Connects.

        Args:
            listener: receives messages, and changes of the connection.

        Raises:
            BusError: the connection failed.
        """

    @abstractmethod
    def publish(self, message: Publish) -> bool:
        """Queues a message; returns False if it cannot be sent."""

    @abstractmethod
    def subscribe(self, subject: str) -> None:
        """Subscribes to a subject, also on later connections."""

    @abstractmethod
    def unsubscribe(self, subject: str) -> None:
        """Unsubscribes from a subject."""

    @property
    @abstractmethod
    def is_crowded(self) -> bool:
        """Whether so much is queued that the caller should let other tasks run."""

    @abstractmethod
    async def aclose(self) -> None:
        """Sends what is queued, and closes the connection permanently."""


# --- in memory ------------------------------------------------------------------------------------


class InFlight(NamedTuple):
    """A message on its way to a subscriber."""

    to: MemoryBus
    message: Arrival


class MemoryNetwork:
    """Connects several ``MemoryBus`` objects.

    Messages stay in ``in_flight`` until the test delivers them, in any order and repeatedly.

    Args:
        published: called when there is a message to deliver.
    """

    def __init__(self, published: Callable[[], None] = lambda: None) -> None:
        self.in_flight: list[InFlight] = []
        self.buses: list[MemoryBus] = []
        self._published = published

    def deliver(self, index: int = 0, *, keep: bool = False) -> None:
        """Delivers a message; with ``keep``, it can be delivered again."""
        to, message = self.in_flight[index] if keep else self.in_flight.pop(index)
        to.arrive(message)

    def deliver_all(self) -> None:
        """Delivers all messages in order, including those that are published meanwhile."""
        while self.in_flight:
            self.deliver()

    def lose(self, index: int = 0) -> None:
        """Drops a message."""
        del self.in_flight[index]

    def send(self, sender: MemoryBus, message: Publish) -> None:
        """Routes a message to the subscribers of its subject."""
        incoming = Arrival(message.subject, message.data, message.reply)
        targets = [
            bus for bus in self.buses if bus is not sender and bus.has_subscribed(message.subject)
        ]
        self.in_flight += [InFlight(bus, incoming) for bus in targets]
        if message.reply and not targets:
            nobody = Arrival(message.reply, b"", nobody=True)
            self.in_flight.append(InFlight(sender, nobody))
        self._published()


class MemoryBus(Bus):
    """A bus without a network.

    Args:
        network: connects it with other buses.
        max_payload: maximum size of a message, in bytes.
    """

    def __init__(self, network: MemoryNetwork, max_payload: int = 1 << 20) -> None:
        self._network = network
        self._max_payload = max_payload
        self._subjects: set[str] = set()
        self._listener: BusListener | None = None
        #: Whether messages are sent and received.
        self.is_connected = False

    @property
    def address(self) -> str:
        return "memory"

    @property
    def max_payload(self) -> int:
        return self._max_payload

    @property
    def is_crowded(self) -> bool:
        return False

    async def connect(self, listener: BusListener) -> None:
        self.attach(listener)

    async def aclose(self) -> None:
        self.detach()

    def attach(self, listener: BusListener) -> None:
        """Like ``connect``, without an event loop."""
        self._listener = listener
        self._network.buses.append(self)
        self.is_connected = True

    def detach(self) -> None:
        """Like ``aclose``, without an event loop."""
        self.is_connected = False
        if self in self._network.buses:
            self._network.buses.remove(self)

    def cut(self) -> None:
        """Breaks the connection."""
        self.detach()
        if self._listener is not None:
            self._listener.lost("it was cut")

    def mend(self) -> None:
        """Restores the connection."""
        if self._listener is not None:
            self.attach(self._listener)
            self._listener.connected()

    def publish(self, message: Publish) -> bool:
        if not self.is_connected or len(message.data) > self._max_payload:
            return False
        self._network.send(self, message)
        return True

    def subscribe(self, subject: str) -> None:
        self._subjects.add(subject)

    def unsubscribe(self, subject: str) -> None:
        self._subjects.discard(subject)

    def has_subscribed(self, subject: str) -> bool:
        """Whether a subscription matches a subject."""
        words = subject.split(".")
        return any(_matches(each.split("."), words) for each in self._subjects)

    def arrive(self, message: Arrival) -> None:
        """Passes a message to the listener; drops it if there is no connection."""
        if self.is_connected and self._listener is not None:
            self._listener.arrived(message)


def _matches(pattern: list[str], words: list[str]) -> bool:
    return len(pattern) == len(words) and all(
        wanted in ("*", word) for wanted, word in zip(pattern, words)
    )
