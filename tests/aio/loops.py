"""Event loops that the tests run under, certificates, and a plain peer without this library."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, TypeVar

import pytest
import trustme

from vfiipc import aio
from vfiipc.aio import Connection

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]

#: Kinds of event loops; "eager" is asyncio's with tasks that begin at once.
LOOPS = ["asyncio", "uvloop", "eager"]

PREFIX = 0x004E4659
LIMIT = 1 << 20
SECONDS = 30.0

#: The keywords without which nothing goes.
FRAMING: dict[str, Any] = {"prefix": PREFIX, "size_limit": LIMIT}


def run(kind: str, main: Coroutine[Any, Any, T]) -> T:
    """Runs ``main`` in a new loop; whatever a callback raises there fails the test."""
    if kind == "uvloop":
        try:
            loop = import_module("uvloop").new_event_loop()
        except ModuleNotFoundError:
            main.close()
            pytest.skip("uvloop is not installed")
    else:
        loop = asyncio.new_event_loop()
    if kind == "eager":
        factory = getattr(asyncio, "eager_task_factory", None)
        if factory is None:
            main.close()
            loop.close()
            pytest.skip("eager tasks came with Python 3.12")
        loop.set_task_factory(factory)
    problems: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: problems.append(context))
    try:
        result: T = loop.run_until_complete(main)
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    assert problems == [], problems
    return result


@asynccontextmanager
async def plain_peer() -> AsyncIterator[tuple[Connection, asyncio.StreamReader, Any]]:
    """A connection, with asyncio's own streams at its other end."""
    async with plain_server() as (address, accepted):  # noqa: SIM117 - reads better
        async with aio.connect(address, timeout=SECONDS, **FRAMING) as conn:
            yield conn, *await accepted()


@asynccontextmanager
async def plain_server() -> AsyncIterator[tuple[str, Callable[[], Any]]]:
    """An address where asyncio's own streams accept, and what waits for the next pair of them."""
    pairs: asyncio.Queue[Any] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        pairs.put_nowait((reader, writer))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"{host}:{port}", pairs.get
    finally:
        server.close()
        await asyncio.sleep(0.01)  # for those on their way
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a server at 127.0.0.1, and for clients that trust it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def echo(connection: Connection) -> None:
    """A handler that answers every message with itself."""
    async for message in connection:
        await connection.send(message.data, message.msg_id)
