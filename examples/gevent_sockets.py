"""The codec over ``gevent.socket``: a server with a greenlet for each connection, and a client.

Nothing is patched: the program uses gevent's sockets directly. Requires gevent
(``pip install gevent``). A program that patches everything can use ``vfiipc.connect`` instead.

Run ``python examples/gevent_sockets.py``; it prints::

    Message(msg_id=1, data=b'HELLO')
    Message(msg_id=2, data=b'TERMINAL')
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from gevent.server import StreamServer
from gevent.socket import create_connection

from vfiipc.codec import Framer, Message, encode

PREFIX = 0x004E4659


def messages(connection: socket.socket) -> Iterator[Message]:
    """Yields every message that arrives, until the peer stops sending."""
    framer = Framer(PREFIX, size_limit=65536)
    while chunk := connection.recv(65536):  # other greenlets run meanwhile
        framer.receive_data(chunk)
        yield from framer.drain()


def answer(connection: socket.socket, address: tuple[str, int]) -> None:
    for msg_id, data in messages(connection):
        connection.sendall(encode(PREFIX, msg_id, data.upper()))


def main() -> None:
    server = StreamServer(("127.0.0.1", 0), answer)
    server.start()
    with create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(encode(PREFIX, 1, b"hello") + encode(PREFIX, 2, b"terminal"))
        connection.shutdown(socket.SHUT_WR)
        for message in messages(connection):
            print(message)
    server.stop()


if __name__ == "__main__":
    main()
