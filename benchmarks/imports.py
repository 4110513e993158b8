"""Import time: ``import vfiipc`` against ``import construct`` and ``import asyncio``."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from .harness import Result, interleave, ratio

__all__ = ["FULL", "INTRODUCTION", "PACKAGES", "TINY", "TITLE", "run"]

TITLE = "Imports: time"
PACKAGES = ["construct"]
INTRODUCTION = """\
Each run is a new process that imports one module and ends. All variants alternate within one run.
The results are medians of the rounds' ratios of CPU time, from which the time of a process that
imports nothing was subtracted in each round. All modules were compiled before. `vfiipc` imports
`construct`, so the ratio of these two is below 1. The last row compares only what `vfiipc` adds."""

#: Rounds.
FULL = 31
TINY = 2

_NOTHING = "pass"
_OURS = "import vfiipc"
_NEEDED = "import construct"
_CASES = (
    (_OURS, _NEEDED),
    (_OURS, "import asyncio"),
    ("import vfiipc.aio", "import asyncio"),
)


def _process(statement: str) -> None:
    subprocess.run([sys.executable, "-c", statement], check=True)


def _minus(seconds: list[float], less: list[float]) -> list[float]:
    return [one - other for one, other in zip(seconds, less)]


def _clock() -> Callable[[], float]:
    """CPU time of ended child processes; elapsed time where the system does not tell it."""
    try:
        import resource
    except ImportError:
        return time.perf_counter

    def cpu_time() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    return cpu_time


def run(rounds: int, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured."""
    statements = dict.fromkeys([_NOTHING, *(statement for case in _CASES for statement in case)])
    processes = {statement: partial(_process, statement) for statement in statements}
    times = interleave(processes, rounds, _clock())
    net = {statement: _minus(seconds, times[_NOTHING]) for statement, seconds in times.items()}
    added = f"{_OURS}` after `{_NEEDED}"
    net[added] = _minus(net[_OURS], net[_NEEDED])
    for ours, theirs in (*_CASES, (added, "import asyncio")):
        milliseconds = sorted(net[ours])[rounds // 2] * 1e3
        yield Result(
            "CPU time of an import",
            f"`{ours}`",
            f"`{theirs}`",
            *ratio(net, ours, theirs),
            rate=f"{milliseconds:.0f} ms",
        )
