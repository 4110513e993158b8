"""The codec in a plain ``selectors`` loop: one thread, many connections, nothing but Python.

Two clients talk to the server at once. While a client does not read its answers, the loop reads no
more requests from it.

Run ``python examples/selectors_loop.py``; it prints::

    client 0: Message(msg_id=0, data=b'HELLO')
    client 1: Message(msg_id=1, data=b'HELLO')
"""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE

from vfiipc.codec import Framer, encode

PREFIX = 0x004E4659


class Peer:
    """One connection of the server: a framer for received bytes, a buffer for bytes to send."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.framer, self.unsent = sock, Framer(PREFIX, size_limit=65536), b""

    def serve(self) -> int:
        """Reads and writes; returns the events to wait for next, 0 at the end of the stream."""
        if not self.unsent:
            chunk = self.sock.recv(65536)
            self.framer.receive_data(chunk)
            for msg_id, data in self.framer.drain():
                self.unsent += encode(PREFIX, msg_id, data.upper())
            if not chunk:
                return 0
        if self.unsent:
            with suppress(BlockingIOError):
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
        return EVENT_WRITE if self.unsent else EVENT_READ


def main() -> None:
    with selectors.DefaultSelector() as selector, socket.create_server(("127.0.0.1", 0)) as server:
        clients = [socket.create_connection(server.getsockname()) for _ in range(2)]
        for number, client in enumerate(clients):
            selector.register(peer := server.accept()[0], EVENT_READ, Peer(peer))
            peer.setblocking(False)
            client.sendall(encode(PREFIX, number, b"hello"))
            client.shutdown(socket.SHUT_WR)
        while selector.get_map():
            for key, _ in selector.select():
                if events := key.data.serve():
                    selector.modify(key.fileobj, events, key.data)
                else:
                    selector.unregister(key.fileobj)
                    key.data.sock.close()
        for number, client in enumerate(clients):
            with client:
                framer = Framer(PREFIX, size_limit=65536)
                framer.receive_data(client.recv(65536))
                print(f"client {number}:", framer.next_message())


if __name__ == "__main__":
    main()
