from __future__ import annotations

import re

import pytest

from vfiipc.cli.filters import parse_filter
from vfiipc.cli.inspector.entries import HELD, SENT, Entry
from vfiipc.cli.inspector.pairing import Pairing
from vfiipc.cli.inspector.store import Store, Window
from vfiipc.cli.view import Way
from vfiipc.codec import Message
from vfiipc.recording import Decoded, Gap

CLIENT = Way(1, "client", "server")


def entry(msg_id: int = 0, data: bytes = b"", way: Way = CLIENT, time: float = 0.0) -> Entry:
    return Entry(way, time, Decoded(0, Message(msg_id, data)))


def _shown(store: Store) -> list[int]:
    return [shown.number for shown in store.shown]


def _filled(store: Store, count: int) -> Store:
    for number in range(count):
        store.add(entry(number))
        store.step(10)
    return store


def test_places_in_a_window_never_change() -> None:
    window: Window[int] = Window()
    for number in range(1000):
        window.append(number)
        if number >= 10:
            assert window.drop_first() == number - 10
            assert len(window) == 10
            assert window.at(number) == number
    assert (window.first, window.stop) == (990, 1000)
    assert list(window) == list(range(990, 1000))


def test_the_oldest_go() -> None:
    store = _filled(Store(keep=100), 250)
    assert (len(store), store.dropped, store.messages) == (100, 150, 250)
    assert _shown(store) == list(range(151, 251))


def test_memory_is_bounded_whatever_the_messages() -> None:
    store = Store(keep=1000, keep_bytes=100_000)
    for _ in range(50):
        store.add(entry(data=bytes(10_000)))
    assert 5 <= len(store) <= 10
    store.add(entry(data=bytes(1 << 20)))  # the latest is kept in any case
    assert len(store) == 1


def test_a_changed_message_counts_anew() -> None:
    store = Store(keep=1000, keep_bytes=100_000)
    first = entry(data=b"short")
    store.add(first)
    cost = first.cost
    first.replace_message(Message(1, bytes(99_000)))
    store.replaced(cost, first)
    store.add(entry())
    store.add(entry())
    assert [kept.number for kept in store.shown] == []
    assert len(store) == 2


def test_a_filter_is_applied_step_by_step_while_more_come() -> None:
    store = _filled(Store(keep=100), 100)
    store.set_filter(parse_filter("--id 90..120"))
    assert (_shown(store), store.unfiltered) == ([], 100)
    assert store.step(95)
    assert len(store.shown) == 5
    for number in range(100, 130):  # drops entries 1..30, which were judged already
        store.add(entry(number))
    assert store.unfiltered == 35
    assert not store.step(1000)
    assert _shown(store) == list(range(91, 122))


def test_what_goes_before_it_was_judged_is_not_shown() -> None:
    store = _filled(Store(keep=10), 10)
    store.set_filter(parse_filter(""))
    for number in range(10, 15):
        store.add(entry(number))
    assert store.unfiltered == 10
    store.step(100)
    assert _shown(store) == list(range(6, 16))


def test_places_by_number() -> None:
    store = _filled(Store(keep=100), 50)
    store.set_filter(parse_filter("--id 10,20,30"))
    store.step(100)
    assert [store.place_of(number) for number in (1, 11, 12, 31, 50)] == [0, 0, 1, 2, 3]


def test_search_goes_round() -> None:
    store = Store(keep=100)
    for data in (b"tea", b"coffee", b"tea", b"milk"):
        store.add(entry(data=data))
    store.add(Entry(CLIENT, 0.0, Gap(0, 1)))
    store.step(100)
    tea = re.compile(b"^tea")
    assert store.find(tea, 0) == 2
    assert store.find(tea, 2) == 0
    assert store.find(tea, 1, forward=False) == 0
    assert store.find(tea, 0, forward=False) == 2
    assert store.find(re.compile(b"juice"), 0) is None
    assert Store(keep=1).find(tea, 0) is None


def test_marked_and_held() -> None:
    store = _filled(Store(keep=10), 5)
    marked, held = store.shown.at(1), store.shown.at(3)
    marked.marked, held.state = True, HELD
    assert store.marked() == [marked]
    assert store.held() == [held]


# --- questions and answers ------------------------------------------------------------------------


def _paired(*entries: Entry) -> list[int]:
    pairing = Pairing()
    for number, each in enumerate(entries, 1):
        each.number = number
        pairing.note(each)
    return [each.answers for each in entries]


BACK = CLIENT.reversed()


def test_an_answer_has_the_id_of_its_question() -> None:
    answer = entry(7, way=BACK, time=1.5)
    assert _paired(entry(7, time=1.0), entry(8, time=1.2), answer) == [0, 0, 1]
    assert answer.latency == pytest.approx(0.5)


def test_answers_come_in_the_order_of_questions() -> None:
    assert _paired(entry(), entry(), entry(way=BACK), entry(way=BACK), entry(way=BACK)) == [
        *(0, 0, 1, 2),
        0,  # a question of the server's
    ]
    assert _paired(entry(way=BACK), entry()) == [0, 1]


def test_other_connections_and_what_the_user_sends_answer_nothing() -> None:
    elsewhere = entry(way=Way(2, "", "", False))
    assert _paired(entry(), elsewhere) == [0, 0]
    sent = entry(way=BACK)
    sent.state = SENT
    assert _paired(entry(), sent, entry(way=BACK)) == [0, 0, 1]


def test_a_clock_that_goes_back_gives_no_negative_time() -> None:
    answer = entry(way=BACK, time=1.0)
    _paired(entry(time=2.0), answer)
    assert answer.latency == 0.0
