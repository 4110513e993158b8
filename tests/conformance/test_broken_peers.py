"""Every broken peer gets the expected verdicts in the cases about its fault.

``python -m tests.conformance.matrix`` runs the whole catalogue against each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from tests.conformance.broken_peers import BROKEN, EVERYTHING
from tests.conformance.matrix import (
    SIDE_BY_SIDE,
    Outcome,
    chosen,
    differences,
    examine,
    is_measured,
    quick_cases,
)
from vfiipc.conformance import CASES, Case

NAMED = [name for name in BROKEN if BROKEN[name].about]


async def examine_all(wanted: dict[str, list[Case]]) -> dict[str, Outcome]:
    outcomes = await asyncio.gather(*(examine(name, cases) for name, cases in wanted.items()))
    return {outcome.name: outcome for outcome in outcomes}


def groups(names: Iterable[str]) -> list[list[str]]:
    """Groups of peers that are examined concurrently, so slow peers are grouped together."""
    together = [name for name in names if not is_measured(name)]
    together.sort(key=lambda name: BROKEN[name].about != EVERYTHING)  # the slow ones first
    return [together[at : at + SIDE_BY_SIDE] for at in range(0, len(together), SIDE_BY_SIDE)]


@pytest.mark.parametrize("names", groups(BROKEN), ids=", ".join)
def test_broken_peers_get_the_expected_verdicts(names: list[str]) -> None:
    check(names)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in BROKEN if is_measured(name)])
def test_a_measured_peer_gets_the_expected_verdicts(name: str) -> None:
    check([name])


def check(names: list[str]) -> None:
    outcomes = asyncio.run(examine_all({name: quick_cases(name) for name in names}))
    wrong = {name: differences(outcome) for name, outcome in outcomes.items()}
    texts = {
        name: [outcomes[name].results[number].observed for number in found]
        for name, found in wrong.items()
        if found
    }
    assert texts == {}, wrong
    assert all(len(outcome.results) >= 4 for outcome in outcomes.values())


def test_there_are_at_least_25_broken_peers() -> None:
    assert len(NAMED) >= 25


def test_overlaps_have_a_reason() -> None:
    for name, broken in BROKEN.items():
        assert bool(broken.overlaps or broken.may) == bool(broken.because), name


def test_the_table_names_existing_cases() -> None:
    for name, broken in BROKEN.items():
        for table in (broken.about, broken.overlaps, broken.may):
            for globs in table.values():
                for glob in globs.split():
                    assert chosen(glob), (name, glob)


def test_the_broken_peers_produce_every_verdict() -> None:
    produced = {
        verdict
        for broken in BROKEN.values()
        for table in (broken.about, broken.overlaps)
        for verdict in table
    }
    assert produced - {"OK"} == {
        "FAILED",
        "NON-STRICT",
        "INFORMATIONAL",
        "UNIMPLEMENTED",
        "INCONCLUSIVE",
    }


def test_peers_without_a_control_message_are_never_ok() -> None:
    cases = [case for case in CASES if case.chapter in (1, 2, 4, 8)]
    names = [name for name in BROKEN if BROKEN[name].about == EVERYTHING]
    outcomes = asyncio.run(examine_all(dict.fromkeys(names, cases)))
    assert {
        name: {result.verdict.value for result in outcome.results.values()}
        for name, outcome in outcomes.items()
    } == {name: {"INCONCLUSIVE"} for name in names}
