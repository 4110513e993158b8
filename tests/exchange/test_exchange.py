"""Who gets a message: single cases, and the arguments. All the rest is in the state machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc.codec import Message
from vfiipc.exchange import ConnectionClosed, Exchange

from .waiters import Caller

ONE, TWO = Message(1, b"12345"), Message(2, b"")


def with_messages(*messages: Message, count: int = 9, size: int = 100) -> Exchange[Caller]:
    exchange: Exchange[Caller] = Exchange(range(1, 10), count, size)
    exchange.arrived += messages
    assert exchange.deliver() == []
    return exchange


def test_messages_are_taken_in_their_order() -> None:  # CON-C3
    exchange = with_messages(ONE, TWO)
    assert (len(exchange), exchange.take(), exchange.take()) == (2, ONE, TWO)
    assert exchange.take() is None


def test_a_receiver_gets_a_message_that_never_was_in_the_inbox() -> None:
    exchange = with_messages()
    first, second = Caller(), Caller()
    exchange.receivers += [first, second]
    exchange.arrived.append(ONE)
    assert exchange.deliver() == [(first, ONE)]
    assert (exchange.inbox, exchange.receivers) == (None, [second])


def test_a_message_goes_to_its_request_or_to_a_receiver_or_nowhere() -> None:  # CON-R3, CON-R4
    exchange = with_messages()
    asking, gave_up, receiving = Caller(), Caller(), Caller()
    first, second = exchange.open_request(asking), exchange.open_request(gave_up)
    exchange.give_up(second, gave_up)
    exchange.receivers.append(receiving)
    again = Message(first, b"again")
    exchange.arrived += [Message(second, b"late"), Message(first, b""), again]
    assert exchange.deliver() == [(asking, Message(first, b"")), (receiving, again)]
    assert exchange.requests.late_answers == 1
    assert len(exchange) == 0


def test_an_id_that_was_used_again_is_not_given_up() -> None:
    exchange: Exchange[Caller] = Exchange(range(7, 8))
    before, after = Caller(), Caller()
    for leave in (exchange.give_up, exchange.withdraw):
        msg_id = exchange.open_request(before)
        exchange.arrived.append(Message(msg_id, b""))
        exchange.deliver()
        assert exchange.open_request(after) == msg_id
        leave(msg_id, before)
        assert exchange.requests.pending == {7: after}
        exchange.withdraw(7, after)


@pytest.mark.parametrize(
    ("count", "size", "data"), [(2, 100, b""), (100, 6, b"12345")], ids=["count", "size"]
)
def test_is_full_by_number_and_by_size(count: int, size: int, data: bytes) -> None:  # CON-U1
    message = Message(0, data)
    exchange = with_messages(message, count=count, size=size)
    seen = [exchange.full]
    exchange.arrived += [message] * 3
    exchange.deliver()
    assert (len(exchange), exchange.arrived) == (2, [message] * 2)
    seen.append(exchange.full)
    exchange.take()
    seen.append(exchange.full)
    assert seen == [False, True, False]


def test_what_was_put_back_comes_first_and_in_order() -> None:
    exchange = with_messages(Message(3, b""))
    exchange.put_back(ONE)
    exchange.put_back(TWO)
    assert exchange.oldest(Message(9, b"granted after them")) == ONE
    assert [exchange.take() for _ in range(3)] == [TWO, (9, b"granted after them"), (3, b"")]
    assert exchange.oldest(ONE) == ONE


def test_the_first_reason_counts_and_what_arrived_comes_before_it() -> None:  # CON-C4
    exchange = with_messages(ONE)
    asking = Caller()
    exchange.open_request(asking)
    first = ConnectionClosed("first")
    assert exchange.finish(first) == [asking]
    assert exchange.finish(ConnectionClosed("second")) == [asking]
    assert exchange.take() is ONE
    for call in (exchange.take, lambda: exchange.open_request(Caller())):
        with pytest.raises(ConnectionClosed, match="first") as caught:
            call()
        assert caught.value is not first  # or its traceback would grow


def test_what_was_dropped_is_gone() -> None:  # CON-C7
    exchange = with_messages(ONE, TWO, TWO, count=2)
    assert exchange.arrived == [TWO]
    exchange.drop()
    assert (exchange.arrived, len(exchange), exchange.full, exchange.take()) == ([], 0, False, None)


@pytest.mark.parametrize("name", ["max_unclaimed", "max_unclaimed_size"])
def test_limits_are_at_least_one(name: str) -> None:
    limits = {"max_unclaimed": 1, "max_unclaimed_size": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"{name} is 0, but must be 1 or more"):
        Exchange(range(1, 9), *limits.values())
    with pytest.raises(TypeError, match=f"{name} must be an int, not str"):
        Exchange(range(1, 9), *(limits | {name: "1"}).values())  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=8)))
def test_the_refusal_tells_counts_and_no_data(payloads: list[bytes]) -> None:
    exchange: Exchange[Caller] = Exchange()
    exchange.arrived += [Message(0, data) for data in payloads]
    exchange.deliver()
    held = f"{len(payloads)} messages with {sum(map(len, payloads))} bytes"
    assert held in str(exchange.refusal())
