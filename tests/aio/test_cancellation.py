"""Cancelled at any point, nothing is lost and nothing is torn."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfiipc import Message, aio
from vfiipc.aio.protocol import name_of
from vfiipc.codec import Framer, encode

from .loops import FRAMING, LIMIT, PREFIX, SECONDS, plain_peer, plain_server, run

KINDS = st.sampled_from(["asyncio", "uvloop"])


@settings(max_examples=40)
@given(kind=KINDS, turns=st.lists(st.integers(0, 6), max_size=30), pieces=st.integers(1, 30))
def test_a_cancelled_recv_swallows_no_message(kind: str, turns: list[int], pieces: int) -> None:
    # CON-C3
    expected = [Message(number, bytes(number)) for number in range(20)]

    async def main() -> list[Message]:
        received: list[Message] = []
        async with plain_peer() as (conn, _, writer):

            async def feed() -> None:
                stream = b"".join(encode(PREFIX, *message) for message in expected)
                for start in range(0, len(stream), pieces):
                    writer.write(stream[start : start + pieces])
                    await asyncio.sleep(0)

            async def take(timeout: float | None) -> None:
                received.append(await conn.recv(timeout))

            feeding = asyncio.ensure_future(feed())
            for count in turns:
                takers = [asyncio.ensure_future(take(0 if count == 3 else None)) for _ in range(2)]
                for _ in range(count):
                    await asyncio.sleep(0)
                takers[0].cancel()
                for _ in range(count % 3):
                    await asyncio.sleep(0)
                takers[1].cancel()
                await asyncio.gather(*takers, return_exceptions=True)
                if len(received) == len(expected):
                    break
            while len(received) < len(expected):
                await take(SECONDS)
            await feeding
        return received

    assert run(kind, main()) == expected


@settings(max_examples=25)
@given(
    kind=KINDS,
    sizes=st.lists(st.sampled_from([0, 10, 5000, 70_000, 400_000]), min_size=1, max_size=20),
    turns=st.integers(0, 8),
)
def test_a_cancelled_send_has_queued_all_or_nothing(
    kind: str, sizes: list[int], turns: int
) -> None:  # CON-C2
    async def main() -> None:
        async with plain_server() as (address, accepted):
            conn = await aio.connect(address, max_unsent=1000, **FRAMING)
            reader, writer = await accepted()
            writer.transport.pause_reading()
            tasks = [
                asyncio.ensure_future(conn.send(bytes(size), number))
                for number, size in enumerate(sizes)
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.resume_reading()
            reading = asyncio.ensure_future(reader.read())  # or there may be no room for the last
            await conn.send(b"last", -1, timeout=SECONDS)
            conn.close()
            framer = Framer(PREFIX, LIMIT, strict=True)
            framer.receive_data(await reading)
            received = [message.msg_id for message in framer.drain()]
            assert framer.pending == 0
            sent = [number for number, result in enumerate(results) if result is None]
            assert received == [*sent, -1]
            await conn.wait_closed()
            writer.close()

    run(kind, main())


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_cancelled_connect_leaves_nothing(kind: str) -> None:  # CON-A8
    async def main() -> None:
        async with plain_server() as (address, accepted):
            made: list[aio.Connection] = []
            for turns in range(20):
                task = asyncio.ensure_future(_connect(address))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    made.append(task.result())
            assert 0 < len(made) < 20  # some were cancelled, and some were quicker
            made.append(await _connect(address))
            known = {conn.local_address for conn in made}
            # The server accepts in the order in which connections were made; the last is ours.
            while made[-1].local_address in known:
                reader, writer = await accepted()
                name = name_of(writer.get_extra_info("peername"))
                if name in known:
                    known.remove(name)
                else:
                    assert await asyncio.wait_for(reader.read(), SECONDS) == b""
            assert known == set()
            for conn in made:
                conn.close()
                await conn.wait_closed()

    run(kind, main())


async def _connect(address: str) -> aio.Connection:
    return await aio.connect(address, **FRAMING)
