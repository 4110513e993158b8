"""Every broken peer gets what it deserves in the cases that are about its fault.

The whole catalogue against each of them is ``python -m tests.conformance.matrix``.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.broken_peers import BROKEN, EVERYTHING
from tests.conformance.matrix import chosen, differences, examine, quick_cases
from vfiipc.conformance import CASES

NAMED = [name for name in BROKEN if BROKEN[name].about]


@pytest.mark.parametrize("name", BROKEN)
def test_it_gets_its_verdicts(name: str) -> None:
    outcome = asyncio.run(examine(name, quick_cases(name)))
    texts = {number: outcome.results[number].observed for number in differences(outcome)}
    assert (differences(outcome), texts) == ({}, {})
    assert len(outcome.results) >= 4


def test_there_are_enough_of_them() -> None:
    assert len(NAMED) >= 25


def test_overlaps_have_a_reason() -> None:
    for name, broken in BROKEN.items():
        assert bool(broken.overlaps or broken.may) == bool(broken.because), name


def test_the_table_names_cases_that_exist() -> None:
    for name, broken in BROKEN.items():
        for table in (broken.about, broken.overlaps, broken.may):
            for globs in table.values():
                for glob in globs.split():
                    assert chosen(glob), (name, glob)


def test_every_verdict_is_seen() -> None:
    told = {
        verdict
        for broken in BROKEN.values()
        for table in (broken.about, broken.overlaps)
        for verdict in table
    }
    assert told - {"OK"} == {
        "FAILED",
        "NON-STRICT",
        "INFORMATIONAL",
        "UNIMPLEMENTED",
        "INCONCLUSIVE",
    }


@pytest.mark.parametrize("name", [name for name in BROKEN if BROKEN[name].about == EVERYTHING])
def test_a_peer_without_a_control_message_is_never_ok(name: str) -> None:
    cases = [case for case in CASES if case.chapter in (1, 2, 4, 8)]
    outcome = asyncio.run(examine(name, cases))
    assert {result.verdict.value for result in outcome.results.values()} == {"INCONCLUSIVE"}
