"""An echo that does not use the package. Each broken peer changes one thing in it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable

Pair = tuple[int, bytes]


class Receiver:
    """A correct receiver; not optimised."""

    def __init__(self, prefix: int, limit: int) -> None:
        self.mark = struct.pack(">I", prefix)
        self.limit = limit
        self.held = bytearray()

    def feed(self, data: bytes) -> list[Pair]:
        """Returns the messages that are now complete."""
        self.held += data
        found: list[Pair] = []
        while self.find_prefix() and len(self.held) >= 8:
            size = self.size()
            if not self.accepts(size):
                del self.held[: self.dropped()]
            elif len(self.held) < 8 + size:
                break
            else:
                found.append(self.take(size))
        return found

    def find_prefix(self) -> bool:
        """Drops the bytes before the prefix; returns whether there is a prefix."""
        at = self.held.find(self.mark)
        if at < 0:
            del self.held[: len(self.held) - self.tail()]
            return False
        del self.held[:at]
        return True

    def tail(self) -> int:
        """The number of last bytes that may be the beginning of a prefix."""
        lengths = (n for n in (3, 2, 1) if n <= len(self.held))
        return next((n for n in lengths if self.mark.startswith(self.held[-n:])), 0)

    def size(self) -> int:
        return int.from_bytes(self.held[4:8], "big")

    def accepts(self, size: int) -> bool:
        return 4 <= size <= 4 + self.limit

    def dropped(self) -> int:
        """The number of bytes to drop after a bad size."""
        return 1

    def take(self, size: int) -> Pair:
        whole = bytes(self.held[: 8 + size])
        del self.held[: 8 + size]
        return int.from_bytes(whole[8:12], "big", signed=True), whole[12:]

    def end(self) -> list[Pair]:
        """Returns the messages that are delivered at the end of the stream."""
        return []


class Peer:
    """An echo with a thread for each connection."""

    receiver = Receiver
    once = False

    def __init__(self, prefix: int, limit: int) -> None:
        self.prefix = prefix
        self.limit = limit

    def run(self, port: int) -> None:
        with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.begin(connection)

    def begin(self, connection: socket.socket) -> None:
        threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.exchange(connection)
            except OSError:
                pass

    def exchange(self, connection: socket.socket) -> None:
        receiver = self.receiver(self.prefix, self.limit)
        while data := connection.recv(65536):
            self.answer(connection, receiver.feed(data))
        self.answer(connection, receiver.end())

    def answer(self, connection: socket.socket, messages: Iterable[Pair]) -> None:
        if stream := b"".join(self.encoded(*message) for message in messages):
            self.send(connection, stream)

    def send(self, connection: socket.socket, stream: bytes) -> None:
        connection.sendall(stream)

    def encoded(self, msg_id: int, data: bytes) -> bytes:
        return struct.pack(">IIi", self.prefix, 4 + len(data), msg_id) + data
