"""The notification service against MQTT brokers: one to one, one to many, latency, memory."""

from __future__ import annotations

import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vfiipc.notify.messages import Notify, Register
from vfiipc.notify.router import Router

from .harness import Result, interleave, ratio
from .notify_peers import AMQTT, MOSQUITTO, Mqtt, Ours, Way, broker, server

__all__ = [
    "FULL",
    "INTRODUCTION",
    "PACKAGES",
    "TINY",
    "TITLE",
    "Ends",
    "allow_descriptors",
    "resident",
    "run",
]

TITLE = "The notification service: speed"
PACKAGES = ["aiomqtt", "amqtt", "paho-mqtt"]
INTRODUCTION = """\
Broadcasts of a small parameter through one server, to receivers that have registered for the
notification ID. With MQTT, messages of the same size, with QoS 0, to subscribers of a topic. The
server or broker runs in its own process: `vfiipc notifysvc`, mosquitto (in C) or amqtt (in Python).
Sender and receivers are Python clients that share a process and an event loop: `vfiipc.notify`, or
aiomqtt for both brokers. A run lasts until every receiver has received everything; at most 20
notifications are in transit. All variants alternate within one run. The results are medians of the
rounds' ratios of elapsed time. Over TCP the server accepts 256 registrations, so more receivers
connect over Pipe."""

_WINDOW = 20
_PATIENCE = 120.0  # seconds for one run, on a machine that is busy with other things
_DESCRIPTORS = 8192


@dataclass(frozen=True)
class Scale:
    """How much is measured: rounds, and for each number of receivers how many are sent."""

    rounds: int
    sent: Mapping[int, int]
    round_trips: int
    routed: int


FULL = Scale(rounds=12, sent={1: 200, 10: 40, 1000: 2}, round_trips=40, routed=2000)
TINY = Scale(rounds=2, sent={1: 3, 2: 3, 300: 1}, round_trips=3, routed=50)


def run(scale: Scale, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured."""
    allow_descriptors()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process, tcp, pipe = stack.enter_context(server(folder))
        ports = {
            kind: stack.enter_context(broker(kind, folder)) for kind in (MOSQUITTO, AMQTT) if peers
        }
        *few, many = scale.sent
        for receivers in few:
            yield from _one_to(receivers, scale, tcp, pipe, ports)
        yield from _latency(scale, tcp, ports)
        ports.pop(AMQTT, None)  # too slow to be waited for
        yield from _one_to_many(many, scale, process, pipe, ports)
    yield _routing(scale)


def allow_descriptors() -> None:
    """Lets this process have as many connections as it needs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


E = TypeVar("E", bound="Ends")


class Ends:
    """Clients of several servers in one loop, until the end of the ``with`` block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self.ways: dict[str, Way] = {}

    def __enter__(self: E) -> E:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.close()

    def ours(self, name: str, address: str, receivers: int) -> None:
        made = Ours.connect(self._stack, address, receivers)
        self.ways[name] = self._loop.run_until_complete(made)

    def mqtt(self, ports: Mapping[str, int], receivers: int) -> None:
        for kind, port in ports.items():
            made = Mqtt.connect(self._stack, port, receivers)
            self.ways[kind] = self._loop.run_until_complete(made)

    def flood(self, way: Way, count: int) -> Callable[[], None]:
        def flood() -> None:
            sending = asyncio.wait_for(way.flood(count, _WINDOW), _PATIENCE)
            self._loop.run_until_complete(sending)

        return flood

    def round_trip(self, way: Way) -> float:
        begin = time.perf_counter()
        self._loop.run_until_complete(asyncio.wait_for(way.round_trip(), _PATIENCE))
        return time.perf_counter() - begin


_AIMS = {MOSQUITTO: ("aiomqtt through mosquitto", 0.5), AMQTT: ("aiomqtt through amqtt", 1.0)}


def _one_to(
    receivers: int, scale: Scale, tcp: str, pipe: str, ports: Mapping[str, int]
) -> Iterator[Result]:
    group = f"One to {receivers}" if receivers > 1 else "One to one"
    count = scale.sent[receivers]
    with Ends() as ends:
        ends.ours("tcp", tcp, receivers)
        ends.ours("pipe", pipe, receivers)
        ends.mqtt(ports, receivers)
        floods = {name: ends.flood(way, count) for name, way in ends.ways.items()}
        times = interleave(floods, scale.rounds, time.perf_counter)
    rate = f"{count * receivers / min(times['tcp']):,.0f} received a second"
    for kind in ports:
        against, aim = _AIMS[kind]
        wanted = aim if receivers == 1 else None
        yield Result(group, "over TCP", against, *ratio(times, "tcp", kind), aim=wanted, rate=rate)
    yield Result(group, "over Pipe", "over TCP", *ratio(times, "pipe", "tcp"))


def _latency(scale: Scale, tcp: str, ports: Mapping[str, int]) -> Iterator[Result]:
    """There and back: a unicast, and the receiver's answer to it."""
    with Ends() as ends:
        ends.ours("tcp", tcp, 1)
        ends.mqtt(ports, 1)
        samples: dict[str, list[list[float]]] = {name: [] for name in ends.ways}
        for _ in range(scale.rounds):
            for name, way in ends.ways.items():
                trips = [ends.round_trip(way) for _ in range(scale.round_trips)]
                samples[name].append(statistics.quantiles(trips, n=100, method="inclusive"))
    for percent in (50, 90, 99):
        times = {name: [each[percent - 1] for each in rounds] for name, rounds in samples.items()}
        rate = f"{min(times['tcp']) * 1e6:,.0f} µs"
        for kind in ports:
            against, _ = _AIMS[kind]
            name = f"percentile {percent}"
            yield Result("There and back", name, against, *ratio(times, "tcp", kind), rate=rate)


def _one_to_many(
    receivers: int, scale: Scale, process: int, pipe: str, ports: Mapping[str, int]
) -> Iterator[Result]:
    group = f"One to {receivers:,}"
    count = scale.sent[receivers]
    with Ends() as ends:
        before = resident(process)
        ends.ours("pipe", pipe, receivers)
        each = (resident(process) - before) / receivers / 1024
        ends.mqtt(ports, receivers)
        floods = {name: ends.flood(way, count) for name, way in ends.ways.items()}
        times = interleave(floods, scale.rounds, time.perf_counter)
    rate = f"{count * receivers / min(times['pipe']):,.0f} received a second"
    for kind in ports:
        against, _ = _AIMS[kind]
        yield Result(group, "over Pipe", against, *ratio(times, "pipe", kind), rate=rate)
    name = "an idle client with one registration"
    yield Result(
        "Memory of the server", name, "resident before", each, each, each, unit=" KiB", at_most=True
    )


def resident(process: int) -> float:
    """Bytes of memory that a process has."""
    pages = 0
    with suppress(OSError):
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _routing(scale: Scale) -> Result:
    times = interleave(
        {name: _routed(count, scale.routed) for name, count in (("5,000", 5000), ("50", 50))},
        scale.rounds,
    )
    slower = ratio(times, "50", "5,000")
    return Result(
        "Routing alone",
        "a unicast among 5,000 registrations",
        "among 50",
        *slower,
        aim=2.0,
        at_most=True,
        unit=" times as long",
        rate=f"{scale.routed / min(times['5,000']):,.0f} a second",
    )


def _routed(registrations: int, count: int) -> Callable[[], None]:
    router = Router(first_reference=1)
    sender, receiver = router.join(local=True), router.join(local=True)
    for number in range(registrations - 1):
        router.register(receiver, Register("terminal", f"other {number}"))
    router.register(receiver, Register("terminal", "x"))
    notify = Notify("till", "terminal", "x", b"{}")

    def route() -> None:
        for _ in range(count):
            router.notify(sender, notify)

    return route
