"""Measures functions against each other and writes down what came out.

The functions of a comparison take turns, in many short rounds, so that whatever slows the machine
down for a while slows all of them. A round gives a ratio; a result is the median of the ratios,
with the quartiles as its spread.
"""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["Result", "Times", "interleave", "machine", "markdown", "one_core", "ratio"]

#: Seconds of each function's run by round.
Times = Mapping[str, list[float]]

_SHORTEST = 0.002  # seconds a run takes at least, so that what surrounds it does not count


@dataclass(frozen=True)
class Result:
    """One measured value beside its aim.

    ``value`` (with ``low`` and ``high``, the quartiles) is how many times the speed of ``against``
    was reached, or what else ``unit`` says. ``aim`` is the least it should be, or with ``at_most``
    the most; without one the value is there for information. ``note`` says why it may be missed.
    """

    group: str
    name: str
    against: str
    value: float
    low: float
    high: float
    aim: float | None = None
    at_most: bool = False
    unit: str = ""
    rate: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.aim is None:
            return None
        return self.value <= self.aim if self.at_most else self.value >= self.aim


def interleave(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> Times:
    """Runs all functions in each round, now forwards, now backwards, and gives seconds per run.

    A function that is quicker than the clock is fine runs several times a round.
    """
    repeats = {name: _repeats(function, clock) for name, function in functions.items()}
    times: dict[str, list[float]] = {name: [] for name in functions}
    order = list(functions)
    for _ in range(rounds):
        for name in order:
            times[name].append(_seconds(functions[name], repeats[name], clock))
        order.reverse()
    return times


def _repeats(function: Callable[[], object], clock: Callable[[], float]) -> int:
    function()  # the first run fills caches and is not counted
    repeats = 1
    while _seconds(function, repeats, clock) * repeats < _SHORTEST:
        repeats *= 2
    return repeats


def _seconds(function: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(repeats):
        function()
    return (clock() - start) / repeats


@contextmanager
def one_core(*others: int) -> Iterator[None]:
    """This process, those with the numbers ``others``, and what these start, all on one core.

    A wake-up costs the same each time then. Otherwise the scheduler's choice of a core decides: the
    same code takes twice the time where the two ends of a round trip are on different ones.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    tasks = [0]
    for pid in others:
        tasks += [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    cores = os.sched_getaffinity(0)
    try:
        for task in tasks:
            os.sched_setaffinity(task, {max(cores)})
        yield
    finally:
        for task in tasks:
            with suppress(ProcessLookupError):
                os.sched_setaffinity(task, cores)


def ratio(times: Times, candidate: str, reference: str) -> tuple[float, float, float]:
    """How many times as fast the candidate is: median, lower and upper quartile of the rounds."""
    ratios = [theirs / ours for theirs, ours in zip(times[reference], times[candidate])]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, low, high


def machine(packages: Iterable[str]) -> str:
    """The machine, the date and the versions that results come from, as a line of Markdown."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    parts = [
        f"{today}",
        f"{_processor()}, {os.cpu_count()} cores",
        f"{platform.system()} {platform.release().split('-')[0]}",
        python,
    ]
    for package in packages:
        try:
            parts.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            parts.append(f"{package} not installed")
    return "Measured " + "; ".join(parts) + "."


def _processor() -> str:
    try:
        for line in (
            Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
        ):
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def markdown(title: str, introduction: str, results: Iterable[Result]) -> str:
    """The results as a page of tables, one for each group, and what there is to say of misses."""
    lines = [f"# {title}", "", introduction]
    group = ""
    missed: list[str] = []
    said = ""
    for result in results:
        if result.group != group:
            group = result.group
            lines += ["", f"## {group}", ""]
            lines.append("| case | against | measured | quartiles | aim | met | rate |")
            lines.append("|---|---|--:|--:|--:|---|--:|")
        lines.append(_line(result))
        if result.met is False:
            missed.append(_miss(result, said))
            said = result.note
    lines += ["", "## Aims that were not met", "", *(missed or ["None."])]
    return "\n".join(lines) + "\n"


def _miss(result: Result, said: str) -> str:
    assert result.aim is not None
    short = abs(result.value / result.aim - 1)
    by = f"{short:.0%} above" if result.at_most else f"{short:.0%} below"
    note = f" {result.note}" if result.note != said else ""
    return f"* {result.name}, against {result.against}: {by} the aim.{note}"


def _line(result: Result) -> str:
    met = {True: "yes", False: "**no**", None: ""}[result.met]
    spread = f"{_number(result.low)} – {_number(result.high)}"  # noqa: RUF001
    aim = "" if result.aim is None else f"{'≤' if result.at_most else '≥'} {result.aim:g}"
    value = f"{_number(result.value)}{result.unit}"
    cells = [result.name, result.against, value, spread, aim, met, result.rate]
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
