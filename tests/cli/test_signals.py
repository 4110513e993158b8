from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.cli.program import hear_signals
from vfiipc.cli import signals
from vfiipc.cli.signals import Ended, ending_signals
from vfiipc.cli.tasks import run_task

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals to send")


def test_a_signal_raises_once_while_others_clean_up() -> None:
    with ending_signals():
        with pytest.raises(Ended) as ended:
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)  # it does not disturb
    assert ended.value.status == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_ctrl_c_twice_interrupts_once() -> None:
    former = signal.getsignal(signal.SIGINT)
    with ending_signals():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        for number in signal.SIGINT, signal.SIGTERM:
            os.kill(os.getpid(), number)
    assert signal.getsignal(signal.SIGINT) == former


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_command_does_after_its_task_is_not_interrupted(number: int) -> None:
    async def work() -> None:
        os.kill(os.getpid(), number)
        await asyncio.sleep(20)

    with ending_signals():
        with pytest.raises((KeyboardInterrupt, Ended)):
            run_task(work)
        os.kill(os.getpid(), number)


#: The interpreter finalizes globals long after it has reset the signal handlers that are functions.
LATE = """
import os, sys
from vfiipc.__main__ import run

class Late:
    def __del__(self, kill=os.kill, pid=os.getpid(), number={number}):
        kill(pid, number)

late = Late()
sys.argv[1:] = ["--version"]
sys.exit(run())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_exit_leaves_the_status_alone(number: signal.Signals) -> None:
    program = [sys.executable, "-c", LATE.format(number=int(number))]
    done = subprocess.run(program, capture_output=True, timeout=50, preexec_fn=hear_signals)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_later_signal_counts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_CLEANING_UP", 0)
    with ending_signals():
        for _ in range(2):  # the first might have been lost in a finalizer
            with pytest.raises(Ended):
                os.kill(os.getpid(), signal.SIGTERM)


class _Struck:
    """A signal strikes its finalizer."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def _end_in_a_finalizer() -> None:
    struck = _Struck()
    del struck
    threading.Event().wait(20)


def test_a_signal_that_strikes_a_finalizer_is_not_lost() -> None:
    with ending_signals(), pytest.raises(Ended):
        _end_in_a_finalizer()


def test_what_others_handle_is_left_alone() -> None:
    heard: list[int] = []
    former = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with ending_signals():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert heard == [signal.SIGTERM]


def test_only_the_main_thread_has_signals() -> None:
    def use() -> None:
        with ending_signals():
            done.append(signal.getsignal(signal.SIGTERM))

    done: list[object] = []
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert done == [signal.SIG_DFL]
