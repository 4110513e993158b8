"""Other libraries' parsers behind one door: chunks in, a list of messages out.

They are imported when asked for, by name, for only ``make bench`` installs them. Each gets the same
payloads in its own framing. Nothing is counted that the library does not need per message.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from importlib import import_module
from io import BytesIO
from typing import Any

from vfiipc.codec import MESSAGE, encode

from .streams import PREFIX, cut

__all__ = ["NOTES", "PACKAGES", "PEERS", "Decoder"]

Payloads = Sequence[bytes]
#: Decodes a stream that has been made ready, and gives the messages.
Decoder = Callable[[], "list[Any]"]

PACKAGES = ["construct", "msgpack", "pyzmq", "twisted", "websockets", "wsproto"]


def twisted(payloads: Payloads) -> Decoder:
    basic = import_module("twisted.protocols.basic")
    chunks = cut(b"".join(struct.pack(">I", len(data)) + data for data in payloads))

    def decode() -> list[Any]:
        messages: list[Any] = []
        receiver = basic.Int32StringReceiver()
        receiver.stringReceived = messages.append
        for chunk in chunks:
            receiver.dataReceived(chunk)
        return messages

    return decode


def stream_reader(payloads: Payloads) -> Decoder:
    chunks = cut(b"".join(encode(PREFIX, 1, data) for data in payloads))
    loop = asyncio.new_event_loop()
    unpack = struct.Struct(">IIi").unpack

    async def read(count: int) -> list[Any]:
        reader = asyncio.StreamReader(limit=2**20, loop=loop)
        feeding = loop.create_task(feed(reader))
        messages = []
        for _ in range(count):
            _, size, msg_id = unpack(await reader.readexactly(12))
            messages.append((msg_id, await reader.readexactly(size - 4)))
        await feeding
        return messages

    async def feed(reader: asyncio.StreamReader) -> None:
        for chunk in chunks:
            reader.feed_data(chunk)
            await asyncio.sleep(0)

    return lambda: loop.run_until_complete(read(len(payloads)))


def websockets(payloads: Payloads) -> Decoder:
    client = import_module("websockets.client")
    frames = import_module("websockets.frames")
    protocol = import_module("websockets.protocol")
    uri = import_module("websockets.uri").parse_uri("ws://localhost/")
    chunks = cut(
        b"".join(
            frames.Frame(frames.Opcode.BINARY, data).serialize(mask=False) for data in payloads
        )
    )

    def decode() -> list[Any]:
        messages: list[Any] = []
        parser = client.ClientProtocol(uri, state=protocol.State.OPEN)
        for chunk in chunks:
            parser.receive_data(chunk)
            messages += parser.events_received()
        return messages

    return decode


def wsproto(payloads: Payloads) -> Decoder:
    connection = import_module("wsproto.connection")
    events = import_module("wsproto.events")
    server = connection.Connection(connection.ConnectionType.SERVER)
    chunks = cut(b"".join(server.send(events.BytesMessage(data=data)) for data in payloads))

    def decode() -> list[Any]:
        messages: list[Any] = []
        parser = connection.Connection(connection.ConnectionType.CLIENT)
        for chunk in chunks:
            parser.receive_data(chunk)
            messages += parser.events()
        return messages

    return decode


def construct_compiled(payloads: Payloads) -> Decoder:
    return _construct(MESSAGE.compile(), payloads)


def construct_interpreted(payloads: Payloads) -> Decoder:
    return _construct(MESSAGE, payloads)


def _construct(declaration: Any, payloads: Payloads) -> Decoder:
    stream = b"".join(encode(PREFIX, 1, data) for data in payloads)

    def decode() -> list[Any]:
        source = BytesIO(stream)
        return [declaration.parse_stream(source) for _ in payloads]

    return decode


def msgpack(payloads: Payloads) -> Decoder:
    library = import_module("msgpack")
    chunks = cut(b"".join(library.packb((1, data)) for data in payloads))

    def decode() -> list[Any]:
        messages: list[Any] = []
        unpacker = library.Unpacker(use_list=False)
        for chunk in chunks:
            unpacker.feed(chunk)
            messages += unpacker
        return messages

    return decode


#: By the name in the tables: what makes the decoder, and how many times its speed is the aim.
PEERS: dict[str, tuple[Callable[[Payloads], Decoder], float | None]] = {
    "Twisted Int32StringReceiver": (twisted, 1.1),
    "asyncio StreamReader.readexactly": (stream_reader, 2),
    "websockets ClientProtocol": (websockets, 5),
    "wsproto Connection": (wsproto, None),
    "construct, compiled": (construct_compiled, 20),
    "construct, interpreted": (construct_interpreted, None),
    "msgpack C Unpacker": (msgpack, None),
}

#: Why an aim may be out of reach.
NOTES = {
    "Twisted Int32StringReceiver": "It returns only the payload, as `bytes`, and checks no prefix."
    " Creating a `Message`, and tracking it in the garbage collector, takes longer than all of the"
    " parsing.",
    "construct, compiled": "It takes about ten times as long as bare, so twenty times its speed is"
    " about twice the speed of the loop that checks nothing.",
}
