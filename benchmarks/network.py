"""Whole exchanges over the network, against raw sockets and other libraries."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

from . import network_peer as runs
from .connections_cost import connections
from .curves import curves
from .harness import Result, Times, interleave, one_core, ratio
from .network_asyncio import ASYNCIO, AsyncLink
from .network_blocking import BLOCKING, Link
from .network_peer import NetworkPeer

__all__ = [
    "FULL",
    "GROWTH_CAPTION",
    "INTRODUCTION",
    "PACKAGES",
    "TINY",
    "TITLE",
    "Scale",
    "growth",
    "pictured",
    "run",
]

TITLE = "The network: exchanges with others"
PACKAGES = ["pyzmq", "websockets"]
INTRODUCTION = """\
Two processes on one machine exchange messages, over TCP on the loopback interface or over Unix
sockets. All variants of a table alternate within one run. The results are medians of the rounds'
ratios of elapsed time; above 1, vfiipc is faster. For round trips, both ends run on one core,
because otherwise the scheduler's choice of cores decides the result. *Raw sockets* are the limit:
they check nothing, and with many messages one way their receiver only counts bytes. All variants
set TCP_NODELAY, including multiprocessing.connection, which does not set it by default."""

_SIZES = [64, 1024, 16384, 2**18, 2**20]


@dataclass(frozen=True)
class Scale:
    """How much is measured: rounds, bytes at most in one run, messages at most in one run."""

    rounds: int
    volume: int
    messages: int
    sizes: tuple[int, ...]
    connections: tuple[int, ...]


FULL = Scale(15, 2**24, 2000, tuple(_SIZES), (1, 10, 100, 1000, 10_000))
TINY = Scale(1, 2**14, 4, (64, 1024), (1, 3))

_Run = Callable[[], object]

_THERE_AND_BACK = "there and back"


def run(scale: Scale, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured; those with peers only where these are installed."""
    for place in ("TCP", "Unix sockets"):
        yield from _blocking(scale, place, peers)
    for place in ("TCP", "Unix sockets"):
        yield from _asyncio(scale, place, peers)
    yield from connections(scale.connections, peers)


GROWTH_CAPTION = (
    "How the ratios over TCP depend on the message size and on the number of connections. Above 1, "
    "vfiipc is faster."
)


def pictured(results: Sequence[Result]) -> list[Result]:
    """Those that one picture has room for: small and large messages over TCP, many connections."""
    return [
        result
        for result in results
        if "TCP" in result.group
        and result.name.startswith(("64 B", "1024 KiB", "1000 conn", "10000 conn"))
    ]


def growth(results: Sequence[Result]) -> str:
    """A picture of how the ratios change with the size of messages, and with connections."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    labels: dict[float, str] = {}
    axes: dict[str, str] = {}
    for result in results:
        amount, _, kind = result.name.partition(", ")
        if "TCP" not in result.group or not kind or kind.endswith("at once"):
            continue
        number, _, unit = amount.partition(" ")
        place = float(number) * (1024 if unit == "KiB" else 1)
        many = unit.startswith("conn")
        labels[place] = f"{int(number):,}" if many else amount
        title = "asyncio, many connections" if many else f"{result.group.split(',')[0]}, {kind}"
        axes[title] = "connections to one server" if many else "data in a message"
        points = panels.setdefault(title, {}).setdefault(result.against, [])
        points.append((place, result.value))
    return curves("TCP, by size and by number of connections", panels, labels, axes)


def _count(scale: Scale, size: int) -> int:
    return max(2, min(scale.messages, scale.volume // size))


def _names(ways: Mapping[str, object], peers: bool) -> list[str]:
    return [name for name in ways if peers or name not in ("pyzmq PAIR", "websockets")]


def _path(place: str, folder: str, name: str) -> str:
    return "" if place == "TCP" else str(Path(folder) / name.replace(" ", "-"))


def _blocking(scale: Scale, place: str, peers: bool) -> Iterator[Result]:
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        links, pids = {}, []
        for name in _names(BLOCKING, peers):
            peer = stack.enter_context(NetworkPeer(name, _path(place, folder, name)))
            pids.append(peer.pid)
            links[name] = BLOCKING[name].connect(peer.address)
            stack.callback(links[name].close)

        for size in scale.sizes:
            count = _count(scale, size)
            kinds: dict[str, Callable[..., None]] = {"one way": runs.one_way}
            if size <= 1024:
                kinds["one way, many at once"] = _many
            kinds[_THERE_AND_BACK] = runs.round_trips
            for kind, exchange in kinds.items():
                ways = {n: _bound(exchange, link, count, size) for n, link in links.items()}
                times = _race(scale, kind, pids, ways)
                yield from _results(f"Blocking, {place}", kind, size, count, times)


def _many(link: Link, count: int, size: int) -> None:
    runs.one_way(link, count, size, batched=True)


def _bound(exchange: Callable[..., object], link: object, count: int, size: int) -> _Run:
    return lambda: exchange(link, count, size)


def _asyncio(scale: Scale, place: str, peers: bool) -> Iterator[Result]:
    loop = asyncio.new_event_loop()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        links, pids = {}, []
        for name in _names(ASYNCIO, peers):
            peer = stack.enter_context(NetworkPeer(name, _path(place, folder, name)))
            pids.append(peer.pid)
            links[name] = loop.run_until_complete(_connected(name, peer.address))

        for size in scale.sizes:
            count = _count(scale, size)
            for kind, exchange in (
                ("one way", runs.async_one_way),
                (_THERE_AND_BACK, runs.async_round_trips),
            ):
                ways = {n: _bound(exchange, link, count, size) for n, link in links.items()}
                completed = {n: _completed(loop, coroutine) for n, coroutine in ways.items()}
                times = _race(scale, kind, pids, completed)
                yield from _results(f"asyncio, {place}", kind, size, count, times)
        for link in links.values():
            loop.run_until_complete(link.close())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


async def _connected(name: str, address: str) -> AsyncLink:
    return await ASYNCIO[name].connect(address)


def _completed(loop: asyncio.AbstractEventLoop, coroutine: Callable[[], object]) -> _Run:
    return lambda: loop.run_until_complete(coroutine())  # type: ignore[arg-type]


def _race(scale: Scale, kind: str, pids: Sequence[int], ways: Mapping[str, _Run]) -> Times:
    with one_core(*pids) if kind == _THERE_AND_BACK else nullcontext():
        return interleave(ways, scale.rounds, time.perf_counter)


def _results(group: str, kind: str, size: int, count: int, times: Times) -> Iterator[Result]:
    ours, *others = times
    seconds = sorted(times[ours])[len(times[ours]) // 2] / count
    rate = f"{seconds * 1e6:.1f} µs" if kind == _THERE_AND_BACK else f"{1 / seconds:,.0f}/s"
    label = f"{size} B" if size < 1024 else f"{size >> 10} KiB"
    for other in others:
        yield Result(group, f"{label}, {kind}", other, *ratio(times, ours, other), rate=rate)
