"""The transports against raw sockets and peers: loopback TCP, each other end a process."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from .far_end import FarEnd
from .harness import Result, Times, interleave, one_core, ratio
from .streams import LARGE_LIMIT, PREFIX

__all__ = ["FULL", "INTRODUCTION", "PACKAGES", "TINY", "TITLE", "Scale", "run"]

TITLE = "The transports: speed"
PACKAGES = ["pyzmq"]
INTRODUCTION = """\
TCP over the loopback interface; the other end is a separate process. All variants alternate within
one run. The results are medians of the rounds' ratios of elapsed time. A one-way run lasts until
the other end has confirmed that it received the last message."""

NOTE_ONE = (
    "A raw send takes little more than a microsecond here. The call in Python, the header, the"
    " turn among several writers and the protection against a close from another thread take nearly"
    " as long. Where a send wakes a waiting peer, as in the round trip, this cost is hardly"
    " visible."
)
NOTE_MANY = (
    "The receiver is the limit, because it creates an object for each message; where it only"
    " counts bytes, the ratio measures the sender alone. Fifteen times the speed of"
    " multiprocessing.connection is more than a loop that checks nothing can decode. pyzmq receives"
    " in C, in a thread of its own."
)
NOTE_LARGE = (
    "The flood's receiver reads into the same warm memory repeatedly and discards the data. A"
    " message is assembled in its own memory."
)

_pack = struct.Struct(">IIi").pack
_HEADER = 12


@dataclass(frozen=True)
class Scale:
    """How much is measured: rounds, and messages in each."""

    rounds: int
    round_trips: int
    small: int
    many: int
    large: int
    large_size: int


FULL = Scale(rounds=60, round_trips=40, small=4000, many=20000, large=64, large_size=2**20)
TINY = Scale(rounds=2, round_trips=2, small=10, many=10, large=2, large_size=2**17)


def run(scale: Scale, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured; those with peers only where these are installed."""
    yield from _round_trip(scale)
    yield from _one_send_each(scale)
    yield from _many_at_once(scale, peers=peers)
    yield from _large(scale)


# --- there and back -------------------------------------------------------------------------------


def _round_trip(scale: Scale) -> Iterator[Result]:
    data = bytes(64)
    with one_core(), FarEnd("echo") as raw_end, FarEnd("echo") as our_end:
        sock = raw_end.socket
        tcp = our_end.tcp()
        for far_end in (raw_end, our_end):
            far_end.expect(0, 0)  # an echo goes on until the end

        def raw() -> None:
            for number in range(scale.round_trips):
                sock.sendall(_pack(PREFIX, len(data) + 4, number) + data)
                sock.recv(_HEADER)
                sock.recv(len(data))

        def ours() -> None:
            for number in range(scale.round_trips):
                tcp.write_msg(PREFIX, number, data)
                if tcp.read_msg(PREFIX, LARGE_LIMIT, 10_000) is None:
                    raise OSError(f"no message came back: {tcp.last_error}")

        times = interleave({"raw": raw, "ours": ours}, 5 * scale.rounds, time.perf_counter)
    value, low, high = ratio(times, "raw", "ours")
    yield Result(
        "There and back, both ends on one core",
        "64 B, `write_msg`, then `read_msg` with a time-out",
        "raw `sendall` and two `recv`",
        *(value, low, high),
        aim=1.2,
        at_most=True,
        unit=" times the time",
        rate=f"{min(times['ours']) / scale.round_trips * 1e6:.1f} µs",
    )


# --- one way --------------------------------------------------------------------------------------

#: Sends so many messages of so many bytes.
Send = Callable[[int, int], None]


def raw_sends(far_end: FarEnd) -> Send:
    sendall = far_end.socket.sendall

    def send(count: int, size: int) -> None:
        data = bytes(size)
        for number in range(count):
            sendall(_pack(PREFIX, len(data) + 4, number) + data)

    return send


def flood(far_end: FarEnd) -> Send:
    sendall = far_end.socket.sendall

    def send(count: int, size: int) -> None:
        data = bytes(size + _HEADER)
        for _ in range(count):
            sendall(data)

    return send


def write_msg(far_end: FarEnd) -> Send:
    tcp = far_end.tcp()

    def send(count: int, size: int) -> None:
        data = bytes(size)
        for number in range(count):
            if not tcp.write_msg(PREFIX, number, data, 10_000):
                raise OSError(f"not written: {tcp.last_error}")

    return send


def write_msgs(far_end: FarEnd) -> Send:
    tcp = far_end.tcp()

    def send(count: int, size: int) -> None:
        data = bytes(size)
        if not tcp.write_msgs(PREFIX, ((number, data) for number in range(count)), 10_000):
            raise OSError(f"not written: {tcp.last_error}")

    return send


def multiprocessing(far_end: FarEnd) -> Send:
    connection: Any = Connection(far_end.socket.detach())

    def send(count: int, size: int) -> None:
        data = bytes(size)
        for _ in range(count):
            connection.send_bytes(data)

    return send


class Race:
    """Ways to send, each with its other end, that are run against each other."""

    def __init__(self, count: int, size: int) -> None:
        self._count = count
        self._size = size
        self._stack = ExitStack()
        self._ways: dict[str, Callable[[], object]] = {}

    def __enter__(self) -> Race:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(
        self, name: str, role: str, sender: Callable[[FarEnd], Send], *, nodelay: bool = True
    ) -> None:
        far_end = self._stack.enter_context(FarEnd(role, nodelay=nodelay))
        self._add(name, far_end, sender(far_end))

    def add_zeromq(self, name: str) -> None:
        zmq = import_module("zmq")
        push = self._stack.enter_context(zmq.Context.instance().socket(zmq.PUSH))
        port = push.bind_to_random_port("tcp://127.0.0.1")
        far_end = self._stack.enter_context(FarEnd("zeromq", address=f"tcp://127.0.0.1:{port}"))

        def send(count: int, size: int) -> None:
            data = bytes(size)
            for _ in range(count):
                push.send(data)

        self._add(name, far_end, send)

    def _add(self, name: str, far_end: FarEnd, send: Send) -> None:
        def way() -> None:
            far_end.expect(self._count, self._size + _HEADER)
            send(self._count, self._size)
            far_end.wait()

        self._ways[name] = way

    def run(self, rounds: int) -> Times:
        return interleave(self._ways, rounds, time.perf_counter)

    def rate(self, times: Times, name: str) -> str:
        seconds = min(times[name])
        if self._size < 2**16:
            return f"{self._count / seconds / 1e6:.2f} million/s"
        return f"{self._count * self._size / seconds / 1e9:.1f} GB/s"


def _one_send_each(scale: Scale) -> Iterator[Result]:
    cases = [
        ("`write_msg`", "`sendall`, receiver only counts bytes", 0.95),
        ("`write_msg` to `read_msg`", "`sendall` to two `recv` a message", 0.95),
    ]
    with Race(scale.small, 64) as race:
        race.add(cases[0][0], "flood", write_msg)
        race.add(cases[0][1], "flood", raw_sends)
        race.add(cases[1][0], "read_msg", write_msg)
        race.add(cases[1][1], "two receives", raw_sends)
        times = race.run(scale.rounds)
    for ours, theirs, aim in cases:
        values = ratio(times, ours, theirs)
        rate = race.rate(times, ours)
        yield Result(
            "One way, 64 B, one send each", ours, theirs, *values, aim=aim, rate=rate, note=NOTE_ONE
        )


def _many_at_once(scale: Scale, *, peers: bool) -> Iterator[Result]:
    aims = {"multiprocessing.connection": 15.0, "pyzmq PUSH/PULL": 2.5}
    counting = "`write_msgs`, receiver only counts bytes"
    best = "`write_msgs` to `read_msgs`"
    ways = [best, "`write_msgs` to a `Framer`", "`write_msgs` to `read_msg`", counting]
    with Race(scale.many, 64) as race:
        race.add(counting, "flood", write_msgs)
        race.add(best, "read_msgs", write_msgs)
        race.add(ways[1], "drain", write_msgs)
        race.add(ways[2], "read_msg", write_msgs)
        race.add("multiprocessing.connection", "multiprocessing", multiprocessing, nodelay=False)
        if peers:
            try:
                race.add_zeromq("pyzmq PUSH/PULL")
            except ModuleNotFoundError as error:
                print(f"left out, not installed: {error.name}")
        times = race.run(scale.rounds)
    for ours in ways:
        for theirs, aim in aims.items():
            if theirs in times:
                yield Result(
                    "One way, 64 B, many at once",
                    ours,
                    theirs,
                    *ratio(times, ours, theirs),
                    aim=aim if ours == best else None,
                    rate=race.rate(times, ours),
                    note=NOTE_MANY,
                )


def _large(scale: Scale) -> Iterator[Result]:
    with Race(scale.large, scale.large_size) as race:
        race.add("ours", "read_msg", write_msg)
        race.add("to a framer", "drain", write_msg)
        race.add("flood", "flood", flood)
        times = race.run(scale.rounds)
    for name, label in (
        ("ours", "1 MiB, `write_msg` to `read_msg`"),
        ("to a framer", "1 MiB, `write_msg` to a `Framer`"),
    ):
        yield Result(
            "One way, large messages",
            label,
            "a flood without framing",
            *ratio(times, name, "flood"),
            aim=0.9,
            rate=race.rate(times, name),
            note=NOTE_LARGE,
        )
