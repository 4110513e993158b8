"""``Exchange`` against a plain model: every message is in one place, and goes where it belongs."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vfiipc.codec import Message
from vfiipc.exchange import ConnectionClosed, Exchange

from .waiters import Caller

IDS = range(1, 6)
MAX_COUNT, MAX_SIZE = 3, 8
MESSAGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), min_size=1, max_size=5)


class ExchangeMachine(RuleBasedStateMachine):
    """Lists and sets say what is expected; those that were woken act later, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.exchange: Exchange[Caller] = Exchange(IDS, MAX_COUNT, MAX_SIZE)
        self.count = 0  # of all messages and callers so far, to tell them apart
        self.receivers: list[Caller] = []
        self.requests: dict[int, Caller] = {}
        self.given_up: set[int] = set()
        self.arrived: list[Message] = []
        self.returned: list[Message] = []
        self.inbox: list[Message] = []
        self.woken: list[tuple[Caller, Message]] = []
        self.late = 0
        self.end: ConnectionClosed | None = None

    def caller(self) -> Caller:
        self.count += 1
        return Caller(self.count)

    # --- the model

    def is_full(self) -> bool:
        held = self.returned + self.inbox
        return len(held) >= MAX_COUNT or sum(len(message.data) for message in held) >= MAX_SIZE

    def next_receiver(self) -> Caller | None:
        """The first that still waits; those before it are forgotten."""
        while self.receivers:
            found = self.receivers.pop(0)
            if not found.over:
                return found
        return None

    def expected(self) -> list[tuple[Caller, Message]]:
        granted = []
        while self.arrived and not self.is_full():
            message = self.arrived.pop(0)
            asked = self.requests.pop(message.msg_id, None)
            if asked is not None and not asked.over:
                granted.append((asked, message))
            elif asked is not None:
                self.late += 1
            elif message.msg_id in self.given_up:
                self.given_up.discard(message.msg_id)
                self.late += 1
            elif receiver := self.next_receiver():
                granted.append((receiver, message))
            else:
                self.inbox.append(message)
        return granted

    # --- messages come, and are taken

    @rule(messages=MESSAGES)
    def arrive(self, messages: list[tuple[int, int]]) -> None:
        for msg_id, size in messages:
            self.count += 1
            message = Message(msg_id, b"%05d" % self.count if size == 5 else bytes(size))
            self.exchange.arrived.append(message)
            self.arrived.append(message)
        self.deliver()

    @rule()
    def deliver(self) -> None:
        granted = self.exchange.deliver()
        expected = self.expected()
        assert granted == expected
        assert all(mine[1] is theirs[1] for mine, theirs in zip(granted, expected))
        self.woken += granted

    @rule()
    def receive(self) -> None:
        held = self.returned or self.inbox
        if held:
            assert self.exchange.take() is held.pop(0)
        elif self.end is not None:
            with pytest.raises(ConnectionClosed, match=str(self.end)):
                self.exchange.take()
        else:
            assert self.exchange.take() is None
            receiver = self.caller()
            self.exchange.receivers.append(receiver)
            self.receivers.append(receiver)

    @precondition(lambda self: self.receivers)
    @rule(data=st.data(), leaves=st.booleans())
    def cancel_receiver(self, data: st.DataObject, leaves: bool) -> None:
        receiver = data.draw(st.sampled_from(self.receivers))
        receiver.over = True
        if leaves:
            self.exchange.receivers.remove(receiver)
            self.receivers.remove(receiver)

    @precondition(lambda self: not (self.returned or self.inbox or self.arrived or self.end))
    @rule(receivers=st.integers(1, 3), over=st.booleans(), cancelled=st.lists(st.booleans()))
    def receive_together(self, receivers: int, over: bool, cancelled: list[bool]) -> None:
        """Several wait at once, for fewer or more messages, and wake in their order."""
        for _ in range(receivers):
            self.receive()
        self.arrive([(0, 1)] * len(cancelled[:3]))
        for receiver in self.receivers:
            receiver.over |= over
        for each in cancelled:
            if self.woken:
                self.wake(len(self.woken) - 1 if over else 0, each)

    @precondition(lambda self: self.woken)
    @rule(place=st.integers(0, 3), cancelled=st.booleans())
    def wake(self, place: int, cancelled: bool) -> None:
        """One of those that were granted a message returns it, or puts it back."""
        woken = self.woken.pop(place % len(self.woken))
        message = woken[1]
        if not cancelled:
            expected = message
            if self.returned:
                expected = self.returned.pop(0)
                self.returned.append(message)
            assert self.exchange.oldest(message) is expected
            return
        granted = self.exchange.put_back(message)
        receiver = self.next_receiver()
        if receiver is None:
            self.returned.append(message)
        assert granted == ([(receiver, message)] if receiver else [])
        self.woken += granted

    # --- requests

    @rule()
    def request(self) -> None:
        asking = self.caller()
        if self.end is not None:
            with pytest.raises(ConnectionClosed, match=str(self.end)):
                self.exchange.open_request(asking)
        elif len(self.requests) == len(IDS):
            with pytest.raises(BufferError, match="all 5 request IDs"):
                self.exchange.open_request(asking)
        else:
            msg_id = self.exchange.open_request(asking)
            assert msg_id in IDS
            assert msg_id not in self.requests
            spare = len(self.requests) + len(self.given_up) < len(IDS)
            assert not (spare and msg_id in self.given_up)  # CON-R3
            self.given_up.discard(msg_id)
            self.requests[msg_id] = asking

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), how=st.sampled_from(["cancel", "give up", "withdraw"]))
    def leave_request(self, data: st.DataObject, how: str) -> None:
        msg_id = data.draw(st.sampled_from(sorted(self.requests)))
        asking = self.requests[msg_id]
        self.exchange.give_up(msg_id, Caller("another"))
        self.exchange.withdraw(msg_id, Caller("another"))
        if how == "cancel":
            asking.over = True  # and leaves later, or never
            return
        if how == "give up":
            self.exchange.give_up(msg_id, asking)
            self.given_up.add(msg_id)
        else:
            self.exchange.withdraw(msg_id, asking)
        del self.requests[msg_id]

    # --- the end

    @precondition(lambda self: self.count > 40)
    @rule()
    def finish(self) -> None:
        self.count += 1
        reason = ConnectionClosed(f"reason {self.count}")
        self.end = self.end or reason
        told = self.exchange.finish(reason)
        assert told == self.receivers + ([] if self.arrived else list(self.requests.values()))
        for waiter in told:
            waiter.over = True

    @precondition(lambda self: self.inbox or self.returned or self.arrived)
    @rule()
    def drop(self) -> None:
        self.exchange.drop()
        self.arrived, self.returned, self.inbox = [], [], []

    @invariant()
    def agree(self) -> None:
        exchange = self.exchange
        assert list(exchange.inbox or ()) == self.returned + self.inbox
        assert len(exchange) == len(self.returned + self.inbox)
        assert exchange.arrived == self.arrived
        assert exchange.receivers == self.receivers
        assert exchange.requests.pending == self.requests
        assert exchange.requests.late_answers == self.late
        assert exchange.full == self.is_full()
        assert exchange.end is self.end
        assert {n for n in IDS if exchange.requests.was_given_up(n)} == self.given_up
        size = sum(len(message.data) for message in self.returned + self.inbox)
        half = len(exchange) <= MAX_COUNT // 2 and size <= MAX_SIZE // 2
        assert exchange.half_empty == half
        assert f"{len(exchange)} messages with {size} bytes" in str(exchange.refusal())

    @invariant()
    def nobody_waits_beside_a_message(self) -> None:
        waiting = [receiver for receiver in self.exchange.receivers if not receiver.over]
        assert not (waiting and self.exchange.inbox)


TestExchange = ExchangeMachine.TestCase
