"""The benchmarks run, on the least data that reaches all of their lines."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from html import unescape
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import (
    aio,
    codec,
    connections,
    imports,
    network,
    notify,
    notify_nats,
    pipe,
    tls,
    transport,
)
from benchmarks.harness import Result, interleave, markdown, ratio
from benchmarks.pages import results_of
from benchmarks.plot import svg
from tests.helpers.source import ROOT
from tests.notify.nats_servers import nats_program

RESULTS = ROOT / "benchmarks" / "results"


def assert_measured(results: Sequence[Result]) -> None:
    """Each case was measured, once: its value is finite, above 0, and between its quartiles."""
    cases = [(result.group, result.name, result.against) for result in results]
    assert len(cases) == len(set(cases)) > 0
    for result in results:
        assert 0 < result.low <= result.value <= result.high < math.inf, result


@pytest.mark.timeout(400)
@pytest.mark.long
def test_every_case_of_the_codec_runs_and_states_its_aim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.harness._SHORTEST", 0)  # a run each is enough here
    results = list(codec.run(codec.TINY, peers=False))
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.group.partition(",")[0], []).append(result)
    growth, memory = groups.pop("Eight times the data"), groups.pop("Memory at the peak")
    assert set(groups) == {"Decoding", "Encoding", "Resynchronisation"}
    for group in groups.values():
        assert_measured(group)
    # Of the best times, which need not lie between the quartiles of the rounds.
    assert all(1 < result.value < math.inf for result in growth)
    *messages, claimed = memory
    assert len(messages) == 2
    assert all(0.9 < result.value < 2 for result in messages)  # held once, and never twice
    assert claimed.value > 0
    assert claimed.met
    assert sum(result.aim is not None for result in results) >= 25
    page = markdown(codec.TITLE, codec.INTRODUCTION, results)
    assert all(f"| {result.name} | {result.against} |" in page for result in results)
    assert ET.fromstring(svg(codec.TITLE, results)).tag.endswith("svg")


@pytest.mark.long
def test_every_case_of_the_transports_runs_against_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.harness._SHORTEST", 0)
    results = list(transport.run(transport.TINY, peers=False))
    assert len(results) >= 7
    assert_measured(results)


@pytest.mark.long
def test_every_case_of_pipe_runs_against_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.harness._SHORTEST", 0)
    results = list(pipe.run(pipe.TINY))
    assert [result.aim for result in results] == [1.5, 1.5]
    assert_measured(results)


@pytest.mark.long
def test_every_case_of_tls_runs_against_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.harness._SHORTEST", 0)
    results = list(tls.run(tls.TINY))
    assert [result.aim for result in results] == [0.85, None, None]
    assert_measured(results)


@pytest.mark.long
def test_every_case_of_connections_runs_and_is_drawn_as_speed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.harness._SHORTEST", 0)
    results = list(connections.run(connections.TINY))
    assert [result.aim for result in results] == [1.25, None, None]
    assert_measured(results)
    assert all(result.at_most for result in results)
    drawn = connections.pictured(results)
    assert [result.value * speed.value for result, speed in zip(results, drawn)] == [
        pytest.approx(1)
    ] * 3
    assert ET.fromstring(svg(connections.TITLE, drawn)).tag.endswith("svg")


@pytest.mark.long
def test_every_import_is_measured_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.harness._SHORTEST", 0)
    results = list(imports.run(imports.TINY))
    assert [result.against for result in results][:2] == ["`import construct`", "`import asyncio`"]
    assert_measured(results[:3])  # the last one is a small difference


@pytest.mark.long
def test_every_exchange_over_the_network_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.harness._SHORTEST", 0)
    results = list(network.run(network.TINY, peers=False))
    groups = {result.group.partition(",")[0] for result in results}
    assert groups == {"Blocking", "asyncio"}
    assert len(results) >= 30
    assert_measured(results)
    drawn = ET.fromstring(network.growth(results))
    titles = {"Blocking, one way", "asyncio, there and back", "asyncio, many connections"}
    assert titles <= {text.text for text in drawn.iter() if text.tag.endswith("text")}


def test_functions_take_turns_and_a_quicker_one_has_a_ratio_above_one() -> None:
    clock_times = {"quick": 1, "slow": 3}
    time = 0
    calls: list[str] = []

    def run(name: str) -> None:
        nonlocal time
        time += clock_times[name]
        calls.append(name)

    times = interleave(
        {"quick": lambda: run("quick"), "slow": lambda: run("slow")},
        rounds=4,
        clock=lambda: float(time),
    )
    assert calls[-8:] == ["quick", "slow", "slow", "quick"] * 2
    assert ratio(times, "quick", "slow") == (3, 3, 3)
    assert ratio(times, "slow", "quick")[0] == 1 / 3


def test_an_aim_that_is_missed_is_said_with_its_distance_and_reason() -> None:
    missed = Result("G", "ours", "theirs", 0.5, 0.4, 0.6, aim=1, note="Out of reach.")
    assert missed.met is False
    assert "* ours, against theirs: 50% below the aim. Out of reach." in markdown("T", "", [missed])
    assert Result("G", "ours", "theirs", 0.5, 0.4, 0.6, aim=1, at_most=True).met is True
    assert Result("G", "ours", "theirs", 0.5, 0.4, 0.6).met is None


@pytest.mark.long
def test_every_case_of_asyncio_runs() -> None:
    results = list(aio.run(aio.TINY, peers=False))
    assert {result.name for result in results} == {"ours"}
    assert len(results) >= 2
    assert_measured(results)


@pytest.mark.parametrize("page", sorted(RESULTS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_of_results_can_be_read_back_and_its_pictures_are_those_of_its_tables(
    page: Path,
) -> None:
    benchmark = import_module(f"benchmarks.{page.stem}")
    results = list(results_of(page.read_text(encoding="utf-8")))
    assert results
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    assert len(results) == len([row for row in rows if not row.startswith("| case |")])
    drawn = getattr(benchmark, "pictured", list)(results)
    shown = page.with_suffix(".svg").read_text(encoding="utf-8")
    found = re.findall(r'<text x="\d+" y="\d+" stroke[^>]*>([^<]+)</text>', shown)
    lines = [unescape(line) for line in found]
    assert max(map(len, lines)) <= 64, "cut off at the edge of the picture"
    labels = [f"{each.name}, against {each.against}" for each in drawn if not each.unit]
    assert " ".join(lines) == " ".join(labels).replace("`", "")


def test_a_result_is_read_back_as_it_was_written() -> None:
    results = [
        Result("G", "a", "b", 1.5, 1.25, 2.0, aim=1.2, rate="5/s"),
        Result("G", "c", "d", 1.5, 1.25, 2.0, aim=2.0, at_most=True, unit=" times the time"),
        Result("H", "e", "f", 48.0, 47.0, 49.0),
    ]
    assert list(results_of(markdown("T", "I", results))) == results


def test_bars_start_at_one_on_one_scale() -> None:
    results = [Result("G", "quick", "x", 2.0, 2, 2), Result("G", "slow", "x", 0.5, 0.5, 0.5)]
    text = svg("T", results)
    bars = re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="14"', text)
    (quick_x, quick_width), (slow_x, slow_width) = [tuple(map(float, bar)) for bar in bars]
    assert quick_x == pytest.approx(slow_x + slow_width, abs=0.2)
    assert quick_width == pytest.approx(slow_width, abs=0.2)
    ticks = re.findall(r'<text x="([\d.]+)"[^>]*>1</text>', text)
    assert [float(tick) for tick in ticks] == [pytest.approx(quick_x, abs=0.1)]
    alone = svg("T", [Result("G", "quick", "x", 20.0, 20, 20)])
    assert re.findall(r'<text x="([\d.]+)"[^>]*>1</text>', alone) == ticks


@pytest.mark.long
def test_every_case_of_the_notification_service_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.harness._SHORTEST", 0)
    results = list(notify.run(notify.TINY, peers=False))
    groups = ["One to one", "One to 2", "Memory of the server", "Routing alone"]
    assert [result.group for result in results] == groups
    assert_measured(results)


@pytest.mark.long
def test_every_case_of_several_notification_servers_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    nats_program()
    monkeypatch.setattr("benchmarks.harness._SHORTEST", 0)
    assert_measured(list(notify_nats.run(notify_nats.TINY)))
