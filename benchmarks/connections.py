"""Blocking connections against the ``IPC`` objects below them: TCP, the other end a process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from vfiipc import Connection

from .far_end import FarEnd
from .harness import Result, interleave, one_core, ratio
from .streams import LARGE_LIMIT, PREFIX
from .transport import FULL, TINY, Scale

__all__ = ["FULL", "INTRODUCTION", "PACKAGES", "TINY", "TITLE", "pictured", "run"]

TITLE = "Blocking connections: speed"
PACKAGES: list[str] = []
INTRODUCTION = """\
TCP over the loopback interface; the other end is a process that sends everything back. All variants
alternate within one run. The results are medians of the rounds' ratios of elapsed time."""

NOTE = (
    "A request finds a free ID, waits while other threads may wait for their own answers, and"
    " hands over the reading to another thread when it returns. The plain calls do none of that."
)
_PLAIN = "`IPC.write_msg`, then `read_msg`"
_AIMS = {
    "`request`": 1.25,
    "`request`, with a time-out": None,
    "`send`, then `recv`": None,
}


def _plain(far_end: FarEnd, count: int) -> Callable[[], None]:
    tcp = far_end.tcp()
    data = bytes(64)

    def run() -> None:
        for number in range(count):
            tcp.write_msg(PREFIX, number, data)
            if tcp.read_msg(PREFIX, LARGE_LIMIT) is None:
                raise OSError(f"no message came back: {tcp.last_error}")

    return run


def _ours(far_end: FarEnd, count: int) -> dict[str, Callable[[], None]]:
    connection = Connection(far_end.tcp(), prefix=PREFIX, size_limit=LARGE_LIMIT)
    data = bytes(64)

    def request() -> None:
        for _ in range(count):
            connection.request(data)

    def request_in_time() -> None:
        for _ in range(count):
            connection.request(data, 10)

    def send() -> None:
        for _ in range(count):
            connection.send(data)
            connection.recv()

    return dict(zip(_AIMS, (request, request_in_time, send)))


def run(scale: Scale, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured."""
    count = scale.round_trips
    with one_core(), FarEnd("echo") as plain_end, FarEnd("echo") as our_end:
        for far_end in (plain_end, our_end):
            far_end.expect(0, 0)  # an echo goes on until the end
        ways = {_PLAIN: _plain(plain_end, count)} | _ours(our_end, count)
        times = interleave(ways, 5 * scale.rounds, time.perf_counter)
    for name, aim in _AIMS.items():
        yield Result(
            "64 B there and back, both ends on one core",
            name,
            _PLAIN,
            *ratio(times, _PLAIN, name),
            aim=aim,
            at_most=True,
            unit=" times the time",
            rate=f"{min(times[name]) / count * 1e6:.1f} µs",
            note=NOTE,
        )


def pictured(results: Sequence[Result]) -> list[Result]:
    """The results as speeds, which pictures are drawn of."""
    return [
        replace(
            result,
            value=1 / result.value,
            low=1 / result.high,
            high=1 / result.low,
            aim=result.aim and 1 / result.aim,
            at_most=False,
            unit="",
        )
        for result in results
    ]
