"""The router and a plain model of it go through the same random history."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from tests.helpers.examples import examples
from tests.notify.model import Model, Wish
from vfiipc.notify.actions import Action, Deliver, Observed, Refused, TellUndeliverable
from vfiipc.notify.allow import parse_allow_list
from vfiipc.notify.messages import Notify, Register, Unregister, decode
from vfiipc.notify.router import Router

MOST_REMOTE = 4
FIRST = 1000
IDS = st.sampled_from(["printer", "till", "terminal"])
NOTIFICATIONS = st.sampled_from(["status", "beacon", "kept"])
KEPT = {"kept"}  # may not leave
ALLOW = parse_allow_list("in * * *\nout * * status\nout * * beacon\n")


class RouterMachine(RuleBasedStateMachine):
    clients: Bundle[int] = Bundle("clients")
    sent: Bundle[int] = Bundle("sent")  # references

    def __init__(self) -> None:
        super().__init__()
        self.router = Router(ALLOW, max_remote=MOST_REMOTE, first_reference=FIRST)
        self.model = Model(MOST_REMOTE, KEPT)
        self.local: dict[int, bool] = {}
        self.observers: list[int] = []
        #: By reference: the sender, the notification, and the clients that have had it, in order.
        self.unicasts: dict[int, tuple[int, Notify, list[int]]] = {}
        self.queued: list[Deliver] = []
        self.ended: Counter[int] = Counter()
        self.count = 0

    # Clients

    @rule(target=clients, local=st.booleans())
    def join(self, local: bool) -> int:
        number = self.router.join(local=local)
        assert number not in self.local
        self.local[number] = local
        return number

    @rule(client=consumes(clients))
    def gone(self, client: int) -> None:
        unsent = [each for each in self.queued if each.client == client]
        self.model.gone(client)
        del self.local[client]
        self.observers = [each for each in self.observers if each != client]
        actions = self.router.gone(client, unsent)
        expected = [each.unicast.notify.reference for each in unsent if each.unicast is not None]
        self.settle(actions, [ref for ref in expected if self.holder(ref) == client])

    @rule(client=clients, wanted=st.booleans())
    def observe(self, client: int, wanted: bool) -> None:
        accepted = self.router.observe(client, wanted=wanted)
        assert accepted == (self.local[client] or not wanted)
        self.observers = [each for each in self.observers if each != client]
        if wanted and accepted:
            self.observers.append(client)

    # Registrations

    @rule(client=clients, receiver=IDS, notification=NOTIFICATIONS, priority=st.integers(-1, 1))
    def register(self, client: int, receiver: str, notification: str, priority: int) -> None:
        self.router.register(client, Register(receiver, notification, priority))
        wish = Wish(client, self.local[client], receiver, notification, priority)
        self.model.register(wish)

    @rule(client=clients, receiver=IDS, notification=NOTIFICATIONS)
    def unregister(self, client: int, receiver: str, notification: str) -> None:
        self.router.unregister(client, Unregister(receiver, notification))
        self.model.unregister(Wish(client, self.local[client], receiver, notification, 0))

    # Notifications

    @rule(target=sent, client=clients, to=IDS | st.sampled_from("1*"), notification=NOTIFICATIONS)
    def notify(self, client: int, to: str, notification: str) -> Any:
        reference = FIRST + self.count
        self.count += 1
        notify = Notify("till", to, notification, b"1.10", 7)
        actions = self.router.notify(client, notify)
        if to == "*":
            self.check_broadcast(actions, notification)
            return multiple()
        self.unicasts[reference] = (client, notify, [])
        self.settle(actions, [reference])
        return reference

    @rule(client=clients, reference=sent)
    def returned(self, client: int, reference: int) -> None:
        """By whoever: only the one that holds it can send it back."""
        _, notify, _ = self.unicasts[reference]
        back = Notify(**{**vars(notify), "reference": reference, "parameter": b"other"})
        actions = self.router.notify(client, back)
        self.settle(actions, [reference] if self.holder(reference) == client else [])

    # What must come of it

    def holder(self, reference: int) -> int | None:
        _, _, tried = self.unicasts[reference]
        return tried[-1] if tried and not self.ended[reference] else None

    def check_broadcast(self, actions: list[Action], notification: str) -> None:
        expected = self.model.matching("*", notification)
        deliveries = [each for each in actions if isinstance(each, Deliver)]
        reached = [(each.client, name) for each in deliveries for name in each.receivers]
        assert Counter(reached) == Counter((each.client, each.receiver) for each in expected)
        assert len({each.client for each in deliveries}) == len(deliveries)
        assert all(each.unicast is None for each in deliveries)
        assert not any(isinstance(each, TellUndeliverable) for each in actions)
        self.check_seen(actions, [each.receiver for each in expected] or [""])

    def settle(self, actions: list[Action], references: list[int]) -> None:
        """Each of these unicasts reaches exactly one, of the highest priority, or its sender."""
        resolved = []
        errors = []
        deliveries = iter([each for each in actions if isinstance(each, Deliver)])
        for reference in references:
            sender, notify, tried = self.unicasts[reference]
            best = self.model.best(notify.to, notify.notification, set(tried))
            if best is None:
                self.ended[reference] += 1
                resolved.append("")
                errors += [sender] if sender in self.local else []
                continue
            delivery = next(deliveries)
            assert (delivery.client, delivery.receivers) == (best.client, (best.receiver,))
            assert delivery.client in self.local  # nothing goes to a client that is gone
            expected = Notify(**{**vars(notify), "reference": reference})
            assert decode(delivery.payload) == expected
            tried.append(best.client)
            resolved.append(best.receiver)
            self.queued.append(delivery)
        assert next(deliveries, None) is None
        assert [each.client for each in actions if isinstance(each, TellUndeliverable)] == errors
        assert max(self.ended.values(), default=0) <= 1  # one error at most for each
        self.check_seen(actions, resolved)

    def check_seen(self, actions: list[Action], receivers: list[str]) -> None:
        seen = [each for each in actions if isinstance(each, Observed)]
        if not self.observers:
            assert seen == []
            return
        assert all(each.clients == tuple(self.observers) for each in seen)
        assert Counter(each.observation.to for each in seen) == Counter(receivers)

    @invariant()
    def the_cap_holds(self) -> None:
        held = [
            registration
            for number, client in self.router._clients.items()
            for registration in client.registrations.values()
            if not self.local[number]
        ]
        assert len(held) <= MOST_REMOTE
        assert self.router._remote == len(held)

    @invariant()
    def nothing_is_left_behind(self) -> None:
        kept = [each for topic in self.router._topics.values() for each in topic.all]
        assert len(kept) == len(self.model.wishes)
        assert all(topic.all for topic in self.router._topics.values())


RouterMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40)
TestRouter = RouterMachine.TestCase


def test_what_may_not_leave_is_refused_and_reported() -> None:
    router = Router(ALLOW, first_reference=FIRST)
    sender, remote = router.join(local=True), router.join(local=False)
    router.register(remote, Register("printer", "kept"))
    notify = Notify("till", "printer", "kept", b"0")
    refused, error = router.notify(sender, notify)
    assert isinstance(refused, Refused)
    assert isinstance(error, TellUndeliverable)
    assert (refused.client, refused.direction) == (sender, "out")
    assert error.client == sender
