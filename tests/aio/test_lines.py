"""Tasks that wait in line: to send, and to receive. None is forgotten."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from vfiipc import aio
from vfiipc.codec import SyncLostError, encode
from vfiipc.exchange import ConnectionClosed

from .loops import FRAMING, PREFIX, SECONDS, Run

_PIECE = 1 << 16


@asynccontextmanager
async def _narrow(**keywords: Any) -> AsyncIterator[tuple[aio.Connection, socket.socket]]:
    """A connection and the plain socket at its other end, with little room between them."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        conn = await aio.connect(address, **FRAMING, **keywords)
        conn.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with listener.accept()[0] as peer:
            peer.setblocking(False)
            try:
                yield conn, peer
            finally:
                conn.abort()
                await conn.wait_closed()


async def _fill(conn: aio.Connection) -> None:
    """Sends until there is no room."""
    with suppress(TimeoutError):
        while True:
            await conn.send(bytes(_PIECE), timeout=0.1)


def test_who_sends_does_not_wait_for_the_answer_to_a_request_before(loop: Run[Any]) -> None:
    async def main() -> None:
        async with _narrow() as (conn, peer):
            await _fill(conn)
            request = asyncio.ensure_future(conn.request(b"first"))
            await asyncio.sleep(0.01)
            behind = asyncio.ensure_future(conn.send(b"second", timeout=SECONDS))
            await asyncio.sleep(0.01)
            running = asyncio.get_running_loop()
            wanted = encode(PREFIX, 0, b"second")
            seen = b""
            while not seen.endswith(wanted):
                reading = running.sock_recv(peer, _PIECE)
                seen = seen[-len(wanted) :] + await asyncio.wait_for(reading, SECONDS)
            await behind
            await running.sock_sendall(peer, encode(PREFIX, 1, b"answer"))
            assert (await request).data == b"answer"

    loop(main())


def test_nothing_is_taken_while_a_closed_connection_sends_its_last(loop: Run[Any]) -> None:
    async def main() -> None:
        async with _narrow(max_unsent=1 << 20) as (conn, peer):
            await _fill(conn)
            conn.close()
            running = asyncio.get_running_loop()
            # Whatever of it has left, whether there is room again or not.
            while await running.sock_recv(peer, 16384):
                for call in (conn.send(b"x"), conn.request(b"x")):
                    with pytest.raises(ConnectionClosed, match="this side"):
                        await call

    loop(main())


def test_who_comes_after_the_end_was_told_learns_it_too(loop: Run[Any]) -> None:
    async def outcome(receiving: Awaitable[Any]) -> object:
        try:
            return await receiving
        except SyncLostError:
            return "fault"

    async def main() -> None:
        async with _narrow(strict=True) as (conn, peer):
            before = [asyncio.ensure_future(outcome(conn.recv())) for _ in range(2)]
            await asyncio.sleep(0.01)
            # All in one turn: a task that is about to receive, a last message, and the end. What
            # the socket has is seen as the turn begins that this task goes on in.
            peer.send(encode(PREFIX, 1, b"last") + b"no message")
            await asyncio.sleep(0)
            after = asyncio.ensure_future(outcome(conn.recv()))
            _, pending = await asyncio.wait([*before, after], timeout=SECONDS)
            for task in pending:
                task.cancel()
            assert not pending
            assert [task.result() for task in (*before, after)] == [
                (1, b"last"),
                "fault",
                "fault",
            ]

    loop(main())
