"""The vectors of ``spec/vectors``, and the ways to cut a stream into pieces."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from vfiipc.codec import Message

SPEC = Path(__file__).parents[2] / "spec"
FOLDER = SPEC / "vectors"

Case = dict[str, Any]


class File(NamedTuple):
    """One file of vectors, and the number of cases that it says it has."""

    group: str
    declared: int
    cases: list[Case]


def load() -> list[File]:
    return [_read(path) for path in sorted(FOLDER.glob("*.json"))]


def _read(path: Path) -> File:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["group"] == path.stem
    return File(content["group"], content["count"], content["cases"])


def all_cases() -> list[Case]:
    return [case for file in load() for case in file.cases]


def as_bytes(value: Any) -> bytes:
    """The bytes that a value of the vectors stands for."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return bytes.fromhex(value)
    if isinstance(value, dict):
        count: int = value["count"]
        return as_bytes(value["repeat"]) * count
    return b"".join(map(as_bytes, value))


def as_messages(values: list[Case]) -> list[Message]:
    messages: list[Message] = []
    for value in values:
        if "repeat" in value:
            messages += as_messages([value["repeat"]]) * value["count"]
        else:
            messages.append(Message(value["msg_id"], as_bytes(value["data"])))
    return messages


def as_prefix(value: Any) -> Any:
    """The number that a prefix stands for; what is meant to be refused is returned as it is."""
    return int.from_bytes(bytes.fromhex(value), "big") if isinstance(value, str) else value


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data in pieces of these sizes, of which the sum is that of the data."""
    assert sum(sizes) == len(data)
    stops = [0, *accumulate(sizes)]
    return [data[start:stop] for start, stop in pairwise(stops)]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def random_cuts(data: bytes, seed: str, ways: int) -> Iterator[list[bytes]]:
    """Some ways to cut the data, empty pieces included; the same ones for the same seed."""
    dice = random.Random(seed)
    for _ in range(ways):
        number = dice.choice((1, 2, 5, len(data) // 3 % 50 + 1))
        stops = sorted(dice.randint(0, len(data)) for _ in range(number))
        yield [data[start:stop] for start, stop in pairwise([0, *stops, len(data)])]
