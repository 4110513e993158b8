"""The plan of which address is tried when."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc.transport.happy_eyeballs import Candidate, Race

SIX, FOUR = socket.AF_INET6, socket.AF_INET


def candidates(*families: int) -> list[Candidate]:
    return [(family, 1, 6, "", number) for number, family in enumerate(families)]


def numbers(race: Race, *moments: float) -> list[Any]:
    """Which candidate begins at each moment."""
    begun = [race.next(now) for now in moments]
    return [None if candidate is None else candidate[4] for candidate in begun]


def test_the_next_one_begins_after_a_quarter_of_a_second() -> None:  # CON-A7
    race = Race(candidates(FOUR, FOUR, FOUR))
    assert numbers(race, 10.0, 10.0, 10.24) == [0, None, None]
    assert race.pause(10.24) == pytest.approx(0.01)
    assert numbers(race, 10.25, 10.25, 99.0, 99.0) == [1, None, 2, None]
    assert race.pause(99.0) is None


def test_the_next_one_begins_at_once_after_a_failure() -> None:  # CON-A7
    race = Race(candidates(FOUR, FOUR))
    assert numbers(race, 10.0) == [0]
    race.failed(OSError(1, "first"))
    assert race.pause(10.0) == 0.0
    race.check()
    assert numbers(race, 10.0) == [1]
    race.check()
    race.failed(OSError(2, "last"))
    with pytest.raises(OSError, match="last"):
        race.check()


def test_it_is_not_over_while_one_is_under_way() -> None:
    race = Race(candidates(FOUR, FOUR))
    assert numbers(race, 0.0, 1.0) == [0, 1]
    race.failed(OSError(1, "one of two"))
    race.check()


def test_families_take_turns_beginning_with_the_first() -> None:  # CON-A7
    race = Race(candidates(SIX, SIX, FOUR, SIX, FOUR))
    assert numbers(race, *range(5)) == [0, 2, 1, 4, 3]


def test_a_host_without_addresses() -> None:
    race = Race([])
    assert race.next(0.0) is None
    with pytest.raises(OSError, match="no address"):
        race.check()


@given(st.lists(st.sampled_from([SIX, FOUR])), st.lists(st.booleans()))
def test_every_address_is_tried_once(families: list[int], failures: list[bool]) -> None:
    race = Race(candidates(*families))
    tried, now = [], 0.0
    fails = iter(failures)
    while (pause := race.pause(now)) is not None:
        now += pause
        candidate = race.next(now)
        assert candidate is not None
        tried.append(candidate[4])
        if next(fails, False):
            race.failed(OSError(1, "failed"))
    assert sorted(tried) == list(range(len(families)))
    assert now <= 0.25 * len(families)
