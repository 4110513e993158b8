"""Ways to exchange messages under asyncio: ours, streams, websockets."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from vfiipc import aio

from .streams import LARGE_LIMIT, PREFIX

__all__ = ["ASYNCIO", "AsyncLink", "AsyncWay", "Handler"]

_SIZE = struct.Struct(">I")


class AsyncLink(Protocol):
    """One end of a connection."""

    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes: ...

    async def close(self) -> None: ...


Handler = Callable[[AsyncLink], Awaitable[None]]


class AsyncWay(NamedTuple):
    """``listen(path, handler)`` gives an address and the server; a path means Unix sockets."""

    listen: Callable[[str, Handler], Awaitable[tuple[str, Any]]]
    connect: Callable[[str], Awaitable[AsyncLink]]


# --- ours -----------------------------------------------------------------------------------------


class _Ours:
    def __init__(self, connection: aio.Connection) -> None:
        self.connection = connection  # which would close itself without a reference
        self.send = connection.send

    async def receive(self) -> bytes:
        return (await self.connection.recv()).data

    async def close(self) -> None:
        self.connection.close()
        await self.connection.wait_closed()


async def _ours_listen(path: str, handler: Handler) -> tuple[str, Any]:
    server = await aio.serve(
        lambda connection: _until_the_end(handler, _Ours(connection)),
        f"pipe://{path}" if path else "tcp://127.0.0.1:0",
        prefix=PREFIX,
        size_limit=LARGE_LIMIT,
        max_connections=20_000,
    )
    return server.address, server


async def _until_the_end(handler: Handler, link: AsyncLink) -> None:
    try:
        await handler(link)
    except (EOFError, OSError):
        pass


async def _ours_connect(address: str) -> AsyncLink:
    return _Ours(await aio.connect(address, prefix=PREFIX, size_limit=LARGE_LIMIT))


# --- streams of asyncio ---------------------------------------------------------------------------


class _Streams:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(_SIZE.pack(len(data)) + data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        (size,) = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))
        return await self._reader.readexactly(size)

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


async def _streams_listen(path: str, handler: Handler) -> tuple[str, Any]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _until_the_end(handler, _Streams(reader, writer))
        writer.close()

    if path:
        return path, await asyncio.start_unix_server(serve, path)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    return f"127.0.0.1:{server.sockets[0].getsockname()[1]}", server


async def _streams_connect(address: str) -> AsyncLink:
    if "/" in address:
        return _Streams(*await asyncio.open_unix_connection(address))
    host, _, port = address.rpartition(":")
    return _Streams(*await asyncio.open_connection(host, int(port)))


# --- websockets -----------------------------------------------------------------------------------

_WEBSOCKETS: dict[str, Any] = {"compression": None, "max_size": None, "ping_interval": None}


class _WebSocket:
    def __init__(self, connection: Any) -> None:
        self.send = connection.send
        self.receive = connection.recv
        self.close = connection.close


async def _websockets_listen(path: str, handler: Handler) -> tuple[str, Any]:
    server = import_module("websockets.asyncio.server")
    closed = import_module("websockets.exceptions").ConnectionClosed

    async def serve(connection: Any) -> None:
        try:
            await handler(_WebSocket(connection))
        except closed:
            pass

    if path:
        return path, await server.unix_serve(serve, path, **_WEBSOCKETS)
    serving = await server.serve(serve, "127.0.0.1", 0, backlog=1000, **_WEBSOCKETS)
    return f"127.0.0.1:{serving.sockets[0].getsockname()[1]}", serving


async def _websockets_connect(address: str) -> AsyncLink:
    client = import_module("websockets.asyncio.client")
    if "/" in address:
        return _WebSocket(await client.unix_connect(address, **_WEBSOCKETS))
    return _WebSocket(await client.connect(f"ws://{address}", proxy=None, **_WEBSOCKETS))


#: By the name in the tables; the first is ours.
ASYNCIO: dict[str, AsyncWay] = {
    "vfiipc.aio": AsyncWay(_ours_listen, _ours_connect),
    "asyncio streams": AsyncWay(_streams_listen, _streams_connect),
    "websockets": AsyncWay(_websockets_listen, _websockets_connect),
}
