"""What carries messages between servers; and one in memory, for tests of what they say.

A bus delivers what is published to those that have subscribed to its subject, at most once, and
never to the one that published it (NFY-G1). Whoever publishes with ``reply`` gets what others
publish under that subject, or ``nobody`` if no one has subscribed to what was published.
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
    """The bus cannot be used: there is no connection, it is not fit, or the name is taken."""


class Arrival(NamedTuple):
    """A message from the bus. With ``nobody``, what was published for a reply reached no one."""

    subject: str
    data: bytes
    reply: str = ""
    nobody: bool = False


class Publish(NamedTuple):
    """A message for the bus; a reply to it comes with the subject ``reply``."""

    subject: str
    data: bytes
    reply: str = ""

    def __repr__(self) -> str:
        return f"Publish(subject={self.subject!r}, {len(self.data)} bytes, reply={self.reply!r})"


class Subscribe(NamedTuple):
    """Messages with this subject are wanted; ``*`` stands for any one of its words."""

    subject: str


class Unsubscribe(NamedTuple):
    """Messages with this subject are no longer wanted."""

    subject: str


BusMessage: TypeAlias = "Publish | Subscribe | Unsubscribe"


class BusListener(NamedTuple):
    """Who is told what of a bus.

    Attributes:
        arrived: a message has arrived.
        connected: there is a connection again.
        lost: there is none, for this reason.
    """

    arrived: Callable[[Arrival], None]
    connected: Callable[[], None]
    lost: Callable[[str], None]


class Bus(ABC):
    """A connection to a bus, which is made again when it is lost. Belongs to one loop."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is, for texts."""

    @property
    @abstractmethod
    def max_payload(self) -> int:
        """The most bytes of a message."""

    @abstractmethod
    async def connect(self, listener: BusListener) -> None:
        """Connects.

        Raises:
            BusError: it cannot be done.
        """

    @abstractmethod
    def publish(self, message: Publish) -> bool:
        """Sends a message, soon; False if that cannot be done, so that it reaches nobody."""

    @abstractmethod
    def subscribe(self, subject: str) -> None:
        """Messages with this subject are wanted from now on, also over later connections."""

    @abstractmethod
    def unsubscribe(self, subject: str) -> None:
        """Messages with this subject are no longer wanted."""

    @property
    @abstractmethod
    def is_crowded(self) -> bool:
        """Whether so much waits to be sent that others should get a chance to do that."""

    @abstractmethod
    async def aclose(self) -> None:
        """Sends what was published, and ends the connection for good."""


# --- in memory ------------------------------------------------------------------------------------


class InFlight(NamedTuple):
    """A message on its way to one of those that have subscribed."""

    to: MemoryBus
    message: Arrival


class MemoryNetwork:
    """What several ``MemoryBus`` objects share.

    Messages stay in ``in_flight`` until they are delivered, in any order and any number of times.

    Args:
        published: is called when there is something to deliver.
    """

    def __init__(self, published: Callable[[], None] = lambda: None) -> None:
        self.in_flight: list[InFlight] = []
        self.buses: list[MemoryBus] = []
        self._published = published

    def deliver(self, index: int = 0, *, keep: bool = False) -> None:
        """Delivers a message; with ``keep`` it can be delivered once more."""
        to, message = self.in_flight[index] if keep else self.in_flight.pop(index)
        to.arrive(message)

    def deliver_all(self) -> None:
        """Delivers everything in order, and what is published on account of it."""
        while self.in_flight:
            self.deliver()

    def lose(self, index: int = 0) -> None:
        """Nobody gets this message."""
        del self.in_flight[index]

    def send(self, sender: MemoryBus, message: Publish) -> None:
        """What a bus does with a message."""
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
        network: connects it with others.
        max_payload: the most bytes of a message.
    """

    def __init__(self, network: MemoryNetwork, max_payload: int = 1 << 20) -> None:
        self._network = network
        self._max_payload = max_payload
        self._subjects: set[str] = set()
        self._listener: BusListener | None = None
        #: Whether messages come and go.
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
        """As ``connect``, without a loop."""
        self._listener = listener
        self._network.buses.append(self)
        self.is_connected = True

    def detach(self) -> None:
        """As ``aclose``, without a loop."""
        self.is_connected = False
        if self in self._network.buses:
            self._network.buses.remove(self)

    def cut(self) -> None:
        """The connection is lost."""
        self.detach()
        if self._listener is not None:
            self._listener.lost("it was cut")

    def mend(self) -> None:
        """There is a connection again."""
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
        """Whether it wants messages with a subject."""
        words = subject.split(".")
        return any(_matches(each.split("."), words) for each in self._subjects)

    def arrive(self, message: Arrival) -> None:
        """A message has arrived; it is lost without a connection."""
        if self.is_connected and self._listener is not None:
            self._listener.arrived(message)


def _matches(pattern: list[str], words: list[str]) -> bool:
    return len(pattern) == len(words) and all(
        wanted in ("*", word) for wanted, word in zip(pattern, words)
    )
