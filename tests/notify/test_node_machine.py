"""Servers on a bus that loses, delays, reorders and duplicates messages."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.helpers.examples import examples
from tests.notify.simulated import Member, World, notify_of
from vfiipc.notify.actions import Deliver

NAMES = ["a", "b", "c"]
RECEIVERS = st.sampled_from(["printer", "till"])
NOTIFICATIONS = st.sampled_from(["status", "beacon"])
PICK = st.integers(0, 1 << 16)


class Held(NamedTuple):
    """A unicast that a client received, and has not sent back."""

    member: Member
    delivery: Deliver


class ServersMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.sent = itertools.count(1)
        self.clients: list[tuple[Member, int]] = []
        self.held: dict[bytes, list[Held]] = {}
        self.heard: Counter[tuple[bytes, int, int]] = Counter()
        for name in NAMES:
            self.start(name)
        self.world.pass_time(1.5)

    def start(self, name: str) -> None:
        self.clients.append((member := self.world.server(name), member.client()))

    def pick(self, number: int) -> tuple[Member, int]:
        return self.clients[number % len(self.clients)]

    # --- the bus

    @precondition(lambda self: self.world.network.in_flight)
    @rule(number=PICK, keep=st.sampled_from([False, False, True]))
    def deliver(self, number: int, keep: bool) -> None:
        in_flight = self.world.network.in_flight
        self.world.network.deliver(number % len(in_flight), keep=keep)
        del in_flight[200:]  # limits the number of duplicates

    @precondition(lambda self: self.world.network.in_flight)
    @rule(number=PICK)
    def lose(self, number: int) -> None:
        self.world.network.lose(number % len(self.world.network.in_flight))

    @rule()
    def deliver_all(self) -> None:
        self.world.network.deliver_all()

    @rule(number=PICK)
    def cut(self, number: int) -> None:
        self.pick(number)[0].bus.cut()

    @rule(number=PICK)
    def mend(self, number: int) -> None:
        member = self.pick(number)[0]
        if not member.bus.is_connected:
            member.bus.mend()

    # --- time

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.5]), deliver=st.booleans())
    def pass_time(self, seconds: float, deliver: bool) -> None:
        self.world.pass_time(seconds, deliver=deliver)

    @rule(number=PICK)
    def pause(self, number: int) -> None:
        self.pick(number)[0].is_paused = True

    @rule()
    def resume(self) -> None:
        for member in self.world.members:
            if member.is_paused:
                member.resume()

    # --- servers and clients

    @rule(number=PICK)
    def kill_and_start_again(self, number: int) -> None:
        killed, _ = self.pick(number)
        killed.kill()
        self.clients = [each for each in self.clients if each[0] is not killed]
        self.start(killed.node.name)

    @rule(number=PICK)
    def connect(self, number: int) -> None:
        member, _ = self.pick(number)
        if len(self.clients) < 9:
            self.clients.append((member, member.client()))

    @rule(number=PICK)
    def disconnect(self, number: int) -> None:
        member, client = self.pick(number)
        if sum(each is member for each, _ in self.clients) > 1:
            self.clients.remove((member, client))
            member.gone(client)

    @rule(number=PICK, receiver=RECEIVERS, notification=NOTIFICATIONS, priority=st.integers(0, 2))
    def register(self, number: int, receiver: str, notification: str, priority: int) -> None:
        member, client = self.pick(number)
        member.register(client, receiver, notification, priority)

    @rule(number=PICK, receiver=RECEIVERS, notification=NOTIFICATIONS)
    def unregister(self, number: int, receiver: str, notification: str) -> None:
        member, client = self.pick(number)
        member.unregister(client, receiver, notification)

    @rule(number=PICK, to=RECEIVERS | st.sampled_from("1*"), notification=NOTIFICATIONS)
    def notify(self, number: int, to: str, notification: str) -> None:
        member, client = self.pick(number)
        if not member.is_paused:
            member.notify(client, to, notification, b"%d" % next(self.sent))

    @rule(number=PICK, fates=st.lists(st.sampled_from("dddklw"), min_size=2, max_size=8))
    def send_across(self, number: int, fates: list[str]) -> None:
        """Sends a unicast that others have registered for, and handles each of its messages."""
        ready = [each for each in self.clients if not each[0].is_paused]
        sender, client = ready[number % len(ready)] if ready else (None, 0)
        if sender is None or not sender.bus.is_connected:
            return
        for member, other in self.clients:
            if member is not sender:
                member.register(other, "far", "status", 1)
        self.world.network.deliver_all()
        sender.notify(client, "far", "status", b"%d" % next(self.sent))
        network = self.world.network
        for fate in fates:
            if fate == "w":
                self.world.pass_time(2.25, deliver=False)
            elif network.in_flight and fate == "l":
                network.lose()
            elif network.in_flight:
                network.deliver(keep=fate == "k")

    @precondition(lambda self: any(self.held.values()))
    @rule(number=PICK)
    def send_back(self, number: int) -> None:
        some = [each for each in self.held.values() if each]
        member, delivery = some[number % len(some)].pop()
        if member in self.world.members and not member.is_paused:
            member.send_back(delivery)

    # --- invariants

    @invariant()
    def nothing_arrives_twice(self) -> None:
        for member in self.world.members:
            for delivery in member.delivered:
                notify = notify_of(delivery)
                if delivery.unicast is None:
                    key = (notify.parameter, member.router._first_reference, delivery.client)
                    self.heard[key] += 1
                    assert self.heard[key] == 1
                    continue
                holders = self.held.setdefault(notify.parameter, [])
                holders.append(Held(member, delivery))
                assert len(holders) == 1  # NFY-G10: at most once
            member.delivered.clear()

    def teardown(self) -> None:
        """When no messages are in flight any more, all servers have the same registrations."""
        for member in self.world.members:
            if not member.bus.is_connected:
                member.bus.mend()
        self.resume()
        self.world.pass_time(6.0)
        self.nothing_arrives_twice()
        views = {member.node.name: member.own() for member in self.world.members}
        for member in self.world.members:
            assert not member.is_taken
            others = {name: view for name, view in views.items() if name != member.node.name}
            assert member.imported() == others
            assert not [text for text in member.logged if "malformed" in text]


EXAMPLES = 2000 if os.environ.get("SOAK") else 40
ServersMachine.TestCase.settings = settings(max_examples=examples(EXAMPLES), stateful_step_count=40)
TestServers = ServersMachine.TestCase
