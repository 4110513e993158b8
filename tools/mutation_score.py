"""Prints what `mutmut run` found in this folder, and fails below a score: PERCENT as argument."""

from __future__ import annotations

import subprocess
import sys

KILLED = ("killed", "timeout", "segfault")
MISSED = ("survived", "no tests", "suspicious")


def main(least: float) -> int:
    run = subprocess.run(
        [sys.executable, "-m", "mutmut", "results", "--all", "true"],
        capture_output=True,
        text=True,
        check=True,
    )
    states: dict[str, str] = {}
    for line in run.stdout.splitlines():
        name, colon, state = line.strip().partition(": ")
        if colon and "__mutmut_" in name:
            states[name] = state
    killed = sum(state in KILLED for state in states.values())
    missed = [name for name, state in states.items() if state in MISSED]
    tried = killed + len(missed)
    for name in missed:
        print(f"{states[name]}: {name}")
    if not tried:
        print("mutants: none was tried; mutants/run.log says why")
        return 1
    score = 100 * killed / tried
    untried = len(states) - tried
    print(f"mutants: {killed} of {tried} noticed, {score:.1f} %; not tried: {untried}")
    if missed:
        print("what one of them changes: .venv/bin/mutmut show NAME")
    return 0 if score >= least else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
