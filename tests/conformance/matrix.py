"""Runs the whole catalogue against every broken peer, and compares the verdicts with the table.

    python -m tests.conformance.matrix [NAME ...]
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.conformance.broken_peers import BROKEN, Broken
from tests.helpers.source import ROOT
from vfiipc.conformance import CASES, Case, Examination, Executed, Options, Result, Setting

PREFIX = 0xC0DEFACE
LIMIT = 1 << 20
#: Peers that are examined at once; most of the time is spent in waiting.
SIDE_BY_SIDE = 4
FINE = ("OK", "INFORMATIONAL")


@dataclass
class Outcome:
    """What the kit made of one peer."""

    name: str
    results: dict[str, Result]
    seconds: float

    def verdicts(self) -> dict[str, str]:
        """The cases that are not fine."""
        found = {number: result.verdict.value for number, result in self.results.items()}
        return {number: verdict for number, verdict in found.items() if verdict not in FINE}


def command(name: str) -> list[str]:
    script = ROOT / "tests" / "conformance" / "run_peer.py"
    return [sys.executable, str(script), name, "{port}", "{prefix}", "{limit}"]


def chosen(globs: str) -> list[Case]:
    return [case for case in CASES if _matches(case.id, globs)]


def _matches(number: str, globs: str) -> bool:
    return any(fnmatchcase(number, glob) for glob in globs.split())


async def examine(name: str, cases: Collection[Case], limit: int = LIMIT) -> Outcome:
    broken = BROKEN[name]
    setting = Setting(PREFIX, limit, seed=1)
    peer = Executed(command(name), setting, broken.scale)
    options = Options(mode=broken.mode, scale=broken.scale)
    examination = Examination(peer, setting, list(cases), options)
    start = time.monotonic()
    await examination.run()
    return Outcome(name, examination.results, time.monotonic() - start)


def expected(broken: Broken, results: Iterable[str]) -> dict[str, str]:
    """The verdicts that the table has for these cases, those that are fine left out."""
    return {
        number: verdict
        for number in results
        for table in (broken.about, broken.overlaps)
        for verdict, globs in table.items()
        if _matches(number, globs)
    }


async def examine_all(names: Collection[str]) -> list[Outcome]:
    places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(name: str) -> Outcome:
        async with places:
            return await examine(name, CASES)

    return await asyncio.gather(*map(one, names))


def main(names: list[str]) -> int:
    wrong = 0
    for outcome in asyncio.run(examine_all(names or list(BROKEN))):
        found = outcome.verdicts()
        wanted = expected(BROKEN[outcome.name], outcome.results)
        print(f"{outcome.name}: {outcome.seconds:.1f} s, {len(found)} of {len(outcome.results)}")
        for number in sorted(found.keys() | wanted.keys(), key=[c.id for c in CASES].index):
            if found.get(number) != wanted.get(number):
                wrong += 1
                result = outcome.results[number]
                print(f"    {number}: {result.verdict} ({result.observed}), "
                      f"not {wanted.get(number, 'OK')}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
