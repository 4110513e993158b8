"""What many connections to one asyncio server cost: time of an exchange, memory of each."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator, Sequence
from typing import Any

from .harness import Result, ratio
from .network_asyncio import ASYNCIO, AsyncLink
from .network_peer import NetworkPeer, async_round_trips, memory_of_peer

__all__ = ["connections"]

_GROUP = "asyncio, TCP, many connections to one server"
_AT_ONCE = 50  # connections under way at the same time
_EXCHANGES = 500  # in each round, over as many of the connections
_ROUNDS = 5


def connections(numbers: Sequence[int], peers: bool) -> Iterator[Result]:
    """An exchange of 64 bytes, and memory, for so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for the other ends, too
    try:
        for number in numbers:
            if number + 200 > hard:
                print(f"left out: {number} connections need more than {hard} descriptors")
                continue
            yield from asyncio.run(_measured(number, peers))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _measured(number: int, peers: bool) -> list[Result]:
    times: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    for name in ASYNCIO:
        if name == "websockets" and not peers:
            continue
        with NetworkPeer(name) as peer:
            times[name], memory[name] = await _one(name, peer.address, number)
    return list(_results(number, times, memory))


async def _one(name: str, address: str, number: int) -> tuple[list[float], float]:
    first = await ASYNCIO[name].connect(address)
    await async_round_trips(first, 10, 64)
    before = await memory_of_peer(first)
    links = [first]
    while len(links) < number:
        missing = min(_AT_ONCE, number - len(links))
        links += await asyncio.gather(*(ASYNCIO[name].connect(address) for _ in range(missing)))
    await _exchange(links)
    grown = (await memory_of_peer(first) - before) / max(1, number - 1)
    seconds = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        await _exchange(links)
        seconds.append(time.perf_counter() - start)
    for link in links:
        await link.close()
    return seconds, grown


async def _exchange(links: Sequence[AsyncLink]) -> None:
    """At least ``_EXCHANGES`` exchanges, spread over all connections, all under way at once."""
    each = max(1, _EXCHANGES // len(links))
    await asyncio.gather(*(async_round_trips(link, each, 64) for link in links))


def _results(number: int, times: Any, memory: dict[str, float]) -> Iterator[Result]:
    ours, *others = times
    exchanges = max(1, _EXCHANGES // number) * number
    middle = sorted(times[ours])[_ROUNDS // 2] / exchanges
    label = f"{number} connection{'s' if number > 1 else ''}"
    for other in others:
        values = ratio(times, ours, other)
        yield Result(
            _GROUP, f"{label}, there and back", other, *values, rate=f"{middle * 1e6:.1f} µs"
        )
    if number >= 100:
        for name in times:
            kib = memory[name] / 1024
            yield Result(
                "Memory of a connection in the server",
                f"{label}: {name}",
                "a server without them",
                *(kib, kib, kib),
                unit=" KiB",
            )
