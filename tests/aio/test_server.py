"""What a server promises: handlers, limits, an orderly end, thousands of connections."""

from __future__ import annotations

# ruff: noqa: SIM117 - a server around, and the connections to it inside, are easier to read
import asyncio
import gc
import logging
import os
import resource
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vfiipc import aio
from vfiipc.codec import encode
from vfiipc.exchange import ConnectionClosed

from .loops import FRAMING, PREFIX, SECONDS, Run, contexts, echo


def test_a_handler_that_raises_harms_nobody(
    loop: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:  # CON-S2
    async def handler(connection: aio.Connection) -> None:
        async for message in connection:
            if message.data == b"bad":
                raise LookupError("nothing like that here")
            await connection.send(message.data, message.msg_id)

    async def main() -> None:
        async with aio.serve(handler, "127.0.0.1:0", **FRAMING) as server:
            async with aio.connect(server.address, **FRAMING) as good:
                async with aio.connect(server.address, **FRAMING) as bad:
                    with pytest.raises(ConnectionClosed):
                        await bad.request(b"bad", SECONDS)
                assert (await good.request(b"good", SECONDS)).data == b"good"

    with caplog.at_level(logging.WARNING, "vfiipc"):
        loop(main())
    (record,) = [record for record in caplog.records if record.name == "vfiipc"]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


def test_handlers_get_their_time(loop: Run[Any]) -> None:  # CON-S6
    ended = []

    async def handler(connection: aio.Connection) -> None:
        await connection.recv()
        await asyncio.sleep(0.2)
        await connection.send(b"done")
        ended.append(True)

    async def main() -> None:
        async with aio.serve(handler, "127.0.0.1:0", grace=SECONDS, **FRAMING) as server:
            conn = await aio.connect(server.address, **FRAMING)
            await conn.send(b"go")
            await asyncio.sleep(0.05)
            server.close()
            with pytest.raises(ConnectionRefusedError):
                await aio.connect(server.address, **FRAMING)
            assert (await conn.recv(SECONDS)).data == b"done"
        assert ended
        assert server.connections == 0
        conn.close()
        await conn.wait_closed()

    loop(main())


def test_a_handler_that_hangs_is_closed_and_then_cancelled(loop: Run[Any]) -> None:  # CON-S6
    how: list[str] = []

    async def handler(connection: aio.Connection) -> None:
        try:
            await connection.recv()
        except ConnectionClosed:
            how.append("closed")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            how.append("cancelled")
            raise

    async def main() -> None:
        async with aio.serve(handler, "127.0.0.1:0", grace=0.05, **FRAMING) as server:
            async with aio.connect(server.address, **FRAMING) as conn:
                await asyncio.sleep(0.02)
                server.close()
                with pytest.raises(ConnectionClosed):
                    await conn.recv(SECONDS)
        assert how == ["closed", "cancelled"]

    loop(main())


def test_no_more_than_so_many_connections(loop: Run[Any]) -> None:  # CON-S3
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1:0", max_connections=2, **FRAMING) as server:
            conns = [await aio.connect(server.address, **FRAMING) for _ in range(3)]
            for conn in conns[:2]:
                await conn.request(b"x", SECONDS)
            with pytest.raises(TimeoutError):
                await conns[2].request(b"x", 0.2)
            assert server.connections == 2
            conns[0].close()
            assert (await conns[2].request(b"y", SECONDS)).data == b"y"
            assert conns[2].late_answers == 1
            for conn in conns[1:]:
                conn.close()

    loop(main())


def test_idle_connections_are_closed(loop: Run[Any]) -> None:  # CON-S5
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1:0", idle_timeout=0.3, **FRAMING) as server:
            async with aio.connect(server.address, **FRAMING) as conn:
                for _ in range(5):
                    await asyncio.sleep(0.1)
                    await conn.request(b"x", SECONDS)
                with pytest.raises(ConnectionClosed):
                    await conn.recv(SECONDS)

    loop(main())


def test_a_handshake_that_fails_is_survived(
    loop: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:  # CON-S7
    for_server, for_client = contexts()

    async def main() -> None:
        async with aio.serve(
            echo, "tls://127.0.0.1:0", ssl=for_server, grace=0.1, **FRAMING
        ) as server:
            port = int(server.address.rpartition(":")[2])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"no TLS at all, but long enough to be judged")
            async with aio.connect(server.address, ssl=for_client, **FRAMING) as conn:
                assert (await conn.request(b"x", SECONDS)).data == b"x"
            writer.close()

    with caplog.at_level(logging.WARNING, "vfiipc"):
        loop(main())
    assert [record for record in caplog.records if record.name == "vfiipc"] == []


def test_running_out_of_descriptors_is_survived(
    loop: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:  # CON-S4
    answer = encode(PREFIX, 5, b"waited")

    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1:0", grace=0.1, **FRAMING) as server:
            async with aio.connect(server.address, **FRAMING) as first:
                await first.request(b"x", SECONDS)
                with socket.socket() as late:
                    with _descriptors(_lowest_free()):
                        late.connect(("127.0.0.1", int(server.address.rpartition(":")[2])))
                        late.sendall(answer)
                        for _ in range(1000):
                            await asyncio.sleep(0.01)
                            if _warnings():
                                break
                        assert (await first.request(b"y", SECONDS)).data == b"y"
                        await asyncio.sleep(0.5)
                    late.setblocking(False)
                    received = await asyncio.get_running_loop().sock_recv(late, 100)
                    assert received == answer

    def _warnings() -> list[str]:
        return [record.message for record in caplog.records if "cannot accept" in record.message]

    loop(main())
    assert len(_warnings()) == 1


def test_what_dead_servers_left_is_taken_over(loop: Run[Any], tmp_path: Path) -> None:
    where = f"pipe://{tmp_path}/socket"

    async def main() -> None:
        async with aio.serve(echo, where, **FRAMING) as server:
            with pytest.raises(OSError, match="in use"):
                await aio.serve(echo, where, **FRAMING)
            os.link(tmp_path / "socket", tmp_path / "kept")
            server.close()
        (tmp_path / "kept").rename(tmp_path / "socket")
        async with aio.serve(echo, where, **FRAMING) as server:
            async with aio.connect(server.address, **FRAMING) as conn:
                await conn.request(b"x", SECONDS)

    loop(main())


@pytest.mark.skipif(sys.platform != "linux", reason="needs locks on directories")
def test_the_loop_goes_on_while_a_directory_is_locked(loop: Run[Any], tmp_path: Path) -> None:
    import fcntl

    async def main() -> None:
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        held = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        ticking = asyncio.ensure_future(tick())
        try:
            serving = asyncio.ensure_future(_started(f"pipe://{tmp_path}/socket"))
            while turns < 10:
                await asyncio.sleep(0.01)
            assert not serving.done()
        finally:
            os.close(held)
        server = await serving
        server.close()
        await server.wait_closed()
        ticking.cancel()

    loop(main())


@pytest.mark.skipif(sys.platform != "linux", reason="needs locks on directories")
def test_a_cancelled_serve_leaves_no_socket_file(loop: Run[Any], tmp_path: Path) -> None:  # CON-A8
    import fcntl

    async def main() -> None:
        held = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        serving = asyncio.ensure_future(_started(f"pipe://{tmp_path}/socket"))
        await asyncio.sleep(0.1)
        serving.cancel()
        await asyncio.wait([serving])
        os.close(held)
        for _ in range(1000):
            if "vfiipc-aside" not in [thread.name for thread in threading.enumerate()]:
                break
            await asyncio.sleep(0.01)
        assert list(tmp_path.iterdir()) == []

    loop(main())


async def _started(address: str) -> aio.Server:
    return await aio.serve(echo, address, **FRAMING)


@pytest.mark.skipif(sys.platform != "linux", reason="needs abstract names")
def test_what_a_peer_calls_itself_forges_no_log_line(
    loop: Run[Any], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:  # CON-L2
    name = b"\0x\n1.000 IPC forged\x1b[2J\xff"

    async def fail(connection: aio.Connection) -> None:
        assert "forged" in connection.remote_address
        assert repr(connection).isprintable()
        raise LookupError("as asked")

    async def main() -> None:
        async with aio.serve(fail, f"pipe://{tmp_path}/socket", **FRAMING):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.bind(name)
                peer.setblocking(False)
                await asyncio.get_running_loop().sock_connect(peer, f"{tmp_path}/socket")
                assert await asyncio.get_running_loop().sock_recv(peer, 1) == b""

    with caplog.at_level(logging.DEBUG, "vfiipc"):
        loop(main())
    named = [message for message in caplog.messages if "forged" in message]
    assert len(named) == 2  # that it begins, and that its handler failed
    assert all(message.isprintable() for message in named)


def test_a_handler_that_wants_to_end_the_program_ends_itself_alone(
    loop: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:  # CON-S2
    async def handler(connection: aio.Connection) -> None:
        async for message in connection:
            if message.data == b"exit":
                raise SystemExit(3)
            await connection.send(message.data, message.msg_id)

    async def main() -> None:
        async with aio.serve(handler, "127.0.0.1:0", **FRAMING) as server:
            async with aio.connect(server.address, **FRAMING) as good:
                async with aio.connect(server.address, **FRAMING) as bad:
                    with pytest.raises(ConnectionClosed):
                        await bad.request(b"exit", SECONDS)
                assert (await good.request(b"good", SECONDS)).data == b"good"

    with caplog.at_level(logging.WARNING, "vfiipc"):
        loop(main())
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is SystemExit


@pytest.mark.parametrize(
    ("address", "keywords", "error"),
    [
        ("127.0.0.1:0", {"max_connections": 0}, ValueError),
        ("127.0.0.1:0", {"idle_timeout": 0}, ValueError),
        ("127.0.0.1:0", {"grace": None}, TypeError),
        ("tls://127.0.0.1:0", {}, ValueError),
        ("127.0.0.1", {}, ValueError),
        ("127.0.0.1:0", {"handler": 5}, TypeError),
        ("tls://127.0.0.1:0", {"ssl": 5}, TypeError),
    ],
)
def test_mistakes_raise_at_once(
    address: str, keywords: dict[str, Any], error: type[Exception]
) -> None:  # CON-T1
    with pytest.raises(error):
        aio.serve(address=address, **{"handler": echo, **FRAMING, **keywords})


@pytest.mark.timeout(180)
@pytest.mark.long
def test_five_thousand_connections(loop: Run[Any]) -> None:
    count = 5000

    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1:0", **FRAMING) as server:
            conns: list[aio.Connection] = []
            while len(conns) < count:
                conns += await asyncio.gather(*(_connected(server.address) for _ in range(100)))
            answers = await asyncio.gather(*(conn.request(b"x", SECONDS) for conn in conns))
            assert len(answers) == count
            assert server.connections == count
            for conn in conns:
                conn.close()
            await asyncio.gather(*(conn.wait_closed() for conn in conns))
        assert server.connections == 0

    before = _used()
    with _descriptors(2 * count + 500):
        loop(main())
    gc.collect()
    assert _used() <= before + 5
    assert sum(isinstance(found, aio.Connection) for found in gc.get_objects()) < 50


async def _connected(address: str) -> aio.Connection:
    return await aio.connect(address, **FRAMING)


@contextmanager
def _descriptors(limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and limit > hard:
        pytest.skip(f"only {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _used() -> int:
    return max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 1


def _lowest_free() -> int:
    """The descriptor that would be given out next: with this as the limit, none is."""
    found = os.dup(0)
    os.close(found)
    return found
