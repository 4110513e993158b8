"""Connections for asyncio against asyncio streams and websockets: both ends in one loop."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from vfiipc import aio

from .harness import Result, Times, interleave, ratio
from .streams import LARGE_LIMIT, PREFIX

__all__ = ["FULL", "INTRODUCTION", "PACKAGES", "TINY", "TITLE", "Scale", "run"]

TITLE = "asyncio: speed"
PACKAGES = ["websockets", "uvloop"]
INTRODUCTION = """\
TCP over the loopback interface; both ends are tasks of one event loop. All variants alternate
within one run. The results are medians of the rounds' ratios of elapsed time. A one-way run lasts
until the last message has been received."""

NOTE = (
    "A message that comes alone takes two iterations of the event loop and two system calls at"
    " each end, whatever the framing. Even asyncio's streams, which check nothing, take more than"
    " half of the time of websockets."
)

_HEADER = struct.Struct(">IIi")
_DATA = bytes(64)
_FRAMING: dict[str, Any] = {"prefix": PREFIX, "size_limit": LARGE_LIMIT}

#: Does so many messages, from the first to the last.
Work = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Scale:
    """How much is measured: rounds, and messages in each."""

    rounds: int
    round_trips: int
    one_way: int


FULL = Scale(rounds=40, round_trips=200, one_way=5000)
TINY = Scale(rounds=2, round_trips=2, one_way=10)


class Ways:
    """One way to exchange messages: what sends one to the far end, and what gets one from there."""

    def __init__(self, one_way: Work, round_trips: Work) -> None:
        self.one_way = one_way
        self.round_trips = round_trips


def run(scale: Scale, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured; those with peers only where these are installed."""
    yield from _measure("asyncio", asyncio.new_event_loop(), scale, peers=peers)
    try:
        uvloop = import_module("uvloop")
    except ModuleNotFoundError as error:
        print(f"left out, not installed: {error.name}")
    else:
        yield from _measure("uvloop", uvloop.new_event_loop(), scale, peers=peers)


def _measure(
    kind: str, loop: asyncio.AbstractEventLoop, scale: Scale, *, peers: bool
) -> Iterator[Result]:
    stack = AsyncExitStack()
    try:
        ways = loop.run_until_complete(_all_ways(stack, peers=peers))
        one_way = _race(
            loop, {name: way.one_way for name, way in ways.items()}, scale.one_way, scale
        )
        trips = _race(
            loop, {name: way.round_trips for name, way in ways.items()}, scale.round_trips, scale
        )
    finally:
        loop.run_until_complete(stack.aclose())
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()
    plain = kind == "asyncio"
    aims = {"asyncio streams": (2.0, None), "websockets": (3.0, 2.0)}
    for number, (times, count, group) in enumerate(
        (
            (one_way, scale.one_way, "One way, 64 B"),
            (trips, scale.round_trips, "There and back, 64 B"),
        )
    ):
        for name in ways:
            if name != "ours":
                aim = next((aims[key][number] for key in aims if name.startswith(key)), None)
                yield Result(
                    f"{group}, under {kind}",
                    "ours",
                    name,
                    *ratio(times, "ours", name),
                    aim=aim if plain else None,
                    rate=f"{min(times['ours']) / count * 1e6:.1f} µs a message",
                    note=NOTE,
                )


def _race(
    loop: asyncio.AbstractEventLoop, works: dict[str, Work], count: int, scale: Scale
) -> Times:
    def way(work: Work) -> Callable[[], object]:
        return lambda: loop.run_until_complete(_awaited(work, count))

    functions = {name: way(work) for name, work in works.items()}
    return interleave(functions, scale.rounds, time.perf_counter)


async def _awaited(work: Work, count: int) -> None:
    await work(count)


async def _all_ways(stack: AsyncExitStack, *, peers: bool) -> dict[str, Ways]:
    ways = {"ours": await _ours(stack), "asyncio streams, `readexactly`": await _streams(stack)}
    if peers:
        try:
            ways["websockets"] = await _websockets(stack)
            ways["websockets without compression"] = await _websockets(stack, compression=None)
        except ModuleNotFoundError as error:
            print(f"left out, not installed: {error.name}")
    return ways


# --- the ways: a near end that sends, and a far end that counts or sends back ---------------------


def _ways(
    send: Callable[[], Awaitable[Any]], receive: Callable[[], Awaitable[Any]], far: FarEnd
) -> Ways:
    async def one_way(count: int) -> None:
        done = far.expect(count)
        for _ in range(count):
            await send()
        await done

    async def round_trips(count: int) -> None:
        far.echo = True
        for _ in range(count):
            await send()
            await receive()
        far.echo = False

    return Ways(one_way, round_trips)


class FarEnd:
    """What the other end does with a message: sends it back, or counts it."""

    def __init__(self) -> None:
        self.echo = False
        self._left = 0
        self._done: asyncio.Future[None] | None = None

    def expect(self, count: int) -> asyncio.Future[None]:
        """Done when so many messages have come."""
        self._left = count
        self._done = asyncio.get_running_loop().create_future()
        return self._done

    def count(self) -> None:
        """One has come."""
        self._left -= 1
        if not self._left and self._done is not None:
            self._done.set_result(None)


async def _ours(stack: AsyncExitStack) -> Ways:
    far = FarEnd()

    async def handler(connection: aio.Connection) -> None:
        async for message in connection:
            if far.echo:
                await connection.send(message.data, message.msg_id)
            else:
                far.count()

    server = await stack.enter_async_context(
        aio.serve(handler, "127.0.0.1:0", grace=0.5, **_FRAMING)
    )
    connection = await stack.enter_async_context(aio.connect(server.address, **_FRAMING))
    return _ways(lambda: connection.send(_DATA, 7), connection.recv, far)


async def _streams(stack: AsyncExitStack) -> Ways:
    far = FarEnd()

    async def receive(reader: asyncio.StreamReader) -> bytes:
        _, size, _ = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        return await reader.readexactly(size - 4)

    async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(_HEADER.pack(PREFIX, len(data) + 4, 7) + data)
        await writer.drain()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                data = await receive(reader)
                if far.echo:
                    await send(writer, data)
                else:
                    far.count()
        except EOFError:
            writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    stack.callback(server.close)
    stack.callback(writer.close)
    return _ways(lambda: send(writer, _DATA), lambda: receive(reader), far)


async def _websockets(stack: AsyncExitStack, **keywords: Any) -> Ways:
    client = import_module("websockets.asyncio.client")
    server_module = import_module("websockets.asyncio.server")
    far = FarEnd()

    async def handler(connection: Any) -> None:
        async for message in connection:
            if far.echo:
                await connection.send(message)
            else:
                far.count()

    server = await stack.enter_async_context(
        server_module.serve(handler, "127.0.0.1", 0, **keywords)
    )
    port = server.sockets[0].getsockname()[1]
    connection = await stack.enter_async_context(
        client.connect(f"ws://127.0.0.1:{port}", **keywords)
    )
    return _ways(lambda: connection.send(_DATA), connection.recv, far)
