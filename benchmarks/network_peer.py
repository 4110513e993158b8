"""The other end of a connection of any way, in a process of its own, and runs against it.

``python -m benchmarks.network_peer NAME [PATH]`` listens, prints its address, and does what its
client's orders say, which are messages themselves: to receive many and answer the last, or to
answer each. With ``memory`` as an order it answers how much memory it has.
"""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .network_asyncio import ASYNCIO, AsyncLink
from .network_blocking import BLOCKING, Link

__all__ = [
    "NetworkPeer",
    "async_one_way",
    "async_round_trips",
    "memory_of_peer",
    "one_way",
    "round_trips",
]

_ROOT = Path(__file__).resolve().parent.parent
_ORDER = struct.Struct(">BQQ")
_ONE_WAY, _ROUND_TRIPS, _MEMORY = range(3)
_DONE = b"done"
_NUMBER = struct.Struct(">Q")


class NetworkPeer:
    """A process that listens for connections of one way."""

    def __init__(self, name: str, path: str = "") -> None:
        command = [sys.executable, "-m", "benchmarks.network_peer", name, path]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        #: The number of its process.
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            raise OSError(f"the other end of {name} has died")

    def __enter__(self) -> NetworkPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


# --- runs -----------------------------------------------------------------------------------------


def one_way(link: Link, count: int, size: int, *, batched: bool = False) -> None:
    """Until the other end has said that it has received all."""
    data = bytes(size)
    link.send(_ORDER.pack(_ONE_WAY, count, size))
    if batched:
        link.send_many(data, count)
    else:
        for _ in range(count):
            link.send(data)
    _check(link.receive())


def round_trips(link: Link, count: int, size: int) -> None:
    data = bytes(size)
    link.send(_ORDER.pack(_ROUND_TRIPS, count, size))
    for _ in range(count):
        link.send(data)
        link.receive()


async def async_one_way(link: AsyncLink, count: int, size: int) -> None:
    data = bytes(size)
    await link.send(_ORDER.pack(_ONE_WAY, count, size))
    for _ in range(count):
        await link.send(data)
    _check(await link.receive())


async def async_round_trips(link: AsyncLink, count: int, size: int) -> None:
    data = bytes(size)
    await link.send(_ORDER.pack(_ROUND_TRIPS, count, size))
    for _ in range(count):
        await link.send(data)
        await link.receive()


async def memory_of_peer(link: AsyncLink) -> int:
    """Bytes of memory that the other end's process has."""
    await link.send(_ORDER.pack(_MEMORY, 0, 0))
    return int(_NUMBER.unpack(await link.receive())[0])


def _check(answer: bytes) -> None:
    if answer != _DONE:
        raise OSError(f"the other end answered {len(answer)} bytes instead of {_DONE!r}")


# --- the process ----------------------------------------------------------------------------------


def _serve(link: Link) -> None:
    while True:
        kind, count, size = _ORDER.unpack(link.receive())
        if kind == _ONE_WAY:
            link.receive_many(count, size)
            link.send(_DONE)
        else:
            for _ in range(count):
                link.send(link.receive())


async def _serve_async(link: AsyncLink) -> None:
    while True:
        kind, count, _ = _ORDER.unpack(await link.receive())
        if kind == _MEMORY:
            await link.send(_NUMBER.pack(_memory()))
        elif kind == _ONE_WAY:
            for _ in range(count):
                await link.receive()
            await link.send(_DONE)
        else:
            for _ in range(count):
                await link.send(await link.receive())


def _memory() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def _run(name: str, path: str) -> None:
    address, server = await ASYNCIO[name].listen(path, _serve_async)
    print(address, flush=True)
    await asyncio.Event().wait()
    del server


def _main(name: str, path: str) -> None:
    if name in ASYNCIO:
        asyncio.run(_run(name, path))
        return
    address, accept = BLOCKING[name].listen(path)
    print(address, flush=True)
    _serve(accept())


if __name__ == "__main__":
    with suppress(ConnectionError, EOFError, KeyboardInterrupt):
        _main(*sys.argv[1:])
    os._exit(0)
