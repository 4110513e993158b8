"""Servers on a bus in memory, in one thread, with a clock that tests move on."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

from vfiipc.notify.actions import Deliver, Observed, Refused, TellUndeliverable
from vfiipc.notify.allow import AllowList
from vfiipc.notify.bus import (
    Arrival,
    BusListener,
    MemoryBus,
    MemoryNetwork,
    Publish,
    Subscribe,
    Unsubscribe,
)
from vfiipc.notify.messages import Notify, Observation, Register, Unregister, decode
from vfiipc.notify.node import Node
from vfiipc.notify.outbox import LogLine, NameTaken, Output
from vfiipc.notify.peers import MAX_IMPORTED
from vfiipc.notify.router import Router

TICK = 0.25
#: What one server knows of another one's registrations: client, age, receiver, ID, priority.
View = set[tuple[int, int, str, str, int]]


class World:
    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.now = 0.0
        self.members: list[Member] = []
        self._sessions = itertools.count(1)
        self._references = itertools.count(1)

    def session(self) -> str:
        return f"{next(self._sessions):08d}"

    def first_reference(self) -> int:
        return next(self._references) << 32

    def server(self, name: str, allow: AllowList | None = None, most: int = MAX_IMPORTED) -> Member:
        member = Member(self, name, allow, most)
        self.members.append(member)
        return member

    def pass_time(self, seconds: float, *, deliver: bool = True) -> None:
        """Ticks for all that run, each followed by the delivery of everything."""
        end = self.now + seconds
        while self.now < end:
            self.now += TICK
            for member in list(self.members):
                member.tick()
            if deliver:
                self.network.deliver_all()

    def settled(self, *names: str, allow: AllowList | None = None) -> list[Member]:
        """Servers that know each other."""
        made = [self.server(name, allow) for name in names]
        self.pass_time(2.0)
        return made


class Member:
    """A server: the parts that do no I/O, and a list of what would have gone to its clients."""

    def __init__(self, world: World, name: str, allow: AllowList | None, most: int) -> None:
        self.world = world
        self.router = Router(
            allow, max_remote=100, first_reference=world.first_reference(), shared=True
        )
        self.node = Node(name, self.router, sessions=world.session, max_imported=most)
        self.bus = MemoryBus(world.network)
        self.delivered: list[Deliver] = []
        self.errors: list[TellUndeliverable] = []
        self.observed: list[Observation] = []
        self.refused: list[Refused] = []
        self.logged: list[str] = []
        self.published: Counter[str] = Counter()
        self.is_taken = False
        self.is_paused = False
        self._waiting: list[Arrival] = []
        self.bus.attach(BusListener(self._arrived, self._connected, lambda _: None))
        self.do(self.node.join(world.now))

    def _arrived(self, incoming: Arrival) -> None:
        if self.is_paused:
            self._waiting.append(incoming)
        else:
            self.do(self.node.receive(self.world.now, [incoming]))

    def _connected(self) -> None:
        self.do(self.node.connected(self.world.now))

    def tick(self) -> None:
        if not self.is_paused:
            self.do(self.node.tick(self.world.now))

    def resume(self) -> None:
        """Goes on after a pause, with all that has arrived meanwhile."""
        self.is_paused = False
        waiting, self._waiting = self._waiting, []
        self.do(self.node.receive(self.world.now, waiting))

    def kill(self) -> None:
        self.bus.detach()
        self.world.members.remove(self)
        self.is_paused = False

    def do(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Publish):
                self.published[output.subject.split(".")[2]] += 1
                if not self.bus.publish(output):
                    self.do(self.node.unsent(self.world.now, output))
            elif isinstance(output, Subscribe):
                self.bus.subscribe(output.subject)
            elif isinstance(output, Unsubscribe):
                self.bus.unsubscribe(output.subject)
            else:
                self._note(output)

    def _note(self, output: Output) -> None:
        if isinstance(output, NameTaken):
            self.is_taken = True
        elif isinstance(output, LogLine):
            self.logged.append(output.text % output.about)
        elif isinstance(output, Deliver):
            self.delivered.append(output)
        elif isinstance(output, TellUndeliverable):
            self.errors.append(output)
        elif isinstance(output, Refused):
            self.refused.append(output)
        elif isinstance(output, Observed):
            self.observed += [output.observation] * len(output.clients)
        else:
            raise AssertionError(f"{output} is not for a client")

    # Clients

    def client(self, *, local: bool = True) -> int:
        return self.router.join(local=local)

    def gone(self, client: int, unsent: Iterable[Deliver] = ()) -> None:
        self.do(self.node.carry(self.world.now, self.router.gone(client, unsent)))

    def register(self, client: int, receiver: str, notification: str, priority: int = 0) -> None:
        self.router.register(client, Register(receiver, notification, priority))
        self.do(self.node.carry(self.world.now, ()))

    def unregister(self, client: int, receiver: str, notification: str) -> None:
        self.router.unregister(client, Unregister(receiver, notification))
        self.do(self.node.carry(self.world.now, ()))

    def observe(self, client: int, *, wanted: bool = True) -> None:
        self.router.observe(client, wanted=wanted)
        self.do(self.node.carry(self.world.now, ()))

    def notify(self, client: int, to: str, notification: str, parameter: bytes = b"0") -> None:
        notify = Notify("sender", to, notification, parameter)
        self.do(self.node.carry(self.world.now, self.router.notify(client, notify)))

    def send_back(self, delivery: Deliver) -> None:
        notify = notify_of(delivery)
        self.do(self.node.carry(self.world.now, self.router.notify(delivery.client, notify)))

    # Views

    def own(self) -> View:
        return {
            (client, age, wish.to, wish.notification, wish.priority)
            for client, age, wish in self.router.own()
        }

    def imported(self) -> dict[str, View]:
        return {
            peer.node: {
                (client, age, wish.to, wish.notification, wish.priority)
                for client, number in peer.clients.items()
                for _, age, wish in self.router.registrations(number)
            }
            for peer in self.node.peers
        }


def notify_of(delivery: Deliver) -> Notify:
    notify = decode(delivery.payload)
    assert isinstance(notify, Notify)
    return notify
