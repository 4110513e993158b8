"""The catalogue: its cases, the tables in the specification, and the plans for any peer."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.catalogue import catalogue, written
from tests.helpers.source import ROOT
from tests.spec.vectors import SPEC
from vfiipc.conformance import CASES, CATALOGUE, Case, Setting
from vfiipc.conformance.cases import CHAPTERS
from vfiipc.conformance.plan import Abilities, CannotRun, Plan, prepare
from vfiipc.conformance.receiver import receive
from vfiipc.conformance.rules import RULES

USUAL = Setting(0xC0DEFACE, 1 << 16)
ALL = Abilities(prefix=True, limit=True, memory=True)
LARGE = {"1.2.4", "1.2.5", "1.2.6", "1.4", "4.4", "8.7", "8.8"}
SMALL = [case for case in CASES if case.chapter not in (5, 9) and case.id not in LARGE]


def planned(case: Case, setting: Setting) -> Plan | None:
    try:
        return prepare(case, setting, ALL)
    except CannotRun:
        return None


def test_the_catalogue_has_95_cases_in_order() -> None:
    identifiers = [case.id for case in CASES]
    assert (CATALOGUE, len(identifiers), len(set(identifiers))) == (1, 95, 95)
    numbers = [[int(part) for part in identifier.split(".")] for identifier in identifiers]
    assert numbers == sorted(numbers)
    assert {case.chapter for case in CASES} == CHAPTERS.keys()


def test_the_specification_has_the_same_tables() -> None:
    assert written() == catalogue()


def plain(text: str) -> str:
    """The text without emphasis, links, marks of code and line breaks."""
    parts = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).split("`")
    # Every second part is code, in which an asterisk is not emphasis.
    parts[::2] = [re.sub(r"(?<!\*)\*{1,2}(?!\*)", "", part) for part in parts[::2]]
    return " ".join("".join(parts).split())


def test_rules_are_quoted_verbatim() -> None:
    framing = plain((SPEC / "framing.md").read_text(encoding="utf-8"))
    for rule, text in RULES.items():
        quoted = re.escape(text)
        where = rf"{rule} (\([^)]*\) )?" if rule.startswith("FRM-") else ""
        assert re.search(where + quoted, framing), rule


def test_every_case_names_a_rule_or_a_dash() -> None:
    assert {case.rule for case in CASES} - {"-"} == RULES.keys()
    for case in CASES:
        assert (case.rule in RULES) or case.chapter in (7, 8, 9), case.id


@pytest.mark.parametrize("strict", [False, True])
def test_every_case_applies_to_an_ordinary_peer(strict: bool) -> None:
    setting = replace(USUAL, limit=1 << 20, strict=strict)
    left_out = {case.id for case in CASES if planned(case, setting) is None}
    assert left_out == (set() if strict else {"10.1", "10.2", "10.3", "10.4"})


def test_a_strict_peer_stops_in_exactly_the_marked_cases() -> None:
    setting = replace(USUAL, limit=1 << 20, strict=True)
    for case in CASES:
        plan = planned(case, setting)
        assert plan is not None
        assert any(track.fault is not None for track in plan.tracks.values()) == case.stops


def case(identifier: str) -> Case:
    return next(each for each in CASES if each.id == identifier)


@pytest.mark.parametrize(
    ("identifier", "setting", "reason"),
    [
        ("4.6", Setting(0x00000100, 4096), "different meaning"),
        ("5.1.5", Setting(0xC0DEFACE, 2**31 - 5), "different meaning"),
        ("1.2.4", Setting(0xC0DEFACE, 1000), "the limit is below 65,531 bytes"),
        ("5.2", Setting(0xC0DEFACE, 0), "no size below the limit"),
        ("5.4", Setting(0xC0DEFACE, 1 << 25), "no message above 16 MiB"),
        ("9.8", Setting(0xC0DEFACE, 1000), "below 1 MiB"),
        ("10.1", USUAL, "strict receiver"),
    ],
)
def test_a_case_that_does_not_apply_is_left_out(
    identifier: str, setting: Setting, reason: str
) -> None:
    with pytest.raises(CannotRun, match=reason) as caught:
        prepare(case(identifier), setting, ALL)
    assert not caught.value.lacking


@pytest.mark.parametrize(
    ("identifier", "abilities", "reason", "lacking"),
    [
        ("8.1", ALL._replace(half_close=False), "no half-close", True),
        ("8.6", ALL._replace(reset=False), "no reset", True),
        ("9.1", ALL._replace(several=False), "one connection at a time", True),
        ("4.9.1", ALL._replace(prefix=False), "{prefix}", False),
        ("2.4", ALL._replace(limit=False), "{limit}", False),
        ("9.8", ALL._replace(memory=False), "--exec", False),
    ],
)
def test_a_missing_ability_is_reported(
    identifier: str, abilities: Abilities, reason: str, lacking: bool
) -> None:
    with pytest.raises(CannotRun, match=reason) as caught:
        prepare(case(identifier), replace(USUAL, limit=1 << 20), abilities)
    assert caught.value.lacking == lacking


prefixes = st.integers(0, 2**32 - 1) | st.sampled_from(
    [0, 1, 4, 5, 0xFFFFFFFF, 0xABABABAB, 0xAAABAAAB, 0xFFFEFDFC, 0x41414141, 0x5A5A5A5A]
)
limits = st.integers(0, 300) | st.sampled_from([1 << 16, 2**31 - 5])


@settings(max_examples=30, deadline=None)
@given(prefix=prefixes, limit=limits, strict=st.booleans(), seed=st.integers(0, 9))
def test_plans_agree_with_the_receiver_for_any_prefix_and_limit(
    prefix: int, limit: int, strict: bool, seed: int
) -> None:
    setting = Setting(prefix, limit, strict, seed)
    for each in SMALL:
        plan = planned(each, setting)
        if plan is None:
            continue
        for track in plan.tracks.values():
            assert receive(track.echo, plan.setting.prefix, plan.setting.limit).messages == list(
                track.due
            )
            assert track.due_at(1 << 40) == len(track.echo)
            assert track.due_at(0) == 0
        control = plan.setting.encoded(plan.setting.control)
        assert plan.tracks[0].echo.startswith(control)


@given(prefix=prefixes, size=st.integers(0, 5000), seed=st.integers(0, 99))
def test_garbage_contains_no_prefix_and_ends_with_no_part_of_one(
    prefix: int, size: int, seed: int
) -> None:
    setting = Setting(prefix, 100, seed=seed)
    garbage = setting.garbage(size)
    assert len(garbage) == size
    received = receive(garbage, prefix, 2**31 - 5)
    assert (received.messages, received.held) == ([], size)
    assert garbage == setting.garbage(size)


def test_the_guide_and_the_specification_link_to_each_other() -> None:
    assert "guides/conformance.md" in (SPEC / "conformance.md").read_text(encoding="utf-8")
    guide = ROOT / "docs" / "guides" / "conformance.md"
    assert "spec/conformance.md" in guide.read_text(encoding="utf-8")
