"""The protocol between servers, on a bus in memory: limits, allow lists, names, and faults."""

from __future__ import annotations

import json
import sys

import pytest

from tests.notify.simulated import Member, World, notify_of
from vfiipc.notify.actions import TellUndeliverable, Unicast
from vfiipc.notify.allow import parse_allow_list
from vfiipc.notify.bus import Arrival
from vfiipc.notify.envelopes import (
    REGISTRATIONS_BODY,
    decode_changes,
    encode_changes,
    registrations_subject,
)
from vfiipc.notify.json_members import MalformedPayload
from vfiipc.notify.messages import Notify, Register, UnicastError, Unregister
from vfiipc.notify.registrations import Change, Departed, Registered, Withdrawn
from vfiipc.notify.unicast_errors import UnicastErrors
from vfiipc.notify.windows import Windows


def taken(member: Member) -> list[bytes]:
    """The parameters of the notifications that its clients received since the last call."""
    found = [notify_of(delivery).parameter for delivery in member.delivered]
    member.delivered.clear()
    return found


def test_a_unicast_goes_to_the_best_candidate_and_prefers_the_own_server() -> None:  # NFY-G11
    world = World()
    one, two, three = world.settled("one", "two", "three")
    clients = [member.client() for member in (one, two, three)]
    for member, client in zip((one, two, three), clients):
        member.register(client, "printer", "x", 1)
    world.network.deliver_all()
    for number, (member, client) in enumerate(zip((one, two, three), clients)):
        member.notify(client, "1", "x", b"%d" % number)
        world.network.deliver_all()
        assert taken(member) == [b"%d" % number]
    two.register(clients[1], "printer", "x", 2)
    world.network.deliver_all()
    three.notify(clients[2], "printer", "x", b"9")
    world.network.deliver_all()
    assert (taken(one), taken(two), taken(three)) == ([], [b"9"], [])


def test_unicasts_queued_for_a_client_that_left_go_to_another_server() -> None:  # NFY-Q3
    world = World()
    one, two = world.settled("one", "two")
    sender, best, other = one.client(), two.client(), one.client()
    two.register(best, "printer", "x", 5)
    one.register(other, "printer", "x", 1)
    world.network.deliver_all()
    one.notify(sender, "printer", "x", b"1.10")
    world.network.deliver_all()
    two.gone(best, two.delivered)
    world.network.deliver_all()
    assert taken(one) == [b"1.10"]
    assert one.errors == []


def with_two_candidates() -> tuple[World, Member, Member, Member, int]:
    """Three servers: the first has a sending client, the second and third have printers."""
    world = World()
    one, two, three = world.settled("one", "two", "three")
    two.register(two.client(), "printer", "x", 5)
    three.register(three.client(), "printer", "x", 1)
    world.network.deliver_all()
    return world, one, two, three, one.client()


def test_without_a_reply_the_sender_gets_an_error_and_no_other_client_the_unicast() -> (
    None
):  # NFY-G13
    world, one, two, three, sender = with_two_candidates()
    one.notify(sender, "printer", "x", b"7")
    (request,) = world.network.in_flight
    world.network.lose()
    world.pass_time(1.75)
    assert one.errors == []
    world.pass_time(0.5)
    assert [each.error.parameter for each in one.errors] == [b"7"]
    request.to.arrive(request.message)  # late
    world.network.deliver_all()
    (delivery,) = two.delivered
    two.send_back(delivery)
    world.network.deliver_all()
    assert (len(one.errors), taken(three)) == (1, [])


def test_an_error_waits_for_the_outcome_of_earlier_unicasts() -> None:  # NFY-G18
    world, one, two, three, sender = with_two_candidates()
    other = one.client()
    one.notify(sender, "printer", "x", b"1")
    one.notify(sender, "nobody", "x", b"2")
    one.notify(other, "nobody", "x", b"3")
    assert told(one) == [(other, b"3")]  # errors of other clients do not wait
    world.network.deliver_all()
    assert told(one) == [(sender, b"2")]
    one.notify(sender, "printer", "x", b"4")
    world.network.lose()
    one.notify(sender, "nobody", "x", b"5")
    one.notify(sender, "printer", "x", b"6")
    world.pass_time(1.75)
    assert told(one) == []
    world.pass_time(0.5)
    assert told(one) == [(sender, b"4"), (sender, b"5")]
    two.kill()  # three is asked next, and does not answer
    taken(three)
    one.notify(sender, "printer", "x", b"7")
    one.notify(sender, "nobody", "x", b"8")
    while not three.delivered:
        world.network.deliver()
    assert told(one) == []
    world.network.deliver_all()
    assert told(one) == [(sender, b"8")]
    one.notify(sender, "printer", "x", b"9")
    one.notify(sender, "nobody", "x", b"10")
    one.gone(sender)
    world.pass_time(3.0)
    assert told(one) == [(sender, b"10")]  # dropped by whoever writes to clients


def test_the_number_of_waiting_errors_is_limited() -> None:  # NFY-G18
    for size, count in ((60_000, 300), (1, 20_000)):
        errors = UnicastErrors()
        unicast = Unicast(1, Notify("sender", "printer", "x", b"1", reference=1))
        errors.asked(unicast)
        error = UnicastError("sender", "nobody", "x", b"9" * size)
        told = [errors.tell(TellUndeliverable(1, error, 2 + number)) for number in range(count)]
        at_once = sum(map(len, told))
        assert 10 < at_once < count / 4
        assert len(errors.decided(unicast)) == count - at_once
        errors.asked(unicast)
        assert errors.tell(TellUndeliverable(1, error, 2 + count)) == []


def told(member: Member) -> list[tuple[int, bytes]]:
    """The clients that received unicast errors since the last call, with the parameters."""
    found = [(each.client, each.error.parameter) for each in member.errors]
    member.errors.clear()
    return found


def test_a_missing_server_is_skipped_for_the_next_candidate() -> None:  # NFY-G12
    world, one, two, three, sender = with_two_candidates()
    two.kill()
    one.notify(sender, "printer", "x", b"7")
    world.network.deliver_all()
    assert taken(three) == [b"7"]
    three.kill()
    one.notify(sender, "printer", "x", b"8")
    world.network.deliver_all()
    assert [each.error.parameter for each in one.errors] == [b"8"]


def test_a_server_without_heartbeats_expires_after_three_seconds() -> None:  # NFY-G5
    world = World()
    one, two = world.settled("one", "two")
    two.register(two.client(), "printer", "x")
    world.network.deliver_all()
    two.kill()
    world.pass_time(1.5)
    assert one.imported() == {"two": two.own()}
    world.pass_time(1.5)
    assert one.imported() == {}
    assert "server two is gone: no heartbeat" in one.logged


def test_a_leaving_server_is_removed_at_once() -> None:  # NFY-G5
    world = World()
    one, two = world.settled("one", "two")
    two.do(two.node.leave(world.now))
    world.network.deliver_all()
    assert one.imported() == {}


@pytest.mark.parametrize("order", [("older", "newer"), ("newer", "older")])
def test_of_two_servers_with_the_same_name_the_first_stays(
    order: tuple[str, str],
) -> None:  # NFY-G4
    world = World()
    made = dict(zip(("older", "newer"), (world.server("same"), world.server("same"))))
    assert all(each.node.is_joined for each in made.values()) is False
    world.pass_time(2.0)  # both claimed the name when it was free
    for name in order:
        made[name].tick()
    world.pass_time(3.0)
    assert (made["older"].is_taken, made["newer"].is_taken) == (False, True)


def test_a_name_in_use_is_refused_regardless_of_session_age() -> None:  # NFY-G4
    world = World()
    (one,) = world.settled("same")
    late = world.server("same")
    world.network.deliver_all()
    assert (one.is_taken, late.is_taken, late.node.is_joined) == (False, True, False)


def test_a_late_heartbeat_of_an_earlier_server_does_not_take_the_name() -> None:
    world = World()
    one, two = world.settled("one", "two")
    world.now += 1.0
    two.tick()
    heartbeat = world.network.in_flight[0].message
    two.kill()
    world.network.in_flight.clear()
    again = world.server("two")
    world.pass_time(2.0)
    again.do(again.node.receive(world.now, [heartbeat]))
    world.pass_time(3.0)
    assert again.node.is_joined
    assert not again.is_taken
    assert set(one.imported()) == {"two"}


def test_registrations_above_the_limit_are_ignored_until_there_is_room() -> None:  # NFY-G8
    world = World()
    two = world.server("two")
    client = two.client()
    for number in range(5):
        two.register(client, "app", f"x {number}")
    world.pass_time(2.0)
    one = world.server("one", most=3)
    world.pass_time(3.0)
    assert len(one.imported()["two"]) == 3
    assert sum("too many" in line for line in one.logged) == 1
    for number in range(5, 9):
        two.register(client, "app", f"x {number}")
    world.pass_time(2.0)
    assert len(one.imported()["two"]) == 3
    for number in range(7):
        two.unregister(client, "app", f"x {number}")
    world.pass_time(2.0)
    assert one.imported()["two"] == two.own()


def test_envelopes_about_registrations_of_another_server_are_refused() -> None:  # NFY-G8
    world = World()
    one, two = world.settled("one", "two")
    two.register(two.client(), "app", "x")
    world.network.deliver_all()
    head = {"type": "leave", "node": "two", "session": "00000002", "number": 1000}
    evil = Arrival(registrations_subject("evil"), json.dumps(head).encode() + b"\n")
    one.do(one.node.receive(world.now, [evil, evil]))
    assert one.imported() == {"two": two.own()}
    assert sum("malformed" in line for line in one.logged) == 1  # NFY-G3


def test_the_allow_lists_of_both_servers_apply() -> None:  # NFY-G17
    world = World()
    in_only = parse_allow_list("in * * open\n")
    free, guarded = world.server("free"), world.server("guarded", in_only)
    world.pass_time(2.0)
    sender, local, remote = free.client(), guarded.client(), guarded.client(local=False)
    for name in ("open", "shut"):
        guarded.register(local, f"local {name}", name)
        guarded.register(remote, f"remote {name}", name)
        free.register(sender, "free", f"out {name}")
    world.network.deliver_all()
    free.notify(sender, "local open", "open", b"1")
    free.notify(sender, "local shut", "shut", b"2")
    free.notify(sender, "remote open", "open", b"3")
    free.notify(sender, "*", "shut", b"4")
    guarded.notify(local, "free", "out open", b"5")
    guarded.notify(local, "*", "out open", b"6")
    world.network.deliver_all()
    assert taken(guarded) == [b"1"]
    assert taken(free) == []
    assert [each.error.parameter for each in free.errors] == [b"2", b"3"]
    assert [each.error.parameter for each in guarded.errors] == [b"5"]
    told = [(each.direction, each.notify.parameter, each.node) for each in guarded.refused]
    assert told == [
        ("out", b"5", ""),
        ("out", b"6", ""),
        ("in", b"2", "free"),
        ("out", b"3", "free"),
        ("in", b"4", "free"),
    ]


def test_nothing_is_sent_back_to_the_bus_or_without_subscribers() -> None:  # NFY-G14
    world = World()
    one, two, three = world.settled("one", "two", "three")
    sender = one.client()
    for member in (two, three):
        member.register(member.client(), "app", "x")
    world.network.deliver_all()
    before = {member: member.published.copy() for member in (one, two, three)}
    one.notify(sender, "*", "x", b"1")
    assert len(world.network.in_flight) == 2
    one.notify(sender, "*", "y", b"2")
    assert len(world.network.in_flight) == 2
    world.network.deliver_all()
    assert (one.published - before[one])["all"] == 2
    assert two.published == before[two]
    assert three.published == before[three]


def test_observers_see_events_of_other_servers_once() -> None:  # NFY-G15
    world = World()
    one, two = world.settled("one", "two")
    sender, receiver = one.client(), two.client()
    two.register(receiver, "app", "x")
    for member in (one, two):
        member.observe(member.client())
    world.network.deliver_all()
    for to in ("app", "*", "nobody"):
        one.notify(sender, to, "x")
        world.network.deliver_all()
    for member in (one, two):
        assert [each.to for each in member.observed] == ["app", "app", ""]
    for member in (one, two):
        member.observe(max(member.router.observers), wanted=False)
    world.network.deliver_all()
    before = two.published.copy()
    one.notify(sender, "*", "x")
    world.network.deliver_all()
    assert two.published == before


def test_local_routing_works_while_the_bus_is_interrupted() -> None:  # NFY-G16
    world = World()
    one, two = world.settled("one", "two")
    sender, local, remote = one.client(), one.client(), two.client()
    one.register(local, "app", "x", 1)
    two.register(remote, "app", "x", 9)
    world.network.deliver_all()
    one.bus.cut()
    one.notify(sender, "app", "x", b"1")
    assert taken(one) == [b"1"]
    world.pass_time(4.0)
    assert (one.imported(), two.imported()) == ({}, {})
    one.bus.mend()
    world.pass_time(2.0)
    one.notify(sender, "app", "x", b"2")
    world.network.deliver_all()
    assert taken(two) == [b"2"]


def test_candidates_on_an_unreachable_server_are_skipped() -> None:  # NFY-G12, NFY-G16
    world = World()
    one, two, three = world.settled("one", "two", "three")
    sender, local = one.client(), one.client()
    one.register(local, "app", "x", 1)
    for _ in range(sys.getrecursionlimit() + 100):
        two.register(two.client(), "app", "x", 9)
    three.register(three.client(), "app", "x", 5)
    world.network.deliver_all()
    one.bus.cut()
    one.notify(sender, "app", "x", b"1")
    assert taken(one) == [b"1"]
    one.unregister(local, "app", "x")
    one.notify(sender, "app", "x", b"2")
    assert told(one) == [(sender, b"2")]
    one.bus.mend()
    world.pass_time(1.0)
    two.kill()  # its subject has no subscriber now
    before = one.published["to"]
    one.notify(sender, "app", "x", b"3")
    world.network.deliver_all()
    assert taken(three) == [b"3"]
    assert one.published["to"] - before == 2


def test_changes_can_be_encoded_in_several_parts_and_decoded() -> None:  # NFY-G7
    changes: list[Change] = []
    for number in range(400):
        odd = "\x01\N{SNOWMAN}" * 60 if number % 2 else "\x01" * 255
        changes.append(Registered(number, number + 1, Register(odd, odd, -number)))
        changes.append(Withdrawn(number, Unregister("a", f"b {number}")))
        changes.append(Departed(number))
    bodies = list(encode_changes(changes))
    assert max(map(len, bodies)) <= REGISTRATIONS_BODY
    assert [change for body in bodies for change in decode_changes(body)] == changes
    assert list(encode_changes([])) == [b"[]"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b"[[]]",
        b'[["1"]]',
        b"[[true]]",
        b"[[-1]]",
        b"[[1,2]]",
        b'[[1,"a","x",2,3,4]]',
        b'[[1,"*","x",2,3]]',
        b'[[1,"a","",2,3]]',
        b'[[1,"a","x",2,4294967296]]',
        b'[[1,"a","x",2.5,3]]',
        b"[" * 100_000,
        b'[[1,"\\ud800","x"]]',
    ],
)
def test_invalid_changes_are_malformed(body: bytes) -> None:  # NFY-G3
    with pytest.raises(MalformedPayload):
        decode_changes(body)


def test_duplicate_and_old_numbers_are_detected() -> None:  # NFY-G10
    windows = Windows()
    numbers = [5, 1, 5, 1, 4100, 5, 4, 4101, 4101, 10**12, 4102, 10**12 - 1]
    found = [windows.is_first("s", number) for number in numbers]
    assert found == [n == 1 for n in (1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1)]
    assert windows.is_first("t", 5)
