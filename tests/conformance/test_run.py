"""Runs: resources, hostile peers, results and cancellation."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.matrix import command
from tests.transport.suite.base import until
from vfiipc.conformance import (
    CASES,
    Case,
    Dialled,
    Examination,
    ExamineOptions,
    Executed,
    Result,
    Setting,
)
from vfiipc.conformance.link import Log, PeerLink
from vfiipc.conformance.peers import Unreached, reserve_port
from vfiipc.conformance.waiting import within
from vfiipc.transport.addresses import Address

SETTING = Setting(0xC0DEFACE, 1000, seed=7)


def cases(*identifiers: str) -> list[Case]:
    return [case for case in CASES if case.id in identifiers]


def run_against(name: str, chosen: Sequence[Case], scale: float = 1.0) -> dict[str, Result]:
    peer = Executed(command(name), SETTING, scale)
    examination = Examination(peer, SETTING, chosen, ExamineOptions(scale=scale))
    asyncio.run(examination.run())
    return examination.results


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", ["right", "crashes", "closes at once"])
def test_a_run_leaves_no_descriptors_or_threads_behind(name: str) -> None:
    run_against(name, cases("1.1"))
    before = descriptors(), threading.active_count()
    run_against(name, cases("1.1", "4.1", "5.1.7", "8.5", "8.6", "8.8", "9.1"))
    # On Python 3.11, the thread that waited for the process may end a moment after the loop.
    until(lambda: threading.active_count() <= before[1])
    assert descriptors() <= before[0]  # what earlier tests left may be collected meanwhile


def test_a_silent_peer_takes_only_a_few_deadlines() -> None:
    start = time.monotonic()
    results = run_against("never answers", CASES, scale=0.1)
    assert {result.verdict.value for result in results.values()} == {"INCONCLUSIVE"}
    assert time.monotonic() - start < 30


def test_a_peer_that_answers_byte_by_byte_does_not_extend_the_deadline() -> None:
    results = run_against("drips", cases("1.1", "4.1"), scale=0.2)
    assert all(result.seconds < 10 for result in results.values())
    assert {result.verdict.value for result in results.values()} == {"INCONCLUSIVE"}


async def in_a_busy_loop(work: Awaitable[None], seconds: float) -> None:
    """Delays every iteration of the loop."""
    loop = asyncio.get_running_loop()

    def delay() -> None:
        time.sleep(seconds)
        loop.call_soon(delay)

    delay()
    await work


def test_a_delay_of_the_kit_is_not_blamed_on_the_peer() -> None:
    """The loop is so busy that sending alone takes longer than the limit of the case."""
    scale, limit = 0.1, 0.5
    examination = Examination(
        Executed(command("right"), SETTING), SETTING, cases("4.8"), ExamineOptions(scale=scale)
    )

    asyncio.run(in_a_busy_loop(examination.run(), 0.01))
    result = examination.results["4.8"]
    assert result.seconds > limit
    assert result.verdict.value == "OK", result.observed


def test_a_limit_counts_only_the_time_in_which_the_kit_could_run() -> None:
    async def iterations(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    start = time.monotonic()
    asyncio.run(in_a_busy_loop(within(iterations(6), 0.5), 0.2))
    assert time.monotonic() - start > 1.0
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(within(asyncio.sleep(60), 0.1))


def test_a_case_that_was_tried_is_not_reported_as_not_tried() -> None:
    """The repetition of a case may not be tried any more; then its first result counts."""
    with reserve_port() as nobody_listens:
        peer = Dialled(Address("tcp", "127.0.0.1", nobody_listens.getsockname()[1]))
        examination = Examination(peer, SETTING, CASES)
        asyncio.run(in_a_busy_loop(examination.run(), 0.06))
    assert examination.results["1.1"].observed == "connection refused"
    assert "not tried" in examination.results["9.7"].observed


def test_two_kits_do_not_give_their_peers_the_same_port() -> None:
    with reserve_port() as first:
        port = first.getsockname()[1]
        others = iter([port, port])

        def find() -> int:
            return next(others, 0)  # 0: any port

        with reserve_port(find) as second:
            assert second.getsockname()[1] != port
            assert next(others, None) is None
    with reserve_port(lambda: port) as again:
        assert again.getsockname()[1] == port


def test_the_search_for_a_port_ends_if_there_is_none() -> None:
    found = iter([OSError(errno.EADDRINUSE, "no port is free")])

    def find() -> int:
        raise next(found)

    with pytest.raises(OSError, match="no port is free"):
        reserve_port(find)


def test_a_socket_connected_to_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect() -> None:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())  # Linux allows a socket to connect to itself
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        original = loop.create_connection

        async def to_itself(make: Any, *_: object, **__: object) -> object:
            return await original(make, sock=sock)

        monkeypatch.setattr(loop, "create_connection", to_itself)
        peer = Dialled(Address("tcp", "127.0.0.1", 1))
        with pytest.raises(Unreached, match="connection refused"):
            await peer.connect(lambda: PeerLink(Log(), 100), 5.0)
        await asyncio.sleep(0)

    asyncio.run(connect())


def test_results_are_reported_at_once_and_a_run_can_be_cancelled() -> None:
    reported: list[str] = []
    peer = Executed(command("right"), SETTING)
    chosen = cases("1.1", "4.1", "7.7")
    options = ExamineOptions(report=lambda result: reported.append(result.id))
    examination = Examination(peer, SETTING, chosen, options)

    async def cancel_early() -> None:
        task = asyncio.create_task(examination.run())
        while len(reported) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_early())
    assert sorted(reported) == sorted(examination.results) == ["1.1", "4.1"]
    assert not examination.complete


def test_the_seed_determines_random_choices() -> None:
    def sent(seed: int) -> list[bytes]:
        setting = Setting(0xC0DEFACE, 1000, seed=seed)
        peer = Executed(command("right"), setting)
        examination = Examination(peer, setting, cases("6.6"), ExamineOptions(serial=True))
        asyncio.run(examination.run())
        return [chunk.data for chunk in examination.results["6.6"].sent]

    assert sent(1) == sent(1) != sent(2)
