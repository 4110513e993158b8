"""What asyncio connections log: their lives, messages without payload, errors."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
from contextlib import suppress
from typing import Any

import pytest

from vfiipc import ConnectionClosed, aio
from vfiipc.codec import encode

from .loops import FRAMING, PREFIX, SECONDS, Run, contexts, plain_peer


def test_the_life_of_a_connection(loop: Run[Any], caplog: pytest.LogCaptureFixture) -> None:
    # IPC-L3, CON-L1
    async def main() -> None:
        async with plain_peer() as (conn, _, writer):
            await conn.send(b"4111111111111111", 7)
            writer.write(b"noise" + encode(PREFIX, -3, b"card data"))
            assert (await conn.recv(SECONDS)).msg_id == -3
            writer.close()
            with pytest.raises(ConnectionClosed):
                await conn.recv(SECONDS)

    with caplog.at_level(logging.DEBUG, "vfiipc"):
        loop(main())
    lines = [re.sub(r"Connection \d+|127\.0\.0\.1:\d+", "#", text) for text in caplog.messages]
    assert lines == [
        "aio.# begun: # to #",
        "aio.# sent message 7, 16 bytes",
        "aio.# lost synchronisation at byte 0: found 6e 6f 69 73 65 00 4e 46, which is not a header",  # noqa: E501
        "aio.# received message -3, 9 bytes",
        "aio.# end of stream: the peer has closed",
        "aio.# closed, 5 bytes discarded",
    ]


def test_a_reset_is_logged_as_an_error(loop: Run[Any], caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with plain_peer() as (conn, _, writer):
            writer.transport.abort()
            with suppress(OSError):
                while True:
                    await conn.send(b"x", 1, SECONDS)
                    await asyncio.sleep(0.01)

    with caplog.at_level(logging.INFO, "vfiipc"):
        loop(main())
    assert caplog.messages[0].startswith("aio.Connection ")
    assert caplog.messages[-1].endswith("closed, 0 bytes discarded")


@pytest.mark.long
def test_a_close_on_this_side_is_no_error_whatever_the_peer_still_sends(
    loop: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:  # CON-L1
    for_server, for_client = contexts()

    listener = socket.create_server(("127.0.0.1", 0))
    times = 8

    def flood() -> None:
        for _ in range(times):
            with suppress(OSError), for_server.wrap_socket(listener.accept()[0], True) as peer:
                while True:
                    peer.sendall(encode(PREFIX, 1, bytes(1000)) * 50)

    async def main() -> None:
        address = f"tls://127.0.0.1:{listener.getsockname()[1]}"
        for _ in range(times):
            async with aio.connect(address, ssl=for_client, close_timeout=0.2, **FRAMING) as conn:
                await conn.recv(SECONDS)

    flooding = threading.Thread(target=flood, daemon=True)
    flooding.start()
    with listener, caplog.at_level(logging.INFO, "vfiipc"):
        loop(main())
        flooding.join(SECONDS)
    told = [(record.levelname, record.getMessage().split()[2]) for record in caplog.records]
    assert told == [("INFO", "begun:"), ("INFO", "closed,")] * times
