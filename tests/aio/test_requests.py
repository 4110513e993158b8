"""Requests: many at once, answers in any order, late and never; and a full inbox."""

from __future__ import annotations

# ruff: noqa: SIM117 - a server around, and the connections to it inside, are easier to read
import asyncio
import random
from typing import Any

import pytest

from vfiipc import aio
from vfiipc.codec import encode, encode_many

from .loops import FRAMING, PREFIX, SECONDS, Run, plain_peer, plain_server


def test_two_hundred_tasks_with_answers_out_of_order_and_never(loop: Run[Any]) -> None:
    # CON-R1, CON-R3
    async def main() -> None:
        async def shuffling(connection: aio.Connection) -> None:
            held = []
            async for message in connection:
                if message.data != b"never":
                    held.append(message)
                if len(held) == 150:
                    random.shuffle(held)
                    for msg_id, data in held:
                        await connection.send(data, msg_id)
                    held.clear()

        async with aio.serve(shuffling, "127.0.0.1:0", **FRAMING) as server:
            async with aio.connect(server.address, **FRAMING) as conn:
                answered = [conn.request(b"%d" % n, timeout=SECONDS) for n in range(150)]
                never = [conn.request(b"never", timeout=1.0) for _ in range(50)]
                results = await asyncio.gather(*answered, *never, return_exceptions=True)
        for number, answer in enumerate(results[:150]):
            assert not isinstance(answer, BaseException)
            assert answer.data == b"%d" % number
        assert [type(result) for result in results[150:]] == [TimeoutError] * 50

    loop(main())


def test_a_late_answer_is_dropped_and_counted(loop: Run[Any]) -> None:  # CON-R3
    async def main() -> None:
        async with plain_peer() as (conn, _, writer):
            with pytest.raises(TimeoutError):
                await conn.request(b"slow", timeout=0.05)
            writer.write(encode_many(PREFIX, [(1, b"late"), (9, b"event")]))
            assert await conn.recv(SECONDS) == (9, b"event")
            assert conn.late_answers == 1
            writer.write(encode(PREFIX, 1, b"no answer any more"))
            assert (await conn.recv(SECONDS)).msg_id == 1

    loop(main())


def test_a_cancelled_request_is_given_up(loop: Run[Any]) -> None:  # CON-R3
    async def main() -> None:
        async with plain_peer() as (conn, _, writer):
            request = asyncio.ensure_future(conn.request(b"x"))
            await asyncio.sleep(0.01)
            request.cancel()
            await asyncio.wait([request])
            assert request.cancelled()
            writer.write(encode_many(PREFIX, [(1, b"late"), (2, b"event")]))
            assert (await conn.recv(SECONDS)).msg_id == 2
            assert conn.late_answers == 1

    loop(main())


def test_a_full_inbox_fails_requests_and_loses_nothing(loop: Run[Any]) -> None:  # CON-U2, CON-U3
    events = [(number, b"event") for number in range(100, 120)]

    async def main() -> None:
        async with plain_server() as (address, accepted):
            async with aio.connect(address, max_unclaimed=8, **FRAMING) as conn:
                _, writer = await accepted()
                request = asyncio.ensure_future(conn.request(b"x"))
                await asyncio.sleep(0)
                writer.write(encode_many(PREFIX, [*events, (1, b"answer")]))
                with pytest.raises(BufferError, match="8 messages with 40 bytes"):
                    await request
                with pytest.raises(BufferError):
                    await conn.request(b"y", SECONDS)
                assert [await conn.recv(SECONDS) for _ in events] == events
                assert conn.late_answers == 1
                writer.write(encode(PREFIX, 3, b"in time"))
                assert (await conn.request(b"z", SECONDS)).data == b"in time"
                writer.close()

    loop(main())


def test_who_receives_meanwhile_keeps_requests_going(loop: Run[Any]) -> None:
    events = [(number, b"event") for number in range(1000, 3000)]

    async def main() -> None:
        async with plain_server() as (address, accepted):
            async with aio.connect(address, max_unclaimed=8, **FRAMING) as conn:
                _, writer = await accepted()

                async def receive() -> list[Any]:
                    return [await conn.recv(SECONDS) for _ in events]

                receiving = asyncio.ensure_future(receive())
                request = asyncio.ensure_future(conn.request(b"x", SECONDS))
                await asyncio.sleep(0)
                writer.write(encode_many(PREFIX, [*events, (1, b"answer")]))
                assert await receiving == events
                assert (await request).data == b"answer"
                writer.close()

    loop(main())


@pytest.mark.parametrize("bound", [{"max_unclaimed": 1}, {"max_unclaimed_size": 3}])
def test_a_message_that_fills_the_inbox_alone_comes_once(
    loop: Run[Any], bound: dict[str, Any]
) -> None:  # CON-U1
    async def main() -> None:
        async with plain_server() as (address, accepted):
            async with aio.connect(address, **bound, **FRAMING) as conn:
                _, writer = await accepted()
                for data in (b"one", b"two"):
                    writer.write(encode(PREFIX, 1, data))
                    assert await conn.recv(SECONDS) == (1, data)
                writer.close()
                assert [message async for message in conn] == []

    loop(main())
