"""The codec in an asyncio ``Protocol``: a function is called for every message.

This is the layer below asyncio streams, with callbacks instead of coroutines, and less overhead.
While the peer does not read its answers, nothing more is read from it.

Run ``python examples/asyncio_protocol.py``; it prints::

    Message(msg_id=1, data=b'HELLO')
    Message(msg_id=2, data=b'TERMINAL')
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vfiipc.codec import Framer, Message, encode

PREFIX = 0x004E4659


class Messages(asyncio.Protocol):
    def __init__(self, received: Callable[[Messages, Message], None]) -> None:
        self.received = received
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._framer = Framer(PREFIX, size_limit=65536)

    def data_received(self, data: bytes) -> None:
        self._framer.receive_data(data)
        for message in self._framer.drain():
            self.received(self, message)

    def send(self, msg_id: int, data: bytes) -> None:
        self.transport.write(encode(PREFIX, msg_id, data))

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


def answer(connection: Messages, message: Message) -> None:
    connection.send(message.msg_id, message.data.upper())


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Messages(answer), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    shown = Messages(lambda _, message: print(message))
    transport, client = await loop.create_connection(lambda: shown, host, port)
    client.send(1, b"hello")
    client.send(2, b"terminal")
    transport.write_eof()  # the server answers the messages it has received, then closes
    await client.closed.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
