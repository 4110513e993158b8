"""Coroutines of commands, and signals at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from vfiipc.cli.signals import Ended
from vfiipc.cli.tasks import run_task

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals to itself")

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


async def cleaned_up(done: list[str]) -> None:
    try:
        await asyncio.sleep(50)
    finally:
        await asyncio.sleep(0.01)
        done.append("cleaned up")


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_cancels_the_work_once(number: int, times: int) -> None:
    done: list[str] = []

    async def work() -> None:
        for at in range(times):
            asyncio.get_running_loop().call_later(0.01 + at / 1000, os.kill, os.getpid(), number)
        await cleaned_up(done)

    before = signal.getsignal(number)
    with pytest.raises((KeyboardInterrupt, Ended)):
        run_task(work)
    assert done == ["cleaned up"]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_while_the_loop_begins_leaves_nothing_behind(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    genuine = asyncio.new_event_loop

    def new_event_loop() -> asyncio.AbstractEventLoop:
        loop = genuine()
        os.kill(os.getpid(), number)
        return loop

    monkeypatch.setattr(asyncio.events, "new_event_loop", new_event_loop)
    # Warnings are errors here: of a coroutine never awaited, of a loop never closed.
    with pytest.raises((KeyboardInterrupt, Ended)):
        run_task(lambda: cleaned_up(done))


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def work() -> str:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.01)
            return "done"

        assert run_task(work) == "done"
    finally:
        signal.signal(signal.SIGHUP, before)
