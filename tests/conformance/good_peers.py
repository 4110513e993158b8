"""Echoes with ``vfiipc.aio`` and with threads: MANNER PORT PREFIX LIMIT."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import vfiipc
from vfiipc import aio


async def _answer(connection: aio.Connection) -> None:
    async for message in connection:
        await connection.send(message.data, message.msg_id)


async def _serve(address: str, prefix: int, limit: int) -> None:
    async with aio.serve(_answer, address, prefix=prefix, size_limit=limit):
        await asyncio.Event().wait()


def main(manner: str, port: str, prefix: str, limit: str) -> None:
    address = f"tcp://127.0.0.1:{port}"
    if manner == "asyncio":
        asyncio.run(_serve(address, int(prefix, 0), int(limit)))
        return

    def answer(connection: vfiipc.Connection) -> None:
        for message in connection:
            connection.send(message.data, message.msg_id)

    with vfiipc.serve(answer, address, prefix=int(prefix, 0), size_limit=int(limit)):
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
