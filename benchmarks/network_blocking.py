"""Ways to exchange messages that block: ours, raw sockets, and other libraries.

Each is a pair of functions: one listens and gives its address and what accepts, the other connects.
What they give are links, which all have the same four members.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing import connection as multiprocessing
from typing import Any, NamedTuple, Protocol

from vfiipc import TCP, Pipe

from .streams import LARGE_LIMIT, PREFIX

__all__ = ["BLOCKING", "Link", "OneByOne", "Way"]

_SIZE = struct.Struct(">I")
_MSEC = 30_000


class Link(Protocol):
    """One end of a connection."""

    def send(self, data: bytes) -> None: ...

    def send_many(self, data: bytes, count: int) -> None: ...

    def receive(self) -> bytes: ...

    def receive_many(self, count: int, size: int) -> None: ...

    def close(self) -> None: ...


class Way(NamedTuple):
    """``listen(path)`` gives an address and what accepts there; a path means Unix sockets."""

    listen: Callable[[str], tuple[str, Callable[[], Link]]]
    connect: Callable[[str], Link]


class OneByOne:
    """A link of a library without batches."""

    def __init__(
        self,
        send: Callable[[bytes], None],
        receive: Callable[[], bytes],
        close: Callable[[], None],
    ) -> None:
        self.send = send
        self.receive = receive
        self.close = close

    def send_many(self, data: bytes, count: int) -> None:
        for _ in range(count):
            self.send(data)

    def receive_many(self, count: int, size: int) -> None:
        for _ in range(count):
            self.receive()


# --- ours -----------------------------------------------------------------------------------------


class _Ours:
    def __init__(self, ipc: Any) -> None:
        if ipc is None:
            raise OSError("no connection")
        self._ipc = ipc

    def send(self, data: bytes) -> None:
        if not self._ipc.write_msg(PREFIX, 0, data, _MSEC):
            raise OSError(f"not written: {self._ipc.last_error}")

    def send_many(self, data: bytes, count: int) -> None:
        if not self._ipc.write_msgs(PREFIX, ((0, data) for _ in range(count)), _MSEC):
            raise OSError(f"not written: {self._ipc.last_error}")

    def receive(self) -> bytes:
        message = self._ipc.read_msg(PREFIX, LARGE_LIMIT, _MSEC)
        if message is None:
            raise EOFError
        return bytes(message.data)

    def receive_many(self, count: int, size: int) -> None:
        while count:
            messages = self._ipc.read_msgs(PREFIX, LARGE_LIMIT, _MSEC)
            if not messages:
                raise EOFError
            count -= len(messages)

    def close(self) -> None:
        self._ipc.close()


def _ours_listen(path: str) -> tuple[str, Callable[[], Link]]:
    listener: Any = Pipe() if path else TCP()
    if not (listener.listen(path) if path else listener.listen(0, "127.0.0.1")):
        raise OSError(f"cannot listen: {listener.last_error}")
    return path or listener.local_addr(), lambda: _Ours(listener.accept(_MSEC))


def _ours_connect(address: str) -> Link:
    ipc: Any = Pipe() if "/" in address else TCP()
    if not (ipc.connect(address) if "/" in address else ipc.connect(address, 0, _MSEC)):
        raise OSError(f"not connected: {ipc.last_error}")
    return _Ours(ipc)


# --- raw sockets ----------------------------------------------------------------------------------


def _without_delay(sock: socket.socket) -> None:
    with suppress(OSError):  # on Unix sockets
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Raw:
    """The least that can be done: no search, no limits, no time-outs; many are only counted."""

    def __init__(self, sock: socket.socket) -> None:
        _without_delay(sock)
        self._sock = sock

    def send(self, data: bytes) -> None:
        self._sock.sendall(_SIZE.pack(len(data)) + data)

    def send_many(self, data: bytes, count: int) -> None:
        message = _SIZE.pack(len(data)) + data
        several = max(1, 65536 // len(message))
        whole, rest = divmod(count, several)
        for _ in range(whole):
            self._sock.sendall(message * several)
        self._sock.sendall(message * rest)

    def receive(self) -> bytes:
        return self._exactly(_SIZE.unpack(self._exactly(_SIZE.size))[0])

    def _exactly(self, size: int) -> bytes:
        data = self._sock.recv(size)
        if len(data) == size:
            return data
        parts = [data]
        while data and (size := size - len(data)):
            data = self._sock.recv(size)
            parts.append(data)
        if not data:
            raise EOFError
        return b"".join(parts)

    def receive_many(self, count: int, size: int) -> None:
        left = count * (_SIZE.size + size)
        while left:
            left -= len(self._sock.recv(min(left, 65536)))

    def close(self) -> None:
        self._sock.close()


def _raw_listen(path: str) -> tuple[str, Callable[[], Link]]:
    if path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        return path, lambda: _Raw(listener.accept()[0])
    listener = socket.create_server(("127.0.0.1", 0))
    return f"127.0.0.1:{listener.getsockname()[1]}", lambda: _Raw(listener.accept()[0])


def _raw_connect(address: str) -> Link:
    if "/" in address:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address)
        return _Raw(sock)
    host, _, port = address.rpartition(":")
    return _Raw(socket.create_connection((host, int(port))))


# --- other libraries ------------------------------------------------------------------------------


def _multiprocessing(connection: Any) -> Link:
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        _without_delay(same)
    return OneByOne(connection.send_bytes, connection.recv_bytes, connection.close)


def _multiprocessing_listen(path: str) -> tuple[str, Callable[[], Link]]:
    listener = multiprocessing.Listener(path or ("127.0.0.1", 0))
    address = path or f"127.0.0.1:{listener.address[1]}"
    return address, lambda: _multiprocessing(listener.accept())


def _multiprocessing_connect(address: str) -> Link:
    host, _, port = address.rpartition(":")
    return _multiprocessing(
        multiprocessing.Client(address if "/" in address else (host, int(port)))
    )


def _zeromq(pair: Any) -> Link:
    return OneByOne(pair.send, pair.recv, pair.close)


def _zeromq_pair() -> Any:
    zmq = import_module("zmq")
    pair = zmq.Context.instance().socket(zmq.PAIR)
    pair.linger = 0
    return pair


def _zeromq_listen(path: str) -> tuple[str, Callable[[], Link]]:
    pair = _zeromq_pair()
    if path:
        pair.bind(f"ipc://{path}")
        return f"ipc://{path}", lambda: _zeromq(pair)
    port = pair.bind_to_random_port("tcp://127.0.0.1")
    return f"tcp://127.0.0.1:{port}", lambda: _zeromq(pair)


def _zeromq_connect(address: str) -> Link:
    pair = _zeromq_pair()
    pair.connect(address)
    return _zeromq(pair)


#: By the name in the tables; the first is ours, the second the limit.
BLOCKING: dict[str, Way] = {
    "vfiipc": Way(_ours_listen, _ours_connect),
    "raw sockets": Way(_raw_listen, _raw_connect),
    "multiprocessing.connection": Way(_multiprocessing_listen, _multiprocessing_connect),
    "pyzmq PAIR": Way(_zeromq_listen, _zeromq_connect),
}
