"""The codec against a loop that checks nothing, against peers, and against itself on more data."""

from __future__ import annotations

import gc
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vfiipc.codec import Framer, encode, encode_many

from .harness import Result, Times, interleave, ratio
from .memory import claim, peak_in_pieces
from .peers import NOTES, PACKAGES, PEERS
from .streams import ADVERSARIAL, LARGE_LIMIT, LIMIT, MARK, PREFIX, cut, false_headers, garbage

__all__ = ["FULL", "INTRODUCTION", "PACKAGES", "TINY", "TITLE", "Scale", "run"]

TITLE = "The codec: speed and memory"
INTRODUCTION = """\
Each ratio says how many times as fast vfiipc is. Both variants alternate within one run. The
results are medians of the rounds' ratios of process time, with the garbage collector on. "Bare" is
a loop of `struct.unpack_from` and slicing over the joined stream: it checks nothing, searches for
nothing, keeps no state and creates plain tuples. All other variants receive chunks of 64 KiB,
unless stated otherwise, and create `Message` objects. Other libraries receive the same payloads in
their own framing, and call `list.append` for each message, which is the fastest callback. The
ratios for eight times the data compare the best times, without the garbage collector."""

NOTE_SMALL = (
    "Creating a `Message`, and tracking it in the garbage collector, takes as long as all of the"
    " parsing: the same loop with plain tuples reaches 0.88."
)
NOTE_LARGE = (
    "The pieces are joined when all have arrived, which copies the data once more. Bare slices the"
    " data out of one piece."
)

_header = struct.Struct(">IIi")
_SUSPICIOUS = 9  # times the time, for eight times the data


@dataclass(frozen=True)
class Scale:
    """How much is measured: the least that still runs every line, or enough for the tables."""

    rounds: int
    stream: int
    large: int
    growth: int
    payload: int
    smallest_piece: int


FULL = Scale(rounds=60, stream=2**18, large=2**20, growth=2**14, payload=2**26, smallest_piece=2)
# The payload is more than the process held at its peak before, or its growth would not show.
TINY = Scale(rounds=2, stream=2**10, large=2**12, growth=2**8, payload=2**24, smallest_piece=2**12)


def run(scale: Scale, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured; those with peers only where these are installed."""
    yield from _decoding(scale)
    if peers:
        yield from _peers(scale)
    yield from _encoding(scale)
    yield from _resynchronising(scale)
    yield from _growth(scale)
    yield from _memory(scale)


# --- decoding -------------------------------------------------------------------------------------


def bare(stream: bytes) -> list[tuple[int, bytes]]:
    messages: list[tuple[int, bytes]] = []
    append, unpack = messages.append, _header.unpack_from
    at, end = 0, len(stream)
    while at < end:
        _, size, msg_id = unpack(stream, at)
        stop = at + 8 + size
        append((msg_id, stream[at + 12 : stop]))
        at = stop
    return messages


def drained(chunks: Sequence[bytes]) -> list[Any]:
    framer = Framer(PREFIX, LIMIT)
    messages: list[Any] = []
    for chunk in chunks:
        framer.receive_data(chunk)
        messages += framer.drain()
    return messages


def one_by_one(chunks: Sequence[bytes]) -> list[Any]:
    framer = Framer(PREFIX, LIMIT)
    messages: list[Any] = []
    append, next_message = messages.append, framer.next_message
    for chunk in chunks:
        framer.receive_data(chunk)
        while (message := next_message()) is not None:
            append(message)
    return messages


def _decoding(scale: Scale) -> Iterator[Result]:
    small, medium, large = 64, 2**10, scale.large
    yield from _decode(scale, "64 B", small, 65536, 0.55, 0.40)
    yield from _decode(scale, "1 KiB", medium, 65536, 0.55, 0.40)
    yield from _decode(scale, "1 MiB", large, 65536, 0.70, 0.70)
    yield from _decode(scale, "64 B in chunks of 1500 B", small, 1500, 0.45, None)
    yield from _decode(scale, "64 B, one message per chunk", small, small + 12, 0.15, 0.15)


def _decode(
    scale: Scale, name: str, size: int, chunk: int, aim: float, aim_one_by_one: float | None
) -> Iterator[Result]:
    count = max(4, scale.stream // size)
    stream = encode_many(PREFIX, [(number, bytes(size)) for number in range(count)])
    chunks = cut(stream, chunk)
    if not bare(stream) == drained(chunks) == one_by_one(chunks):
        raise AssertionError("the candidates do not do the same work")
    times = interleave(
        {
            "bare": lambda: bare(stream),
            "drain()": lambda: drained(chunks),
            "next_message()": lambda: one_by_one(chunks),
        },
        scale.rounds,
    )
    for way, goal in (("drain()", aim), ("next_message()", aim_one_by_one)):
        yield Result(
            "Decoding",
            f"{name}, `{way}`",
            "bare",
            *ratio(times, way, "bare"),
            aim=goal,
            rate=_rate(times, way, count, size),
            note=NOTE_SMALL if size < 2**16 else NOTE_LARGE,
        )


def _rate(times: Times, name: str, count: int, size: int) -> str:
    seconds = min(times[name])
    if size < 2**16:
        return f"{count / seconds / 1e6:.2f} million/s"
    return f"{count * size / seconds / 1e9:.1f} GB/s"


def _peers(scale: Scale) -> Iterator[Result]:
    payloads = [bytes(64)] * (scale.stream // 64)
    chunks = cut(encode_many(PREFIX, [(1, data) for data in payloads]))
    functions: dict[str, Callable[[], object]] = {"drain()": lambda: drained(chunks)}
    for name, (make, _) in PEERS.items():
        try:
            decode = make(payloads)
        except ModuleNotFoundError as error:
            print(f"left out, not installed: {error.name}")
            continue
        if len(decode()) < len(payloads):  # more where a message cut by a chunk comes in parts
            raise AssertionError(f"{name} does not do the same work")
        functions[name] = decode
    times = interleave(functions, scale.rounds)
    for name in list(functions)[1:]:
        yield Result(
            "Decoding 64 B, against peers",
            "`drain()`",
            name,
            *ratio(times, "drain()", name),
            aim=PEERS[name][1],
            rate=_rate(times, name, len(payloads), 64),
            note=NOTES.get(name, ""),
        )


# --- encoding -------------------------------------------------------------------------------------


def _encoding(scale: Scale) -> Iterator[Result]:
    for name, size in (("64 B", 64), ("1 KiB", 2**10)):
        messages = [(number, bytes(size)) for number in range(max(4, scale.stream // size))]
        yield from _encode(scale, name, messages)


def _encode(scale: Scale, name: str, messages: list[tuple[int, bytes]]) -> Iterator[Result]:
    pack = _header.pack

    def inline() -> list[bytes]:
        return [pack(PREFIX, len(data) + 4, msg_id) + data for msg_id, data in messages]

    def inline_joined() -> bytes:
        return b"".join([pack(PREFIX, len(data) + 4, msg_id) + data for msg_id, data in messages])

    def each() -> list[bytes]:
        return [encode(PREFIX, msg_id, data) for msg_id, data in messages]

    def many() -> bytes:
        return encode_many(PREFIX, messages)

    if not b"".join(inline()) == inline_joined() == b"".join(each()) == many():
        raise AssertionError("the candidates do not do the same work")
    times = interleave(
        {"inline": inline, "joined": inline_joined, "encode": each, "encode_many": many},
        scale.rounds,
    )
    size = len(messages[0][1])
    for way, reference, against, aim in (
        ("encode", "inline", "inline pack and concatenation", 0.65),
        ("encode_many", "joined", "the same, joined", 0.9),
    ):
        yield Result(
            "Encoding, argument checks included",
            f"{name}, `{way}`",
            against,
            *ratio(times, way, reference),
            aim=aim,
            rate=_rate(times, way, len(messages), size),
        )


# --- resynchronisation ----------------------------------------------------------------------------


def find_loop(stream: bytes) -> list[bytes]:
    """What one would write: find, judge the size, find on from the next byte."""
    messages: list[bytes] = []
    at = stream.find(MARK)
    while 0 <= at <= len(stream) - 8:
        (size,) = struct.unpack_from(">I", stream, at + 4)
        if 4 <= size <= LIMIT + 4:
            messages.append(stream[at + 12 : at + 8 + size])
            at += 8 + size
        else:
            at += 1
        at = stream.find(MARK, at)
    return messages


def _resynchronising(scale: Scale) -> Iterator[Result]:
    cases: list[tuple[str, bytes, str, Callable[[bytes], object], float]] = [
        ("random garbage", garbage(4 * scale.stream), "`bytes.find`", lambda s: s.find(MARK), 0.8),
        ("false oversize headers", false_headers(scale.stream), "a find loop", find_loop, 5),
    ]
    for name, stream, against, reference, aim in cases:
        chunks = cut(stream)
        if drained(chunks):
            raise AssertionError("a stream of garbage gave a message")
        times = interleave(
            {"reference": lambda: reference(stream), "drain": lambda: drained(chunks)},  # noqa: B023
            scale.rounds,
        )
        yield Result(
            "Resynchronisation",
            f"{name}, `drain()`",
            against,
            *ratio(times, "drain", "reference"),
            aim=aim,
            rate=f"{len(stream) / min(times['drain']) / 1e9:.2f} GB/s",
        )


def _growth(scale: Scale) -> Iterator[Result]:
    """Eight times the data must cost little more than eight times as much."""
    ways: dict[str, Callable[[list[bytes]], object]] = {
        "`drain()`": _count_drained,
        "`next_message()`": _count_one_by_one,
        "all fed before one `drain()`": _fed_first,
    }
    sizes = ((1, scale.growth), (7, 2 * scale.growth), (65536, 16 * scale.growth))
    for name, make in ADVERSARIAL.items():
        found: list[tuple[float, float, float, str]] = []
        for chunk, base in sizes:
            small, large = cut(make(base), chunk), cut(make(8 * base), chunk)
            for way, function in ways.items():
                values = _times_the_time(partial(function, small), partial(function, large), scale)
                found.append((*values, f"{way}, chunks of {chunk} B"))
        value, low, high, where = max(found)
        yield Result(
            "Eight times the data, worst of all ways and chunks",
            name,
            where,
            *(value, low, high),
            aim=10,
            at_most=True,
            unit=" times the time",
        )


def _times_the_time(
    small: Callable[[], object], large: Callable[[], object], scale: Scale
) -> tuple[float, float, float]:
    """The ratio of the best times, and the quartiles of the rounds' ratios."""
    functions = {"small": small, "large": large}
    gc.collect()
    gc.disable()  # the messages that a caller keeps are not the receiver's work
    try:
        times = interleave(functions, max(2, scale.rounds // 12))
        value = min(times["large"]) / min(times["small"])
        if value > _SUSPICIOUS:  # other programs' use of the caches, or not: more rounds tell
            times = interleave(functions, max(2, scale.rounds // 3))
            value = min(times["large"]) / min(times["small"])
    finally:
        gc.enable()
    _, low, high = ratio(times, "small", "large")
    return value, low, high


def _count_drained(chunks: Sequence[bytes]) -> int:
    framer = Framer(PREFIX, LARGE_LIMIT)
    count = 0
    for chunk in chunks:
        framer.receive_data(chunk)
        count += len(framer.drain())
    return count


def _count_one_by_one(chunks: Sequence[bytes]) -> int:
    framer = Framer(PREFIX, LARGE_LIMIT)
    count = 0
    for chunk in chunks:
        framer.receive_data(chunk)
        while framer.next_message() is not None:
            count += 1
    return count


def _fed_first(chunks: Sequence[bytes]) -> int:
    framer = Framer(PREFIX, LARGE_LIMIT)
    for chunk in chunks:
        framer.receive_data(chunk)
    return len(framer.drain())


# --- memory ---------------------------------------------------------------------------------------


def _memory(scale: Scale) -> Iterator[Result]:
    for piece in (2**10, scale.smallest_piece):
        peak = peak_in_pieces(scale.payload, piece) / scale.payload
        yield Result(
            "Memory at the peak",
            f"a message of {scale.payload // 2**20} MiB in pieces of {piece} B",
            "its payload",
            *(peak, peak, peak),
            aim=1.2,
            at_most=True,
            unit=" times the payload",
        )
    kilobytes = claim(2**30) / 1000
    yield Result(
        "Memory at the peak",
        "a header that claims 1 GiB",
        "nothing",
        *(kilobytes, kilobytes, kilobytes),
        aim=10,
        at_most=True,
        unit=" kB",
    )
