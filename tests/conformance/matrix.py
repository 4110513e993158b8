"""Runs the whole catalogue against every broken peer, and compares the verdicts with the table.

python -m tests.conformance.matrix [NAME ...]
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.conformance.broken_peers import BROKEN, Broken
from tests.helpers.source import ROOT
from vfiipc.conformance import CASES, Case, Examination, ExamineOptions, Executed, Result, Setting

PREFIX = 0xC0DEFACE
LIMIT = 1 << 20
#: Number of peers that are examined concurrently; most of the time they wait.
SIDE_BY_SIDE = 6
#: Cases that the tests run in addition to those about the fault of a peer.
OTHERS = "1.1 4.1 5.1.1 5.5 6.3 8.1"
MOST = 8
#: Cases that take seconds, or move megabytes.
LONG = {"7.4", "7.6", "7.7", "9.2", "9.3", "9.4", "9.5", "9.6", "9.7"}
ALWAYS = {"quadratic": "9.6", "reads with a time-out": "7.4"}


@dataclass
class Outcome:
    """The results for one peer."""

    name: str
    results: dict[str, Result]
    seconds: float

    def verdicts(self) -> dict[str, str]:
        return {number: result.verdict.value for number, result in self.results.items()}


def command(name: str) -> list[str]:
    script = ROOT / "tests" / "conformance" / "run_peer.py"
    return [sys.executable, str(script), name, "{port}", "{prefix}", "{limit}"]


def chosen(globs: str) -> list[Case]:
    return [case for case in CASES if _matches(case.id, globs)]


def _matches(number: str, globs: str) -> bool:
    return any(fnmatchcase(number, glob) for glob in globs.split())


def quick_cases(name: str) -> list[Case]:
    """The cases about a peer's fault, and a few others, except those that take long."""
    broken = BROKEN[name]
    globs = " ".join([*broken.about.values(), *broken.overlaps.values()])
    own = chosen(" ".join(glob for glob in globs.split() if glob != "*"))
    quick = [case for case in own if case.id not in LONG]
    step = max(1, len(quick) // MOST)
    few = {case.id for case in [*quick[::step], *chosen(OTHERS), *chosen(ALWAYS.get(name, ""))]}
    return [case for case in CASES if case.id in few]


def is_measured(name: str) -> bool:
    """Whether times decide about the peer. Then it is examined alone, for others would delay it."""
    return any(case.measures for case in chosen(ALWAYS.get(name, "")))


async def examine(name: str, cases: Collection[Case], limit: int = LIMIT) -> Outcome:
    broken = BROKEN[name]
    setting = Setting(PREFIX, limit, seed=1)
    peer = Executed(command(name), setting, broken.scale)
    options = ExamineOptions(mode=broken.mode, scale=broken.scale)
    examination = Examination(peer, setting, list(cases), options)
    start = time.monotonic()
    await examination.run()
    return Outcome(name, examination.results, time.monotonic() - start)


def differences(outcome: Outcome) -> dict[str, str]:
    """The cases whose verdict differs from the table, with the verdict of the table."""
    broken = BROKEN[outcome.name]
    found = outcome.verdicts()
    wrong = {}
    for number in outcome.results:
        allowed = _allowed(broken, number)
        if found[number] not in allowed:
            wrong[number] = " or ".join(sorted(allowed))
    return wrong


def _allowed(broken: Broken, number: str) -> set[str]:
    """The verdicts that the table allows for a case. Entries for all cases (``*``) apply last."""
    tables = [*broken.about.items(), *broken.overlaps.items()]
    for every in (False, True):
        for verdict, globs in tables:
            if _matches(number, " ".join(g for g in globs.split() if (g == "*") == every)):
                return {verdict}
    may = {verdict for verdict, globs in broken.may.items() if _matches(number, globs)}
    usual = "INFORMATIONAL" if number == "7.6" else "OK"
    return {usual, *may}


def show(outcome: Outcome) -> list[str]:
    """Prints the counts of the verdicts; returns a line for each that differs from the table."""
    print(f"{outcome.name}: {outcome.seconds:.1f} s, {_counts(outcome)}", flush=True)
    lines = []
    for number, wanted in differences(outcome).items():
        result = outcome.results[number]
        verdict, observed = result.verdict.value, result.observed
        lines.append(f"{outcome.name}, {number}: {verdict}, not {wanted}: {observed}")
    return lines


def _counts(outcome: Outcome) -> str:
    counts = Counter(result.verdict.value for result in outcome.results.values())
    return ", ".join(f"{verdict} {count}" for verdict, count in counts.items())


def run(name: str) -> Outcome:
    return asyncio.run(examine(name, CASES))


def main(names: list[str]) -> int:
    start = time.monotonic()
    names = names or list(BROKEN)
    wrong: list[str] = []
    with ProcessPoolExecutor(SIDE_BY_SIDE) as pool:
        for outcome in pool.map(run, [name for name in names if not is_measured(name)]):
            wrong += show(outcome)
    for name in filter(is_measured, names):
        wrong += show(run(name))
    # All of them come last, where a log that is cut in the middle still shows them.
    print(f"{time.monotonic() - start:.0f} s; verdicts that differ from the table: {len(wrong)}")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
