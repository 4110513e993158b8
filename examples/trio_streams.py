"""The codec in trio: a message channel over any trio stream.

``MessageStream`` works with any trio stream: TCP in this example, also Unix sockets, TLS, and
``trio.testing.memory_stream_pair`` in tests. Requires trio (``pip install trio``).

Run ``python examples/trio_streams.py``; it prints::

    Message(msg_id=1, data=b'HELLO')
    Message(msg_id=2, data=b'TERMINAL')
"""

import trio
import trio.testing

from vfiipc.codec import Framer, Message, encode

PREFIX = 0x004E4659


class MessageStream:
    """Messages in both directions; one task may send while another one iterates."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self._framer = Framer(PREFIX, size_limit=65536)

    async def send(self, msg_id: int, data: bytes) -> None:
        # A cancelled send_all may have sent part of the message: then close the stream.
        await self.stream.send_all(encode(PREFIX, msg_id, data))

    def __aiter__(self) -> "MessageStream":
        return self

    async def __anext__(self) -> Message:
        while (message := self._framer.next_message()) is None:
            chunk = await self.stream.receive_some()
            if not chunk:
                raise StopAsyncIteration
            self._framer.receive_data(chunk)
        return message


async def answer(stream: trio.SocketStream) -> None:
    messages = MessageStream(stream)
    async for msg_id, data in messages:
        await messages.send(msg_id, data.upper())


async def main() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        async with await trio.testing.open_stream_to_socket_listener(listener) as stream:
            messages = MessageStream(stream)
            await messages.send(1, b"hello")
            await messages.send(2, b"terminal")
            await stream.send_eof()
            async for message in messages:
                print(message)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
