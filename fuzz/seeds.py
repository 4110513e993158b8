"""Inputs to begin with: every vector that a receiver can be fed, asked in several ways."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from fuzz.framer import Input, one_go, pieces
from tests.spec.vectors import Case, all_cases, as_bytes

#: Longer streams than this make no good seeds: each mutation of them takes its time.
LONGEST = 600


def seeds() -> Iterator[bytes]:
    for case in all_cases():
        if case["kind"] in ("decode", "sequence"):
            stream = _stream(case)
            if len(stream) <= LONGEST:
                for number, program in enumerate((one_go(), pieces(1), pieces(31))):
                    strict, mark = bool(case["strict"]), as_bytes(case["prefix"])
                    yield Input(strict, number > 0, mark, case["limit"], program, stream).build()


def _stream(case: Case) -> bytes:
    if case["kind"] == "decode":
        return as_bytes(case["input"])
    return b"".join(as_bytes(step["bytes"]) for step in case["steps"] if step["do"] == "feed")


def write_seeds(folder: Path) -> int:
    """Writes each seed into a file of its own; the number of different ones."""
    folder.mkdir(parents=True, exist_ok=True)
    different = set(seeds())
    for seed in different:
        (folder / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    return len(different)
