from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vfiipc.codec import Message
from vfiipc.exchange import REQUEST_IDS, Requests, Routing


def test_ids_ascend_from_one() -> None:  # CON-R2
    requests: Requests[str] = Requests()
    assert [requests.open("a") for _ in range(3)] == [1, 2, 3]
    assert REQUEST_IDS[-1] == 2**31 - 1


def test_ids_wrap_around_and_skip_those_that_wait() -> None:  # CON-R2
    requests: Requests[str] = Requests(range(-3, 6, 3))
    assert [requests.open(name) for name in "abc"] == [-3, 0, 3]
    assert requests.match(-3) == "a"
    assert requests.match(3) == "c"
    assert [requests.open(name) for name in "de"] == [-3, 3]
    assert requests.waiting() == ["b", "d", "e"]


def test_no_id_is_left() -> None:  # CON-R2
    requests: Requests[str] = Requests(range(7, 9))
    requests.open("a")
    requests.open("b")
    with pytest.raises(BufferError, match="all 2 request IDs wait for answers"):
        requests.open("c")
    assert requests.match(8) == "b"
    assert requests.open("c") == 8


def test_the_answer_to_a_request_that_was_given_up_is_counted_once() -> None:  # CON-R3
    requests: Requests[str] = Requests()
    first, second = requests.open("a"), requests.open("b")
    requests.give_up(first)
    assert requests.match(first) is None
    assert requests.is_late(first)
    assert not requests.is_late(first)
    assert not requests.is_late(second)
    assert requests.late_answers == 1


def test_an_answered_request_cannot_be_given_up() -> None:
    requests: Requests[str] = Requests()
    first = requests.open("a")
    assert requests.match(first) == "a"
    requests.give_up(first)
    assert not requests.is_late(first)


def test_a_request_that_was_not_sent_has_no_late_answer() -> None:
    requests: Requests[str] = Requests()
    requests.withdraw(requests.open("a"))
    assert not requests.is_late(1)
    assert requests.open("b") == 2


def test_an_id_that_was_given_up_comes_again_after_all_others_only() -> None:  # CON-R3
    requests: Requests[str] = Requests(range(1, 4))
    requests.give_up(requests.open("a"))
    assert [requests.open(name) for name in "bc"] == [2, 3]
    assert requests.open("d") == 1
    assert requests.match(1) == "d"
    assert not requests.is_late(1)


def test_an_id_that_was_given_up_is_the_last_to_be_used() -> None:  # CON-R3
    requests: Requests[str] = Requests(range(1, 5))
    requests.give_up(requests.open("given up"))
    used = []
    for _ in range(9):
        used.append(requests.open("x"))
        requests.match(used[-1])
    assert used == [2, 3, 4] * 3
    assert requests.match(1) is None
    assert requests.is_late(1)
    assert [requests.open("y") for _ in range(4)] == [1, 2, 3, 4]


def test_a_late_answer_goes_to_nobody_while_another_id_is_free() -> None:
    requests: Requests[str] = Requests(range(10, 12))
    requests.give_up(requests.open("a"))
    for name in "bcd":
        assert requests.open(name) == 11
        assert requests.match(10) is None
        assert requests.match(11) == name


@pytest.mark.parametrize("count", [3, 1024, 1025, 5000])
def test_the_one_free_id_is_found_among_those_given_up(count: int) -> None:
    requests: Requests[str] = Requests(range(1, count + 1))
    for _ in range(count):
        requests.give_up(requests.open("never answered"))
    for free in {1, 2, count // 2 + 1, count}:
        assert requests.is_late(free)
        assert [requests.match(requests.open("x")) for _ in range(2)] == ["x", "x"]
        msg_id = requests.open("y")
        assert msg_id == free
        requests.give_up(msg_id)


def test_a_peer_that_never_answers_costs_next_to_nothing() -> None:
    requests: Requests[str] = Requests()
    tracemalloc.start()
    try:
        for _ in range(50_000):
            requests.give_up(requests.open("a"))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 50_000
    assert all(requests.is_late(msg_id) for msg_id in range(1, 50_001))
    assert requests.late_answers == 50_000


@pytest.mark.parametrize(
    ("ids", "error", "reason"),
    [
        ((1, 9), TypeError, "must be a range, not tuple"),
        (range(0), ValueError, "must hold IDs"),
        (range(9, 1, -1), ValueError, "ascend"),
        (range(1, 2**31 + 1), ValueError, "msg_id is 2147483648"),
        (range(-(2**31) - 1, 0), ValueError, "msg_id is -2147483649"),
    ],
)
def test_ids_must_be_a_range_of_message_ids(
    ids: range, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        Requests(ids)


class Model(RuleBasedStateMachine):
    """Requests against two sets and a list of all IDs since the last wrap-around."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = range(1, 12)
        self.requests: Requests[int] = Requests(self.ids)
        self.pending: dict[int, int] = {}
        self.given_up: set[int] = set()
        self.opened = self.late = 0

    @precondition(lambda self: len(self.pending) < len(self.ids))
    @rule()
    def open(self) -> None:
        self.opened += 1
        msg_id = self.requests.open(self.opened)
        assert msg_id in self.ids
        assert msg_id not in self.pending
        spare = len(self.pending) + len(self.given_up) < len(self.ids)
        assert not (spare and msg_id in self.given_up)
        self.given_up.discard(msg_id)
        self.pending[msg_id] = self.opened

    @rule(msg_id=st.integers(-1, 14))
    def arrive(self, msg_id: int) -> None:
        assert self.requests.match(msg_id) == self.pending.get(msg_id)
        if msg_id not in self.pending:
            self.late += msg_id in self.given_up
            assert self.requests.is_late(msg_id) == (msg_id in self.given_up)
            self.given_up.discard(msg_id)
        self.pending.pop(msg_id, None)

    @precondition(lambda self: self.pending)
    @rule(data=st.data(), sent=st.booleans())
    def leave(self, data: st.DataObject, sent: bool) -> None:
        msg_id = data.draw(st.sampled_from(sorted(self.pending)))
        del self.pending[msg_id]
        if sent:
            self.given_up.add(msg_id)
            self.requests.give_up(msg_id)
        else:
            self.requests.withdraw(msg_id)

    @invariant()
    def agree(self) -> None:
        assert len(self.requests) == len(self.pending)
        assert self.requests.waiting() == list(self.pending.values())
        assert self.requests.late_answers == self.late


TestModel = Model.TestCase


def test_a_message_goes_to_its_request_or_to_the_inbox_or_nowhere() -> None:  # CON-R4
    routing: Routing[str] = Routing()
    first, second = routing.requests.open("a"), routing.requests.open("b")
    routing.requests.give_up(second)
    assert routing.route(Message(first, b"1")) == "a"
    assert routing.route(Message(second, b"2")) is None
    assert len(routing.inbox) == 0
    assert routing.requests.late_answers == 1
    assert routing.route(Message(first, b"again")) is None
    assert routing.route(Message(-5, b"own")) is None
    assert [routing.inbox.take().data for _ in range(2)] == [b"again", b"own"]


@given(st.lists(st.binary(max_size=8)))
def test_the_refusal_tells_counts_and_no_data(payloads: list[bytes]) -> None:
    routing: Routing[str] = Routing()
    for data in payloads:
        routing.inbox.put(Message(0, data))
    held = f"{len(payloads)} messages with {sum(map(len, payloads))} bytes"
    assert held in str(routing.refusal())
