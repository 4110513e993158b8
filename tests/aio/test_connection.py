"""What one connection promises."""

from __future__ import annotations

# ruff: noqa: SIM117 - a server around, and the connections to it inside, are easier to read
import asyncio
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest

from vfiipc import Message, aio
from vfiipc.codec import SyncLostError, encode, encode_many
from vfiipc.exchange import ConnectionClosed

from .loops import FRAMING, PREFIX, SECONDS, Run, contexts, echo, plain_peer, plain_server, run


@pytest.mark.parametrize("scheme", ["tcp", "tls", "pipe"])
def test_messages_go_both_ways(loop: Run[Any], scheme: str, tmp_path: Path) -> None:
    where = f"pipe://{tmp_path}/socket" if scheme == "pipe" else f"{scheme}://127.0.0.1:0"
    for_server, for_client = contexts() if scheme == "tls" else (None, None)
    sizes = [0, 1, 65535, 65536, 300_000]

    async def main() -> None:
        async with aio.serve(echo, where, ssl=for_server, grace=0, **FRAMING) as server:
            assert server.address.startswith(f"{scheme}://")
            async with aio.connect(
                server.address, ssl=for_client, timeout=SECONDS, **FRAMING
            ) as conn:
                answer = await conn.request(b"status", timeout=SECONDS)
                assert answer == (1, b"status")
                for size in sizes:
                    await conn.send(bytearray(size), msg_id=-size)
                for size in sizes:
                    assert await conn.recv(SECONDS) == (-size, bytes(size))
        assert not Path(where.removeprefix("pipe://")).exists()

    loop(main())


@pytest.mark.parametrize("scheme", ["tcp", "tls", "pipe"])
def test_messages_go_both_ways_if_nothing_may_be_buffered(
    loop: Run[Any], scheme: str, tmp_path: Path
) -> None:
    where = f"pipe://{tmp_path}/socket" if scheme == "pipe" else f"{scheme}://127.0.0.1:0"
    for_server, for_client = contexts() if scheme == "tls" else (None, None)
    keywords: dict[str, Any] = {"max_unsent": 0, **FRAMING}

    async def main() -> None:
        async with aio.serve(echo, where, ssl=for_server, grace=0, **keywords) as server:
            async with aio.connect(server.address, ssl=for_client, **keywords) as conn:
                for _ in range(3):
                    assert (await conn.request(bytes(300_000), SECONDS)).data == bytes(300_000)

    loop(main())


def test_connecting_can_be_awaited(loop: Run[Any]) -> None:
    async def main() -> None:
        server = await aio.serve(echo, "127.0.0.1:0", grace=0, **FRAMING)
        conn = await aio.connect(server.address, **FRAMING)
        assert conn.remote_address == server.address.removeprefix("tcp://")
        assert (await conn.request(b"x")).data == b"x"
        conn.close()
        await conn.wait_closed()
        assert conn.closed
        server.close()
        await server.wait_closed()
        assert server.connections == 0

    loop(main())


def test_small_messages_of_one_turn_leave_together(loop: Run[Any]) -> None:
    class Counting(asyncio.Protocol):
        def __init__(self) -> None:
            self.chunks: list[bytes] = []
            self.complete = asyncio.Event()

        def data_received(self, data: bytes) -> None:
            self.chunks.append(data)
            if sum(map(len, self.chunks)) == len(expected):
                self.complete.set()

    messages = [Message(number, bytes(20)) for number in range(100)]
    expected = encode_many(PREFIX, messages)

    async def main() -> list[bytes]:
        counting = Counting()
        server = await asyncio.get_running_loop().create_server(lambda: counting, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with aio.connect(f"127.0.0.1:{port}", **FRAMING) as conn:
            await asyncio.gather(*(conn.send(data, msg_id) for msg_id, data in messages))
            await asyncio.wait_for(counting.complete.wait(), SECONDS)
        server.close()
        return counting.chunks

    assert loop(main()) == [expected]


def test_a_clean_end_ends_the_iteration(loop: Run[Any]) -> None:  # CON-C6
    async def main() -> None:
        async with plain_peer() as (conn, _, writer):
            writer.write(encode(PREFIX, 1, b"last"))
            writer.close()
            assert [message async for message in conn] == [(1, b"last")]
            with pytest.raises(ConnectionClosed) as raised:
                await conn.recv(SECONDS)
            assert raised.value.rest == b""
            with pytest.raises(ConnectionClosed):
                await conn.request(b"x", SECONDS)

    loop(main())


def test_a_cut_is_told_with_the_rest(loop: Run[Any]) -> None:  # CON-C4
    half = encode(PREFIX, 2, b"half")[:-1]

    async def main() -> None:
        async with plain_peer() as (conn, reader, writer):
            request = asyncio.ensure_future(conn.request(b"x"))
            assert await reader.readexactly(13) == encode(PREFIX, 1, b"x")
            writer.write(encode(PREFIX, 5, b"whole") + half)
            writer.close()
            assert await conn.__anext__() == (5, b"whole")
            for waiting in (conn.__anext__(), conn.recv(), request):
                with pytest.raises(ConnectionClosed) as raised:
                    await waiting
                assert raised.value.rest == half

    loop(main())


def test_a_reset_is_an_os_error_after_what_came_before(loop: Run[Any]) -> None:  # CON-C5
    async def main() -> None:
        async with plain_peer() as (conn, _, writer):
            writer.write(encode(PREFIX, 1, b"before"))
            assert await conn.recv(SECONDS) == (1, b"before")
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            for _ in range(2):
                with pytest.raises(ConnectionResetError) as raised:
                    await conn.recv(SECONDS)
                assert raised.value.errno
            with pytest.raises(OSError, match="reset"):
                await conn.send(b"x")

    loop(main())


def test_the_end_does_not_stop_sending(loop: Run[Any]) -> None:  # CON-C8
    async def main() -> None:
        async with plain_peer() as (conn, reader, writer):
            writer.write_eof()
            with pytest.raises(ConnectionClosed):
                await conn.recv(SECONDS)
            await conn.send(b"answer", 3)
            assert await reader.readexactly(18) == encode(PREFIX, 3, b"answer")

    loop(main())


def test_strict_raises_after_the_messages_before(loop: Run[Any]) -> None:  # CON-C5
    async def main() -> None:
        async with plain_server() as (address, accepted):
            async with aio.connect(address, strict=True, **FRAMING) as conn:
                _, writer = await accepted()
                writer.write(encode(PREFIX, 1, b"good") + b"garbage and more of it")
                assert await conn.recv(SECONDS) == (1, b"good")
                for _ in range(2):
                    with pytest.raises(SyncLostError) as raised:
                        await conn.recv(SECONDS)
                    assert raised.value.position == 16
                with pytest.raises(SyncLostError):
                    await conn.send(b"x")
                writer.close()

    loop(main())


def test_garbage_is_skipped_and_counted(loop: Run[Any]) -> None:
    async def main() -> None:
        async with plain_peer() as (conn, _, writer):
            writer.write(b"garbage" + encode(PREFIX, 1, b"x"))
            assert await conn.recv(SECONDS) == (1, b"x")
            assert conn.discarded == 7

    loop(main())


def test_a_timeout_loses_nothing(loop: Run[Any]) -> None:  # CON-C3
    async def main() -> None:
        async with plain_peer() as (conn, _, writer):
            whole = encode(PREFIX, 1, b"in two pieces")
            writer.write(whole[:15])
            with pytest.raises(TimeoutError, match=r"0\.05 s"):
                await conn.recv(0.05)
            with pytest.raises(TimeoutError):
                await conn.recv(0)
            writer.write(whole[15:])
            assert await conn.recv(SECONDS) == (1, b"in two pieces")

    loop(main())


def test_closing_wakes_who_waits(loop: Run[Any]) -> None:  # CON-C7
    async def main() -> None:
        async with plain_peer() as (conn, _, _):
            waiting = [
                asyncio.ensure_future(conn.recv()),
                asyncio.ensure_future(conn.recv()),
                asyncio.ensure_future(conn.request(b"x")),
            ]
            await asyncio.sleep(0)
            conn.close()
            for result in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(result, ConnectionClosed)
            for call in (conn.recv(), conn.send(b"x"), conn.request(b"x")):
                with pytest.raises(ConnectionClosed, match="this side"):
                    await call

    loop(main())


def test_closing_does_not_wait_for_ever_for_a_peer_that_takes_nothing(loop: Run[Any]) -> None:
    async def main() -> None:
        async with plain_server() as (address, accepted):
            conn = await aio.connect(address, close_timeout=0.1, **FRAMING)
            _, writer = await accepted()
            writer.transport.pause_reading()
            await _send_until_full(conn, 1 << 20)
            conn.close()
            await asyncio.wait_for(conn.wait_closed(), SECONDS)
            writer.close()

    loop(main())


async def _send_until_full(conn: aio.Connection, size: int) -> int:
    """Sends until there is no room any more; how many messages."""
    for sent in range(10_000):
        try:
            await conn.send(bytes(size), sent, timeout=0.3)
        except TimeoutError:
            return sent
    pytest.fail("a peer that takes nothing did not hold the sender")


def test_a_slow_reader_holds_the_sender(loop: Run[Any]) -> None:
    limits: dict[str, Any] = {"max_unclaimed": 10, "max_unclaimed_size": 1 << 20}

    async def main() -> None:
        started = asyncio.Event()
        received: list[int] = []

        async def handler(connection: aio.Connection) -> None:
            await started.wait()
            async for message in connection:
                received.append(message.msg_id)

        async with aio.serve(handler, "127.0.0.1:0", **limits, **FRAMING) as server:
            async with aio.connect(server.address, **FRAMING) as conn:
                sent = await _send_until_full(conn, 50_000)
                started.set()
                await conn.send(b"", sent, timeout=SECONDS)
        assert received == list(range(sent + 1))

    loop(main())


def test_tls_without_its_closing_message_is_an_error(loop: Run[Any]) -> None:
    for_server, for_client = contexts()

    async def main() -> None:
        cut = asyncio.Event()

        async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()

        async def middle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            port = int(server.address.rpartition(":")[2])
            there, back = await asyncio.open_connection("127.0.0.1", port)
            tasks = [
                asyncio.ensure_future(through(reader, back)),
                asyncio.ensure_future(through(there, writer)),
            ]
            await cut.wait()
            for task in tasks:
                task.cancel()
            writer.close()
            back.close()

        async with aio.serve(
            echo, "tls://127.0.0.1:0", ssl=for_server, grace=0.1, **FRAMING
        ) as server:
            between = await asyncio.start_server(middle, "127.0.0.1", 0)
            address = f"tls://127.0.0.1:{between.sockets[0].getsockname()[1]}"
            async with aio.connect(address, ssl=for_client, **FRAMING) as conn:
                assert (await conn.request(b"x", SECONDS)).data == b"x"
                cut.set()
                with pytest.raises(ssl.SSLEOFError):
                    await conn.recv(SECONDS)
            async with aio.connect(server.address, ssl=for_client, **FRAMING) as conn:
                await conn.request(b"x", SECONDS)
                server.close()
                with pytest.raises(ConnectionClosed):
                    await conn.recv(SECONDS)
            between.close()

    loop(main())


def test_nobody_there(loop: Run[Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        async def too_late() -> None:
            _, for_client = contexts()
            with pytest.raises(TimeoutError, match=r"tls://127.*within 0\.1 s"):
                await aio.connect(f"tls://127.0.0.1:{port}", ssl=for_client, timeout=0.1, **FRAMING)

        loop(too_late())

    async def refused() -> None:
        with pytest.raises(ConnectionRefusedError):
            await aio.connect(f"127.0.0.1:{port}", **FRAMING)

    loop(refused())


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"prefix": -1}, ValueError),
        ({"size_limit": -1}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"max_unsent": -1}, ValueError),
        ({"max_unsent": "1"}, TypeError),
        ({"max_unclaimed": 0}, ValueError),
        ({"close_timeout": None}, TypeError),
        ({"request_ids": range(0)}, ValueError),
        ({"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}, ValueError),
        ({"ssl": 5}, TypeError),
    ],
)
def test_mistakes_raise_at_once(keywords: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        aio.connect("127.0.0.1:1", **{**FRAMING, **keywords})


def test_wrong_arguments_send_nothing(loop: Run[Any]) -> None:
    wrong: Any = "text"

    async def main() -> None:
        async with plain_peer() as (conn, reader, _):
            for call in (conn.send(wrong), conn.request(wrong), conn.send(b"", timeout=wrong)):
                with pytest.raises(TypeError):
                    await call
            with pytest.raises(ValueError, match="2147483648"):
                await conn.send(b"", 2**31)
            with pytest.raises(ValueError, match="-1"):
                await conn.recv(-1)
            await conn.send(b"good")
            assert await reader.readexactly(16) == encode(PREFIX, 0, b"good")

    loop(main())


def test_what_came_before_a_send_failed_is_given_out_first() -> None:
    # asyncio's own loop only: where another one closes a socket, nobody can look into it any more.
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            conn = await aio.connect(f"127.0.0.1:{listener.getsockname()[1]}", **FRAMING)
            peer, _ = listener.accept()
            await conn.send(b"never read")
            await asyncio.sleep(0.05)
            peer.sendall(encode(PREFIX, 1, b"last words"))
            peer.close()  # with something unread: the connection is reset
            for _ in range(2):  # in the turn in which it would have been read: 64 KiB go at once
                await conn.send(bytes(40_000))
            assert await conn.recv(SECONDS) == (1, b"last words")
            with pytest.raises(OSError, match=r"reset|pipe"):
                await conn.recv(SECONDS)
            conn.close()

    run("asyncio", main())
