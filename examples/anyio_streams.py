"""The codec in anyio, on asyncio or trio: messages over any byte stream.

``Messages`` works with any ``ByteStream``: TCP in this example, also Unix sockets or TLS. Requires
anyio (``pip install anyio``).

Run ``python examples/anyio_streams.py``; it prints::

    Message(msg_id=1, data=b'HELLO')
    Message(msg_id=2, data=b'TERMINAL')
"""

from __future__ import annotations

import anyio
from anyio.abc import ByteStream, SocketAttribute

from vfiipc.codec import Framer, Message, encode

PREFIX = 0x004E4659


class Messages:
    """Messages in both directions; one task may send while another one iterates."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self._framer = Framer(PREFIX, size_limit=65536)

    async def send(self, msg_id: int, data: bytes) -> None:
        # A cancelled send may have sent part of the message: then close the stream.
        await self.stream.send(encode(PREFIX, msg_id, data))

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message:
        while (message := self._framer.next_message()) is None:
            try:
                self._framer.receive_data(await self.stream.receive())
            except anyio.EndOfStream:
                raise StopAsyncIteration from None
        return message


async def answer(stream: ByteStream) -> None:
    async with stream:
        messages = Messages(stream)
        async for msg_id, data in messages:
            await messages.send(msg_id, data.upper())


async def main() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, answer)
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                messages = Messages(stream)
                await messages.send(1, b"hello")
                await messages.send(2, b"terminal")
                await stream.send_eof()
                async for message in messages:
                    print(message)
            tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
