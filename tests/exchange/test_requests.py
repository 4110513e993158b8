from __future__ import annotations

import tracemalloc

import pytest

from vfiipc.exchange import REQUEST_IDS, Requests

from .waiters import Caller


def answered(requests: Requests[Caller], msg_id: int) -> object:
    """Whose request an answer with this ID belongs to; it then waits no more."""
    caller = requests.pending.pop(msg_id, None)
    return caller and caller.name


def is_late(requests: Requests[Caller], msg_id: int) -> bool:
    """Whether an answer with this ID, which arrives now, comes late."""
    late = requests.was_given_up(msg_id)
    requests.forget(msg_id)
    return late


def test_ids_ascend_from_one() -> None:  # CON-R2
    requests: Requests[Caller] = Requests()
    assert [requests.open(Caller("a")) for _ in range(3)] == [1, 2, 3]
    assert REQUEST_IDS[-1] == 2**31 - 1


def test_ids_wrap_around_and_skip_those_that_wait() -> None:  # CON-R2
    requests: Requests[Caller] = Requests(range(-3, 6, 3))
    assert [requests.open(Caller(name)) for name in "abc"] == [-3, 0, 3]
    assert answered(requests, -3) == "a"
    assert answered(requests, 3) == "c"
    assert [requests.open(Caller(name)) for name in "de"] == [-3, 3]
    assert [caller.name for caller in requests.waiting()] == ["b", "d", "e"]


def test_no_id_is_left() -> None:  # CON-R2
    requests: Requests[Caller] = Requests(range(7, 9))
    requests.open(Caller("a"))
    requests.open(Caller("b"))
    with pytest.raises(BufferError, match="all 2 request IDs are waiting for answers"):
        requests.open(Caller("c"))
    assert answered(requests, 8) == "b"
    assert requests.open(Caller("c")) == 8


def test_the_answer_to_a_request_that_was_given_up_is_counted_once() -> None:  # CON-R3
    requests: Requests[Caller] = Requests()
    first, second = requests.open(Caller("a")), requests.open(Caller("b"))
    requests.give_up(first)
    assert answered(requests, first) is None
    assert is_late(requests, first)
    assert not is_late(requests, first)
    assert not is_late(requests, second)


def test_an_answered_request_cannot_be_given_up() -> None:
    requests: Requests[Caller] = Requests()
    first = requests.open(Caller("a"))
    assert answered(requests, first) == "a"
    requests.give_up(first)
    assert not is_late(requests, first)


def test_a_request_that_was_not_sent_has_no_late_answer() -> None:
    requests: Requests[Caller] = Requests()
    requests.withdraw(requests.open(Caller("a")))
    assert not is_late(requests, 1)
    assert requests.open(Caller("b")) == 2


def test_an_id_that_was_given_up_comes_again_after_all_others_only() -> None:  # CON-R3
    requests: Requests[Caller] = Requests(range(1, 4))
    requests.give_up(requests.open(Caller("a")))
    assert [requests.open(Caller(name)) for name in "bc"] == [2, 3]
    assert requests.open(Caller("d")) == 1
    assert answered(requests, 1) == "d"
    assert not is_late(requests, 1)


def test_an_id_that_was_given_up_is_the_last_to_be_used() -> None:  # CON-R3
    requests: Requests[Caller] = Requests(range(1, 5))
    requests.give_up(requests.open(Caller("given up")))
    used = []
    for _ in range(9):
        used.append(requests.open(Caller("x")))
        answered(requests, used[-1])
    assert used == [2, 3, 4] * 3
    assert answered(requests, 1) is None
    assert is_late(requests, 1)
    assert [requests.open(Caller("y")) for _ in range(4)] == [1, 2, 3, 4]


def test_a_late_answer_goes_to_nobody_while_another_id_is_free() -> None:
    requests: Requests[Caller] = Requests(range(10, 12))
    requests.give_up(requests.open(Caller("a")))
    for name in "bcd":
        assert requests.open(Caller(name)) == 11
        assert answered(requests, 10) is None
        assert answered(requests, 11) == name


@pytest.mark.parametrize("count", [3, 1024, 1025, 5000])
def test_the_one_free_id_is_found_among_those_given_up(count: int) -> None:
    requests: Requests[Caller] = Requests(range(1, count + 1))
    for _ in range(count):
        requests.give_up(requests.open(Caller("never answered")))
    for free in {1, 2, count // 2 + 1, count}:
        assert is_late(requests, free)
        assert [answered(requests, requests.open(Caller("x"))) for _ in range(2)] == ["x", "x"]
        msg_id = requests.open(Caller("y"))
        assert msg_id == free
        requests.give_up(msg_id)


@pytest.mark.long
def test_a_peer_that_never_answers_costs_next_to_nothing() -> None:
    requests: Requests[Caller] = Requests()
    tracemalloc.start()
    try:
        for _ in range(50_000):
            requests.give_up(requests.open(Caller("a")))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 50_000
    assert all(is_late(requests, msg_id) for msg_id in range(1, 50_001))


@pytest.mark.parametrize(
    ("ids", "error", "reason"),
    [
        ((1, 9), TypeError, "must be a range, not tuple"),
        (range(0), ValueError, "must be a range that is not empty and ascends"),
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
