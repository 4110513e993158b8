"""The vectors as TCP connections: each stream in every way in which it might travel."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.helpers import captures
from tests.helpers.captures import Segment
from tests.spec.vectors import Case, all_cases, as_bytes, as_prefix, byte_by_byte, random_cuts
from vfiipc.codec import HEADER, Framer, Message

FIRST_SERVER = 10_000
FIRST_CLIENT = 30_000
SEGMENT = 1400
LONGEST_BYTE_BY_BYTE = 120


class Expected(NamedTuple):
    """What a lenient receiver makes of a stream. The last message ends after ``certain`` bytes."""

    messages: list[Message]
    discarded: int
    pending: int
    certain: int


class Stream(NamedTuple):
    """One vector as bytes that travel, and the parameters of the receiver."""

    name: str
    data: bytes
    prefix: int
    limit: int

    def expected(self) -> Expected:
        framer = Framer(self.prefix, self.limit)
        framer.receive_data(self.data)
        messages, certain = [], 0
        while (message := framer.next_message()) is not None:
            messages.append(message)
            certain = len(self.data) - framer.pending
        return Expected(messages, framer.discarded, framer.pending, certain)


def streams() -> list[Stream]:
    """All vectors that say what becomes of a stream, or what is sent."""
    found = []
    for case in all_cases():
        if case["kind"] == "decode":
            found.append(_stream(case, as_bytes(case["input"]), case["limit"]))
        elif case["kind"] == "encode" and "output" in case:
            data = as_bytes(case["output"])
            found.append(_stream(case, data, len(data) - HEADER.sizeof()))
    return found


def _stream(case: Case, data: bytes, limit: int) -> Stream:
    return Stream(case["id"], data, as_prefix(case["prefix"]), limit)


# Ways to travel


def packets_of(data: bytes) -> list[bytes]:
    return [data[at : at + SEGMENT] for at in range(0, len(data), SEGMENT)]


def as_sent(stream: Stream) -> list[Segment]:
    return captures.in_order(packets_of(stream.data))


def small(stream: Stream) -> list[Segment]:
    if len(stream.data) <= LONGEST_BYTE_BY_BYTE:
        return captures.in_order(byte_by_byte(stream.data))
    return cut_anywhere(stream)


def cut_anywhere(stream: Stream) -> list[Segment]:
    (pieces,) = random_cuts(stream.data, stream.name, 1)
    return captures.in_order(part for piece in pieces for part in packets_of(piece))


def reordered(stream: Stream) -> list[Segment]:
    segments = cut_anywhere(stream)
    for at in range(0, len(segments) - 1, 2):
        segments[at : at + 2] = reversed(segments[at : at + 2])
    return segments


def retransmitted(stream: Stream) -> list[Segment]:
    segments = cut_anywhere(stream)
    return [copy for segment in segments for copy in (segment, segment)]


WAYS: list[Callable[[Stream], list[Segment]]] = [
    as_sent, small, cut_anywhere, reordered, retransmitted,
]  # fmt: skip
STREAMS = streams()


def capture_of_all() -> bytes:
    """A capture with every stream in every way, each on a connection of its own."""
    packets: list[bytes] = []
    for number, way in enumerate(WAYS):
        for server, stream in enumerate(STREAMS, FIRST_SERVER):
            packets += captures.connection(FIRST_CLIENT + number, server, way(stream))
    return captures.pcap(packets)
