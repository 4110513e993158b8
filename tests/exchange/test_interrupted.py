"""An exception out of a signal handler, at any call of the exchange, loses and doubles nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.helpers.intrusion import interrupt, intruding
from vfiipc.codec import Message
from vfiipc.exchange import Exchange

from .waiters import Caller

MESSAGES = [Message(msg_id, bytes([number])) for number, msg_id in enumerate([1, 2, 9, 3, 9, 9])]
Granted = list[tuple[Caller, Message]]


def prepared(receivers: int) -> Exchange[Caller]:
    """One request that waits, one that was given up and one that is about to leave."""
    exchange: Exchange[Caller] = Exchange(range(1, 4), max_count=4)
    callers = [Caller() for _ in range(3)]
    for caller in callers:
        exchange.open_request(caller)
    exchange.give_up(2, callers[1])
    callers[2].over = True
    exchange.receivers += [Caller() for _ in range(receivers)]
    exchange.arrived += MESSAGES
    return exchange


def deliver(exchange: Exchange[Caller], granted: Granted) -> None:
    exchange.deliver(granted)


def put_back(exchange: Exchange[Caller], granted: Granted) -> None:
    exchange.deliver(granted)
    if len(exchange) == 0:
        return
    message = exchange.take()
    assert message is not None
    try:
        exchange.put_back(message, granted)
    except KeyboardInterrupt:
        held = [*(exchange.inbox or ()), *(message for _, message in granted)]
        if not any(message is other for other in held):
            exchange.put_back(message, granted)
        raise


@pytest.mark.parametrize("work", [deliver, put_back])
@pytest.mark.parametrize("receivers", [0, 1, 3])
def test_every_message_stays_in_one_place(
    work: Callable[[Exchange[Caller], Granted], None], receivers: int
) -> None:  # CON-C3
    step = 0
    while True:
        exchange, granted = prepared(receivers), Granted()
        with intruding("exchange.py", step, interrupt) as happened:
            try:
                work(exchange, granted)
            except KeyboardInterrupt:
                assert happened
        exchange.deliver(granted)  # whoever comes next goes on
        held = [message for _, message in granted]
        while exchange.inbox:
            held.append(exchange.inbox.popleft())
        late = exchange.requests.late_answers
        numbers = sorted(message.data[0] for message in held)
        assert numbers == [0, 2, 4, 5]
        assert late == 2
        if not happened:
            break
        step += 1
    assert step > 10
