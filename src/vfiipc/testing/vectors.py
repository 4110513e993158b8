"""The vectors of ``spec/vectors`` that apply to all lenient receivers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from ..codec import HEADER, Message
from ..specification import spec_files

__all__ = ["StreamVector", "stream_vectors"]


class StreamVector(NamedTuple):
    """A stream, and the messages that a lenient receiver must deliver."""

    id: str
    title: str
    rules: list[str]
    prefix: int
    size_limit: int
    data: bytes
    chunks: list[bytes] | None  #: the chunks that the vector specifies, if it does
    messages: list[Message]


def stream_vectors() -> Iterator[StreamVector]:
    """Yields all ``decode`` cases that a lenient receiver must pass.

    Raises:
        FileNotFoundError: the package was installed without the specification.
    """
    for name, file in spec_files().items():
        if name.startswith("vectors/") and name.endswith(".json"):
            for case in json.loads(file.read_text(encoding="utf-8"))["cases"]:
                if case["kind"] == "decode" and not case["strict"]:
                    yield _vector(case)


def _vector(case: dict[str, Any]) -> StreamVector:
    data = _bytes(case["input"])
    stops = [0, *accumulate(case["chunks"])] if "chunks" in case else None
    return StreamVector(
        case["id"],
        case["title"],
        case["rules"],
        HEADER.prefix.parse(_bytes(case["prefix"])),
        case["limit"],
        data,
        stops and [data[start:stop] for start, stop in pairwise(stops)],
        list(_messages(case["messages"])),
    )


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return bytes.fromhex(value)
    if isinstance(value, dict):
        return _bytes(value["repeat"]) * int(value["count"])
    return b"".join(map(_bytes, value))


def _messages(values: list[dict[str, Any]]) -> Iterator[Message]:
    for value in values:
        if "repeat" in value:
            yield from list(_messages([value["repeat"]])) * value["count"]
        else:
            yield Message(value["msg_id"], _bytes(value["data"]))
