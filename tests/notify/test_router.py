"""What the vectors and the state machine do not show of the router: limits, memory, work."""

from __future__ import annotations

import pytest

from tests.helpers.cost import quickest
from vfiipc.notify import remembered as module
from vfiipc.notify.actions import Deliver, TellUndeliverable
from vfiipc.notify.messages import Notify, Register, decode
from vfiipc.notify.router import Router


def pair() -> tuple[Router, int, int]:
    router = Router(first_reference=1000)
    sender, receiver = router.join(local=True), router.join(local=True)
    router.register(receiver, Register("printer", "status"))
    return router, sender, receiver


def returned(delivery: object) -> Notify:
    assert isinstance(delivery, Deliver)
    notify = decode(delivery.payload)
    assert isinstance(notify, Notify)
    return notify


def test_what_comes_back_is_forwarded_as_its_sender_wrote_it() -> None:  # NFY-B3, NFY-M7
    router, sender, receiver = pair()
    other = router.join(local=True)
    router.register(other, Register("printer", "status", -1))
    (delivery,) = router.notify(sender, Notify("till", "printer", "status", b"1.10"))
    back = returned(delivery)
    changed = Notify(**{**vars(back), "parameter": b"1.1", "flags": 9})
    (again,) = router.notify(receiver, changed)
    assert returned(again) == back


def test_another_notification_with_an_old_reference_is_a_new_one() -> None:
    router, sender, receiver = pair()
    (delivery,) = router.notify(sender, Notify("till", "printer", "status", b"0"))
    back = returned(delivery)
    new = Notify("printer", "printer", "status", b"1", 0, back.reference)
    (forwarded,) = router.notify(receiver, new)
    assert returned(forwarded).reference == back.reference + 1


@pytest.mark.parametrize(("limit", "value"), [("REMEMBERED", 3), ("REMEMBERED_SIZE", 30)])
def test_only_the_last_unicasts_can_come_back(
    limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:  # NFY-B5
    monkeypatch.setattr(module, limit, value)
    router, sender, receiver = pair()
    sent = [
        returned(router.notify(sender, Notify("till", "1", "status", b'"%08d"' % each))[0])
        for each in range(5)
    ]
    answers = [router.notify(receiver, each) for each in sent]
    assert [len(each) for each in answers] == [0, 0, 1, 1, 1]
    assert all(isinstance(each[0], TellUndeliverable) for each in answers[2:])
    assert router._remembered._unicasts == {}


def test_finished_unicasts_are_forgotten() -> None:
    router, sender, receiver = pair()
    for _ in range(100):
        router.notify(sender, Notify("till", "nobody", "status", b"0"))
    assert router._remembered._unicasts == {}
    assert len(router._remembered._order) == 0
    router.gone(receiver)
    assert router._topics == {}


def test_a_notification_costs_the_same_among_5000_registrations() -> None:
    def cost(registrations: int) -> float:
        router, sender, receiver = pair()
        for each in range(registrations):
            router.register(receiver, Register("printer", f"other {each}"))
        notify = Notify("till", "printer", "status", b"0")

        def send() -> None:
            for _ in range(500):
                router.notify(sender, notify)

        return quickest(send)

    assert cost(5000) < 2 * cost(50) + 0.005


def test_a_unicast_costs_the_same_among_many_receivers_of_its_id() -> None:
    def cost(receivers: int) -> float:
        router, sender, receiver = pair()
        for each in range(receivers):
            router.register(receiver, Register(f"other {each}", "status"))

        def send() -> None:
            for to in ("printer", "1") * 250:
                router.notify(sender, Notify("till", to, "status", b"0"))

        return quickest(send)

    assert cost(5000) < 2 * cost(50) + 0.005


def test_many_registrations_go_at_once() -> None:
    router, _, receiver = pair()
    for each in range(5000):
        router.register(receiver, Register(f"other {each}", "status"))
    assert quickest(lambda: router.register(receiver, Register("printer", "status"))) < 0.05
    router.gone(receiver)
    assert router._topics == {}
