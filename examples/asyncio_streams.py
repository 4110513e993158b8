"""The codec in asyncio streams: a server that answers in capitals, and a client.

``StreamReader.read`` returns chunks, and the framer turns them into messages. The client also sends
some garbage, which the server's framer discards.

Run ``python examples/asyncio_streams.py``; it prints::

    Message(msg_id=1, data=b'HELLO')
    Message(msg_id=2, data=b'TERMINAL')
"""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator

from vfiipc.codec import Framer, Message, encode

PREFIX = 0x004E4659
LIMIT = 65536


async def messages(reader: StreamReader) -> AsyncIterator[Message]:
    """Yields every message of a stream, until its end."""
    framer = Framer(PREFIX, LIMIT)
    while chunk := await reader.read(65536):
        framer.receive_data(chunk)
        for message in framer.drain():
            yield message
    if framer.pending:
        raise EOFError(f"the stream ended {framer.pending} bytes into a message")


async def answer(reader: StreamReader, writer: StreamWriter) -> None:
    async for msg_id, data in messages(reader):
        writer.write(encode(PREFIX, msg_id, data.upper()))
        await writer.drain()  # waits while the peer does not read
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(encode(PREFIX, 1, b"hello") + b"garbage" + encode(PREFIX, 2, b"terminal"))
    writer.write_eof()
    async for message in messages(reader):
        print(message)
    writer.close()
    await writer.wait_closed()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
