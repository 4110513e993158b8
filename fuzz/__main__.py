"""Runs the fuzzer for a number of seconds: ``python -m fuzz [SECONDS]``.

Everything it writes goes into ``.fuzz``: the seeds, the corpus that it grows, and under ``found``
the input of a failure, which ``python -m fuzz FILE`` tries again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vfiipc.codec"]):
    from fuzz.framer import Input, check

from fuzz.seeds import write_seeds

FOLDER = Path(".fuzz")


def try_again(path: Path) -> None:
    data = path.read_bytes()
    print(Input.parse(data))
    check(data)
    print("nothing wrong")


def fuzz(seconds: int) -> None:
    corpus, found = FOLDER / "corpus", FOLDER / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    count = write_seeds(FOLDER / "seeds")
    print(f"vfiipc: fuzzing the framer for {seconds} s, beginning with {count} seeds", flush=True)
    options = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={found}/",
        "-use_value_profile=1",
        "-max_len=2000",
        "-timeout=20",
        "-rss_limit_mb=1000",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus), str(FOLDER / "seeds")], check)
    atheris.Fuzz()


if __name__ == "__main__":
    argument = sys.argv[1] if len(sys.argv) > 1 else "60"
    if argument.isdigit():
        fuzz(int(argument))
    else:
        try_again(Path(argument))
